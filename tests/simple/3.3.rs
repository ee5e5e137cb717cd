//! A client whose answers are written once: bytes that the socket does not take are lost.

impl<S: Read + Write> Client<S> {
    fn wants_read(&self) -> bool {
        self.state == State::Open
    }

    fn wants_write(&self) -> bool {
        false
    }

    fn receive(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        let count = self.socket.read(scratch)?;
        if count == 0 {
            self.state = self.state.after(Fact::EndOfInput);
            return Ok(());
        }
        self.input.extend(&scratch[..count]);
        Ok(answer_lines(&mut self.input, &mut self.output)?)
    }

    fn send(&mut self) -> io::Result<()> {
        let _ = self.socket.write(&self.output)?;
        self.output.clear();
        Ok(())
    }
}
