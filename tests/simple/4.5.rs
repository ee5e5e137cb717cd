//! A session that ends as soon as one direction has ended: the last bytes of the other one are lost.

impl Flow {
    fn pass_end(&mut self, sink: &mut Endpoint) -> io::Result<()> {
        self.half.fin_sent();
        Ok(())
    }
}

impl Session {
    fn finish(&mut self, now: Instant) -> Next {
        Next::Close(Reason::Finished)
    }

    pub(super) fn abort(&mut self, broken: Side, error: io::Error, now: Instant) -> Next {
        Next::Close(Reason::Reset(broken, error))
    }

    pub(super) fn await_delivery(&mut self, survivor: Side) -> Next {
        Next::Wait
    }
}

fn are_over(flows: [&Flow; 2]) -> bool {
    flows.iter().any(|flow| flow.half.state() == HalfState::Closed)
}
