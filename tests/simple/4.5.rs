//! A session that ends as soon as one direction has ended: the last bytes of the other one are lost.

impl Flow {
    fn pass_end(&mut self, sink: &mut Endpoint) -> io::Result<()> {
        self.half.fin_sent();
        Ok(())
    }
}

fn are_over(flows: [&Flow; 2]) -> bool {
    flows.iter().any(|flow| flow.half.state() == HalfState::Closed)
}
