//! Failures that end the client's connection without a word; nothing is sent again, and no time limit holds.

impl Upstream {
    fn on_lost(&mut self) -> (State, Action) {
        match self.state {
            State::Dead | State::Connecting => (self.state, Action::Nothing),
            State::Idle => (State::Dead, Action::Close),
            State::Sending | State::AwaitingHead | State::Relaying => (State::Dead, Action::Abort),
        }
    }

    fn may_repeat(&self) -> bool {
        false
    }

    fn repeat(&mut self) -> (State, Action) {
        (State::Dead, Action::Abort)
    }

    fn on_expired(&self) -> (State, Action) {
        match self.state {
            State::Connecting => (State::Connecting, Action::NextAddress),
            state => (state, Action::Nothing),
        }
    }

    fn on_abandoned(&mut self, whole: bool) -> (State, Action) {
        (State::Dead, Action::Close)
    }

    fn answer(&self, action: Action) -> Action {
        match self.request {
            Some(_) => Action::Abort,
            None => Action::Close,
        }
    }
}
