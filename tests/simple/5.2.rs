//! A queue that serves the last to come first, and in which a client that has left keeps its turn.

impl<F: Framing> Client<F> {
    pub(super) fn takes_requests(&self) -> bool {
        self.phase == Phase::Reading && self.output.is_empty()
    }
}

impl<F: Framing> Clients<F> {
    pub(super) fn wait(
        &mut self,
        row: u32,
        summary: Summary<F::Details>,
        now: Instant,
    ) -> Result<(), QueueFull> {
        if let Some(client) = self.table.row_mut(row) {
            client.wait(summary);
        }
        self.queue.join(row, now)
    }

    pub(super) fn take_turn(&mut self) -> Option<(Token, Instant)> {
        let row = self.queue.iter().last()?;
        let since = self.queue.since(row)?;
        self.queue.leave(row);
        Some((self.table.token(row, Side::Client)?, since))
    }

    pub(super) fn remove(&mut self, row: u32) {
        self.queue.leave(row);
        self.timers.set(row, None);
        self.table.remove(row);
        if let Some(listener) = &mut self.listener {
            listener.resume();
        }
    }
}

impl<F: Framing> Worker<F> {
    pub(super) fn forget(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        if matches!(client.phase, Phase::Waiting(_)) {
            return;
        }
        if client.is_in_flight() {
            self.exchange.abandon(now);
        }
        self.clients.remove(row);
    }
}
