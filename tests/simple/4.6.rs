//! A dialler that tries one address, and has one word for every failure.

impl ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Other(error)
    }
}

impl Worker {
    pub(super) fn on_resolved(
        &mut self,
        token: Token,
        addresses: Answer,
        now: Instant,
    ) -> Option<Next> {
        let next = match addresses {
            Ok(addresses) => {
                let first = &addresses[..addresses.len().min(1)];
                self.begin_attempts(token.row(), first, now)
            }
            Err(error) => Next::Refuse(error.into()),
        };
        Some(next)
    }

    pub(super) fn give_up_waiting(&mut self, row: u32, now: Instant) -> Next {
        Next::Refuse(ConnectError::TimedOut.into())
    }
}
