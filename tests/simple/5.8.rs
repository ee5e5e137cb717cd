//! Streams that a peer opens as it likes: under any number, open or not, and without a bound.

impl Yamux {
    fn stream(self, number: u32) -> StreamId {
        let opener = match (self.role, number % 2) {
            (Role::Client, 1) | (Role::Server, 0) => Opener::Us,
            _ => Opener::Peer,
        };
        StreamId { opener, number }
    }

    fn number(&self, opened: u32) -> Option<StreamId> {
        let first = match self.role {
            Role::Client => 1,
            Role::Server => 2,
        };
        Some(self.stream(opened.wrapping_mul(2).wrapping_add(first)))
    }
}

impl<W: Wire> Session<W> {
    fn on_open(&mut self, id: StreamId) -> Result<(), Violation> {
        let stream = Stream::new(id, Beginning::AcceptOwed, W::INITIAL_WINDOW);
        let key = self.streams.insert(stream);
        self.inbox.events.push_back(Event::Opened(key));
        Ok(())
    }
}
