//! An upstream connection that serves one request: the next one gets another connection.

impl Upstream {
    fn on_begin(&mut self, repeatable: bool) -> (State, Action) {
        self.request = Some(Request::new(repeatable));
        (State::Connecting, Action::Connect)
    }

    fn on_connected(&self) -> (State, Action) {
        match self.request {
            Some(_) => (State::Sending, Action::Nothing),
            None => (State::Dead, Action::Close),
        }
    }

    fn on_bytes(&mut self) -> (State, Action) {
        (self.state, Action::Nothing)
    }

    fn on_end(&self, keep: bool) -> (State, Action) {
        (State::Dead, Action::Close)
    }
}
