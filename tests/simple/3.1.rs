//! A wait that takes a signal for an error, rounds its limit down, and knows one flag for each end.

impl Poll {
    pub fn poll(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        Ok(self.wait(events, in_millis(timeout))?)
    }
}

fn in_millis(timeout: Option<Duration>) -> EpollTimeout {
    match timeout {
        Some(timeout) => EpollTimeout::try_from(timeout.as_millis()).unwrap_or(EpollTimeout::MAX),
        None => EpollTimeout::NONE,
    }
}

impl Event {
    pub fn is_read_closed(self) -> bool {
        self.readiness.contains(Readiness::EPOLLRDHUP)
    }

    pub fn is_write_closed(self) -> bool {
        self.readiness.contains(Readiness::EPOLLHUP)
    }
}
