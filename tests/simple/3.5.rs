//! A loop that never registers a client anew, and asks again at once for what it cannot accept.

impl Server {
    fn turn(&mut self, batch: impl Iterator<Item = Event>) -> io::Result<Next> {
        for event in batch {
            match event.token() {
                WAKER => return Ok(Next::Stop),
                LISTENER => self.accept_some()?,
                token => self.serve(token, event),
            }
        }
        Ok(Next::Wait)
    }

    fn serve(&mut self, token: Token, event: Event) {
        let Some(client) = self.clients.get_mut(token) else {
            return;
        };
        let outcome = client.on_event(event, &mut self.scratch);
        if outcome.is_err() || client.state() == State::Closed {
            self.dismiss(token, outcome);
        }
    }

    fn accept_some(&mut self) -> io::Result<()> {
        while let Ok(client) = self.listener.accept() {
            self.admit(client);
        }
        Ok(())
    }
}
