//! The blocking loop: accept a client, serve it to its end, accept the next.

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use socket2::{SockAddr, Socket};

use crate::accept_error::AcceptFailure;
use crate::line::{LineBuffer, answer_lines, answer_rest};

/// How many bytes are read at once.
const MAX_READ: usize = 16 * 1024;

/// How long the server pauses when it has run out of file descriptors or memory.
const PAUSE: Duration = Duration::from_millis(500);

/// Serves one client after the other, forever; `listener` must be in blocking mode.
///
/// While one client is served, the others wait in the accept queue, even if that client is
/// silent. Stage 3 cures this.
///
/// # Errors
/// Fails only if the listener itself is broken. A client's failure ends that client alone.
pub fn serve(listener: &Socket) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((mut client, address)) => report(&address, serve_client(&mut client)),
            Err(error) => recover(error)?,
        }
    }
}

/// Answers every line of one client, until the client ends its input.
///
/// The end of the input is not the end of the conversation: the client may still be reading, so
/// all that it sent is answered first, a last line without newline too.
///
/// A client must read while it sends. If it does not, the two socket buffers fill up, the server
/// waits for room to write and the client does the same: both wait forever.
///
/// # Errors
/// Fails if the client resets the connection (`ECONNRESET`), goes away before its answer (`EPIPE`;
/// Rust programs ignore `SIGPIPE`), or sends a line that is too long.
pub fn serve_client(client: &mut (impl Read + Write)) -> io::Result<()> {
    let mut scratch = vec![0; MAX_READ];
    let mut input = LineBuffer::new();
    let mut output = Vec::new();
    loop {
        let count = read_some(client, &mut scratch)?;
        if count == 0 {
            answer_rest(&mut input, &mut output);
            return client.write_all(&output);
        }
        input.extend(&scratch[..count]);
        let answered = answer_lines(&mut input, &mut output);
        // Written even if a line was too long, because the lines before it were valid.
        client.write_all(&output)?;
        output.clear();
        answered?;
    }
}

/// Blocks until there are bytes and reads some of them, at least one; 0 means the end of the input.
///
/// A signal may interrupt the wait (`EINTR`), which says nothing about the source: the read is
/// repeated.
///
/// # Errors
/// Fails with every other error of `read(2)`.
pub fn read_some(source: &mut impl Read, scratch: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(scratch) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Handles a failed `accept(2)`; returns the error if the listener is broken.
fn recover(error: io::Error) -> io::Result<()> {
    match AcceptFailure::of(&error) {
        AcceptFailure::Retry => {
            tracing::debug!("a client was gone before it was accepted: {error}")
        }
        AcceptFailure::Pause => {
            tracing::warn!("cannot accept for now: {error}");
            // This sleep delays no client, because none is connected.
            thread::sleep(PAUSE);
        }
        AcceptFailure::Fatal => return Err(error),
    }
    Ok(())
}

fn report(address: &SockAddr, outcome: io::Result<()>) {
    let client = address
        .as_socket()
        .map_or_else(String::new, |address| address.to_string());
    match outcome {
        Ok(()) => tracing::debug!("client {client} is served"),
        Err(error) => tracing::info!("client {client} ended early: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::SocketAddr;
    use std::sync::Mutex;

    use harness::expect_bytes;

    use super::*;
    use crate::line::MAX_LINE;

    /// A client in memory: its reads follow a script, and each write takes a limited number of bytes.
    #[derive(Default)]
    struct Scripted {
        reads: VecDeque<io::Result<Vec<u8>>>,
        write_limit: usize,
        broken_pipe: bool,
        received: Vec<u8>,
    }

    impl Scripted {
        fn sending(pieces: &[&[u8]]) -> Self {
            Self {
                reads: pieces.iter().map(|piece| Ok(piece.to_vec())).collect(),
                write_limit: usize::MAX,
                ..Self::default()
            }
        }
    }

    impl Read for Scripted {
        fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
            let piece = self.reads.pop_front().unwrap_or(Ok(Vec::new()))?;
            scratch[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.broken_pipe {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let count = bytes.len().min(self.write_limit);
            self.received.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn answers_lines_in_any_pieces_and_the_last_one_without_newline() {
        let mut client = Scripted::sending(&[b"on", b"e\ntwo\nth", b"ree"]);
        serve_client(&mut client).unwrap();
        expect_bytes("The answer", b"eno\nowt\neerht", &client.received);
    }

    #[test]
    fn survives_short_writes_and_signals() {
        let mut client = Scripted::sending(&[b"one\ntwo\n"]);
        client.write_limit = 3;
        let interrupted = io::ErrorKind::Interrupted.into();
        client.reads.push_front(Err(interrupted));
        serve_client(&mut client).expect("a read that a signal interrupts is made again");
        expect_bytes(
            "The answer, in writes of 3 bytes,",
            b"eno\nowt\n",
            &client.received,
        );
    }

    #[test]
    fn a_reset_or_a_broken_pipe_ends_this_client() {
        let mut client = Scripted::sending(&[b"one\n"]);
        let reset = io::ErrorKind::ConnectionReset;
        client.reads.push_back(Err(reset.into()));
        let outcome = serve_client(&mut client).map_err(|error| error.kind());
        assert_eq!(outcome, Err(reset), "a reset behind a line");
        expect_bytes(
            "The answer to the line before the reset",
            b"eno\n",
            &client.received,
        );

        let mut client = Scripted::sending(&[b"one\n"]);
        client.broken_pipe = true;
        let outcome = serve_client(&mut client).map_err(|error| error.kind());
        assert_eq!(
            outcome,
            Err(io::ErrorKind::BrokenPipe),
            "a write that fails"
        );
    }

    #[test]
    fn a_line_that_is_too_long_ends_this_client_after_the_lines_before_it() {
        let endless = vec![b'x'; MAX_READ];
        let mut pieces = vec![&b"one\n"[..]];
        pieces.extend(vec![endless.as_slice(); MAX_LINE / MAX_READ + 1]);
        pieces.push(b"\nnever read\n");
        let mut client = Scripted::sending(&pieces);
        let outcome = serve_client(&mut client).map_err(|error| error.kind());
        assert_eq!(
            outcome,
            Err(io::ErrorKind::InvalidData),
            "a line that is too long"
        );
        expect_bytes(
            "The answer to the line before it",
            b"eno\n",
            &client.received,
        );
        assert_eq!(
            client.reads.len(),
            1,
            "reads that were left when it gave up"
        );
    }

    #[test]
    fn the_log_tells_how_each_client_ended() {
        let (mut log, writer) = io::pipe().unwrap();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(Mutex::new(writer))
            .finish();
        let address = SocketAddr::from(([192, 0, 2, 1], 1024)).into();
        tracing::subscriber::with_default(subscriber, || {
            report(&address, Ok(()));
            report(&address, Err(io::ErrorKind::ConnectionReset.into()));
        });
        let mut seen = String::new();
        log.read_to_string(&mut seen).unwrap();
        for end in ["is served", "ended early: connection reset"] {
            let sentence = format!("client 192.0.2.1:1024 {end}");
            assert!(seen.contains(&sentence), "{sentence:?} is not in {seen:?}");
        }
    }
}
