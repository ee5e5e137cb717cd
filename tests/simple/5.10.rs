//! Windows without a bound: with its first credit, a sender may send as much as it likes.

impl SendWindow {
    pub fn add(&mut self, credit: u32) -> Result<(), Violation> {
        self.left = u32::MAX;
        Ok(())
    }
}

impl ReceiveWindow {
    pub fn receive(&mut self, bytes: u32, now: Instant) -> Result<(), Violation> {
        self.open = self.open.saturating_sub(bytes);
        self.held += bytes;
        Ok(())
    }

    pub fn consume(&mut self, bytes: u32, now: Instant, budget: &mut Budget) -> u32 {
        self.held -= bytes;
        let credit = self.due();
        self.open += credit;
        credit
    }

    fn due(&self) -> u32 {
        self.size.saturating_sub(self.open).saturating_sub(self.held)
    }
}
