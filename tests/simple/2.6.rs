//! One direction after the other: no answer is read before the whole input is sent.

pub fn converse(
    socket: &Socket,
    input: impl Read + Send + 'static,
    mut output: impl Write,
) -> io::Result<()> {
    let outcome = Outcome::default();
    send_all(input, socket, &outcome);
    let received = receive_all(socket, &mut output);
    received.and(outcome.take())
}

impl Outcome {
    fn attempt(&self, attempt: impl FnOnce() -> io::Result<()>) -> bool {
        // The lock is taken after the attempt, which is too late if another thread looks in between.
        let error = attempt().err();
        let mut outcome = self.lock();
        *outcome = error;
        outcome.is_none()
    }
}
