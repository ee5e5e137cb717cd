//! Copies input to the server and the server's bytes to the output, both at the same time.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use socket2::Socket;
use stage1_server::read_some;

/// How many bytes are read at once.
const MAX_READ: usize = 16 * 1024;

/// Sends `input` to the server and writes the server's bytes to `output`, until the server's EOF.
///
/// ```text
///   input  ─ thread ──▶ socket     at the end of the input: shutdown(SHUT_WR), a FIN
///   output ◀─ caller ── socket     at the server's FIN: done
/// ```
///
/// Both directions run at the same time: a client that first sends everything and only then reads
/// waits forever on a server that answers while it reads. The end of the input closes one
/// direction only (half-close), because the answers to it are still on their way.
///
/// The server's EOF is the end, even if `input` is still open. The thread may then be waiting for
/// the input, which nothing can interrupt: it is left behind, and ends with its next bytes or with
/// the program.
///
/// # Errors
/// Fails if the input cannot be read, if the output cannot be written, or if the connection breaks
/// (`ECONNRESET`, `ETIMEDOUT`). All that arrived before is in the output.
pub fn converse(
    socket: &Socket,
    input: impl Read + Send + 'static,
    mut output: impl Write,
) -> io::Result<()> {
    let sending = socket.try_clone()?;
    let outcome = Arc::new(Outcome::default());
    let shared = Arc::clone(&outcome);
    thread::spawn(move || send_all(input, &sending, &shared));
    let received = receive_all(socket, &mut output);
    // Unblocks a thread that waits for room in the send buffer: its write fails with EPIPE now.
    drop(socket.shutdown(Shutdown::Both));
    received.and(outcome.take())
}

/// Copies the input to the server, then closes the sending direction (`shutdown(2)`), after an error, too.
///
/// Each write is an attempt of `outcome`, and so is the error of an input that cannot be read. The
/// first attempt that fails is the last one. Reading is no part of an attempt, because it may take
/// forever.
fn send_all(mut input: impl Read, socket: &Socket, outcome: &Outcome) {
    let mut scratch = vec![0; MAX_READ];
    loop {
        let goes_on = match read_some(&mut input, &mut scratch) {
            Ok(0) => false,
            Ok(count) => outcome.attempt(|| send(socket, &scratch[..count])),
            Err(error) => outcome.attempt(|| Err(explain("cannot read the input", &error))),
        };
        if !goes_on {
            break;
        }
    }
    drop(socket.shutdown(Shutdown::Write));
}

/// Writes all of `bytes`; blocks while the two socket buffers are full.
fn send(mut socket: &Socket, bytes: &[u8]) -> io::Result<()> {
    let sent = socket.write_all(bytes);
    sent.map_err(|error| explain("the connection broke", &error))
}

/// Copies the server's bytes to the output until the server's EOF, with a flush after each read.
fn receive_all(mut socket: &Socket, output: &mut impl Write) -> io::Result<()> {
    let mut scratch = vec![0; MAX_READ];
    loop {
        let count = read_some(&mut socket, &mut scratch)
            .map_err(|error| explain("the connection broke", &error))?;
        if count == 0 {
            return Ok(());
        }
        output
            .write_all(&scratch[..count])
            .and_then(|()| output.flush())
            .map_err(|error| explain("cannot write the output", &error))?;
    }
}

/// The error of the sending direction, if it has one; the receiving direction takes it at its own end.
#[derive(Debug, Default)]
struct Outcome(Mutex<Option<io::Error>>);

impl Outcome {
    /// Makes an attempt, keeps its error, and returns whether it has worked.
    ///
    /// The kernel reports a reset only once, to the first of the two directions that makes a system
    /// call; if it was the attempt, the other direction sees nothing but an end. So the outcome stays
    /// locked from before the attempt until its error is in place, and [`Outcome::take`] cannot miss it.
    fn attempt(&self, attempt: impl FnOnce() -> io::Result<()>) -> bool {
        let mut outcome = self.lock();
        *outcome = attempt().err();
        outcome.is_none()
    }

    /// Takes the error and ignores `EPIPE`: the server has ended the conversation before all of the
    /// input was sent. That is an end, and no failure.
    fn take(&self) -> io::Result<()> {
        match self.lock().take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// Locks the outcome, also after a panic in the thread that held it: it is one value, always whole.
    fn lock(&self) -> MutexGuard<'_, Option<io::Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn explain(failure: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{failure}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use harness::expect_bytes;
    use stage1_server::{ListenOptions, listen, local_addr};

    use super::*;
    use crate::connect::connect;

    /// Connects to a server that is the function `serve`, run once in a thread.
    fn connected(serve: impl FnOnce(Socket) + Send + 'static) -> Socket {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = listen(any, &ListenOptions::default()).unwrap();
        let address = local_addr(&listener).unwrap();
        thread::spawn(move || serve(listener.accept().unwrap().0));
        connect(&[address], Duration::from_secs(20)).unwrap()
    }

    #[test]
    fn an_attempt_is_locked_from_its_beginning_and_keeps_its_error() {
        let outcome = Outcome::default();
        assert!(
            outcome.attempt(|| Ok(())),
            "an attempt that works returned false, so the sender would stop after its first write"
        );
        let goes_on = outcome.attempt(|| {
            assert!(
                outcome.0.try_lock().is_err(),
                "the lock is free during an attempt: a receiver that looks now misses the error that comes next"
            );
            Err(io::ErrorKind::ConnectionReset.into())
        });
        assert!(
            !goes_on,
            "a failed attempt returned true, so the sender would go on"
        );
        let kind = outcome.take().map_err(|error| error.kind());
        assert_eq!(
            kind,
            Err(io::ErrorKind::ConnectionReset),
            "the error of a failed attempt, as the receiver gets it"
        );
    }

    #[test]
    fn the_answer_comes_after_the_end_of_the_input() {
        let socket = connected(|mut client| {
            let mut request = Vec::new();
            client.read_to_end(&mut request).unwrap();
            request.reverse();
            client.write_all(&request).unwrap();
        });
        let mut output = Vec::new();
        converse(&socket, &b"stressed"[..], &mut output).unwrap();
        expect_bytes(
            "The answer that came after the end of the input",
            b"desserts",
            &output,
        );
    }

    #[test]
    fn both_directions_flow_at_the_same_time() {
        // An echo that reads and writes in turn: a client that sends all of this before it reads
        // waits forever.
        let socket = connected(|client| {
            io::copy(&mut &client, &mut &client).unwrap();
        });
        let input: Vec<u8> = (0..16 << 20)
            .map(|i: u32| i.to_le_bytes()[i as usize % 3])
            .collect();
        let mut output = Vec::new();
        converse(&socket, io::Cursor::new(input.clone()), &mut output).unwrap();
        expect_bytes("What came back from an echo", &input, &output);
    }

    #[test]
    fn ends_with_the_server_although_the_input_stays_open() {
        let (_open, silent) = UnixStream::pair().unwrap();
        let socket = connected(|mut client| client.write_all(b"bye\n").unwrap());
        let mut output = Vec::new();
        converse(&socket, silent, &mut output).unwrap();
        expect_bytes("The output", b"bye\n", &output);
    }

    #[test]
    fn a_reset_is_an_error_and_not_an_end() {
        let (mut open, input) = UnixStream::pair().unwrap();
        open.write_all(b"x").unwrap();
        let socket = connected(|mut client| {
            // Waits for the conversation: a reset that comes earlier would fail the connect.
            client.read_exact(&mut [0]).unwrap();
            client.set_linger(Some(Duration::ZERO)).unwrap();
        });
        let error = converse(&socket, input, io::sink()).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::ConnectionReset,
            "the kind of: {error}"
        );
        assert!(
            error.to_string().starts_with("the connection broke"),
            "the sentence says what has happened, with explain: {error}"
        );
    }

    #[test]
    fn a_reset_while_sending_is_an_error_and_not_an_end() {
        // Sender and receiver race for the error, which the kernel tells only once.
        for number in 1..=200 {
            let socket = connected(|mut client| {
                client.read_exact(&mut [0]).unwrap();
                client.set_linger(Some(Duration::ZERO)).unwrap();
            });
            let outcome = converse(&socket, io::repeat(b'x'), io::sink());
            assert_eq!(
                outcome.map_err(|error| error.kind()),
                Err(io::ErrorKind::ConnectionReset),
                "conversation {number} of 200, which the server resets"
            );
        }
    }

    /// An input, and an output, that only fails.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_input_that_cannot_be_read_ends_the_conversation_with_its_error() {
        let socket = connected(|mut client| {
            io::copy(&mut client, &mut io::sink()).unwrap();
        });
        let error = converse(&socket, Broken, io::sink()).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::PermissionDenied,
            "the kind of: {error}"
        );
    }

    #[test]
    fn an_output_that_cannot_be_written_ends_the_conversation_with_its_error() {
        let (_open, silent) = UnixStream::pair().unwrap();
        let socket = connected(|mut client| client.write_all(b"hello\n").unwrap());
        let error = converse(&socket, silent, Broken).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::StorageFull,
            "the kind of: {error}"
        );
    }
}
