//! A session that closes in order when a side breaks: the other side takes half of an answer for the whole.

impl Session {
    fn finish(&mut self, now: Instant) -> Next {
        Next::Close(Reason::Finished)
    }

    pub(super) fn abort(&mut self, broken: Side, error: io::Error, now: Instant) -> Next {
        Next::Close(Reason::Finished)
    }

    pub(super) fn await_delivery(&mut self, survivor: Side) -> Next {
        Next::Close(Reason::Finished)
    }
}
