//! A relay without a memory: bytes that the sink does not take are lost.

fn copy<R: Read, W: Write>(
    half: &mut Half,
    source: &mut Endpoint<R>,
    sink: &mut Endpoint<W>,
    scratch: &mut [u8],
) -> Result<Fill, Fault> {
    match source.read_some(scratch).map_err(Fault::Source)? {
        None => {}
        Some(0) => half.end_of_input(),
        Some(count) => {
            let written = sink.write_some(&scratch[..count]).map_err(Fault::Sink)?;
            half.passed(written);
        }
    }
    Ok(Fill::Partial)
}

impl Flow {
    pub(crate) fn flush(&mut self, sink: &mut Endpoint) -> io::Result<()> {
        let written = sink.write_some(self.half.pending())?;
        self.half.sent(written);
        if self.half.owes_fin() {
            self.pass_end(sink)?;
        }
        Ok(())
    }
}
