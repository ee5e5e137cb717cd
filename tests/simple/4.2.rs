//! Deadlines that are never set: no time limit holds.

impl Timers {
    pub fn set(&mut self, row: u32, deadline: Option<Instant>) {}

    pub fn expire(&mut self, now: Instant) -> Option<u32> {
        None
    }

    fn rise(&mut self, mut place: usize) -> usize {
        place
    }

    fn sink(&mut self, mut place: usize) {}
}
