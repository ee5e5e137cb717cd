//! Streams that end as usual when their link is lost, and a peer that may be silent for ever.

impl Fate {
    pub fn on_lost_link(inbound: Inbound, outbound: Outbound) -> Self {
        Self::Complete
    }
}

impl Keepalive {
    pub(super) fn check(&mut self, now: Instant) -> Due {
        self.since = now;
        Due::Nothing
    }
}
