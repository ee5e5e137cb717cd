//! A listener that never pauses: a full proxy asks again and again, as fast as it can.

impl Listener {
    pub(crate) fn pause_full(&mut self, poll: &Poll) {}

    pub(crate) fn pause_starved(&mut self, now: Instant, poll: &Poll) {}

    fn enter(&mut self, state: State, poll: &Poll) {
        self.state = state;
    }
}
