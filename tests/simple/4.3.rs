//! A half that passes the end on at once: the FIN overtakes bytes that wait.

impl Buffer {
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn consume(&mut self, count: usize) {
        // The memory of an empty buffer stays with it.
        self.bytes.drain(..count);
    }
}

impl Half {
    pub fn has_pending(&self) -> bool {
        self.piped > 0 || !self.buffer.is_empty()
    }

    pub fn wants_read(&self) -> bool {
        self.state == HalfState::Open
    }

    pub fn wants_write(&self) -> bool {
        self.state == HalfState::Draining || self.has_pending()
    }

    pub fn owes_fin(&self) -> bool {
        self.state == HalfState::Draining
    }

    pub fn end_of_input(&mut self) {
        self.state = HalfState::Draining;
    }

    pub fn fin_sent(&mut self) {
        self.state = HalfState::Closed;
        self.buffer = Buffer::new();
        self.piped = 0;
    }

    pub fn sink_broken(&mut self) {
        self.state = HalfState::Closed;
        self.buffer = Buffer::new();
        self.piped = 0;
    }
}
