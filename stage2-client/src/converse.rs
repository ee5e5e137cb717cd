//! Talking: input to the server and the server's answers to the output, both at the same time.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;

use socket2::Socket;
use stage1_server::read_some;

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// Sends `input` to the server and writes what the server sends to `output`, until its EOF.
///
/// ```text
///   input  ─ thread ──▶ socket     at the end of the input: shutdown(SHUT_WR), a FIN
///   output ◀─ caller ── socket     at the server's FIN: done
/// ```
///
/// Both directions run at the same time: a client that first sends everything and only then reads
/// waits for ever on a server that answers while it reads. The end of the input closes one
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
    let (failed, failure) = mpsc::channel();
    thread::spawn(move || {
        if let Err(error) = send_all(input, &sending) {
            // The receiver is gone if the server was faster to end the conversation.
            drop(failed.send(error));
        }
        // Sent only after a failure was reported, so that the server's answer to it comes later.
        drop(sending.shutdown(Shutdown::Write));
    });
    let received = receive_all(socket, &mut output);
    // Lets a thread that waits for room in the send buffer end now.
    drop(socket.shutdown(Shutdown::Both));
    received?;
    failure.try_recv().map_or(Ok(()), Err)
}

/// Copies the input to the server.
///
/// That the server takes no more bytes is not a failure here: whether it has ended the
/// conversation or broken it, the reading side finds out with certainty.
///
/// # Errors
/// Fails if the input cannot be read.
fn send_all(mut input: impl Read, mut socket: &Socket) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = read_some(&mut input, &mut chunk)
            .map_err(|error| explain("cannot read the input", &error))?;
        if count == 0 || socket.write_all(&chunk[..count]).is_err() {
            return Ok(());
        }
    }
}

/// Copies the server's bytes to the output until the server's EOF, and flushes as they come.
fn receive_all(mut socket: &Socket, output: &mut impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = read_some(&mut socket, &mut chunk)
            .map_err(|error| explain("the connection broke", &error))?;
        if count == 0 {
            return Ok(());
        }
        output
            .write_all(&chunk[..count])
            .and_then(|()| output.flush())
            .map_err(|error| explain("cannot write the output", &error))?;
    }
}

fn explain(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use stage1_server::{ListenOptions, listen, local_address};

    use super::*;
    use crate::connect;

    /// Connects to a server that is the function `serve`, run once in a thread.
    fn connected(serve: impl FnOnce(Socket) + Send + 'static) -> Socket {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = listen(any, &ListenOptions::default()).unwrap();
        let address = local_address(&listener).unwrap();
        thread::spawn(move || serve(listener.accept().unwrap().0));
        connect(&[address], Duration::from_secs(20)).unwrap()
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
        assert_eq!(output, b"desserts");
    }

    #[test]
    fn both_directions_flow_at_the_same_time() {
        // An echo that reads and writes in turn: whoever sends all of this before reading stalls.
        let socket = connected(|client| {
            io::copy(&mut &client, &mut &client).unwrap();
        });
        let input: Vec<u8> = (0..16 << 20)
            .map(|i: u32| i.to_le_bytes()[i as usize % 3])
            .collect();
        let mut output = Vec::new();
        converse(&socket, io::Cursor::new(input.clone()), &mut output).unwrap();
        assert!(output == input, "{} of {} bytes", output.len(), input.len());
    }

    #[test]
    fn ends_with_the_server_although_the_input_stays_open() {
        let (_open, silent) = UnixStream::pair().unwrap();
        let socket = connected(|mut client| client.write_all(b"bye\n").unwrap());
        let mut output = Vec::new();
        converse(&socket, silent, &mut output).unwrap();
        assert_eq!(output, b"bye\n");
    }

    #[test]
    fn a_reset_is_an_error_and_not_an_end() {
        let (_open, silent) = UnixStream::pair().unwrap();
        let socket = connected(|client| client.set_linger(Some(Duration::ZERO)).unwrap());
        let error = converse(&socket, silent, io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(
            error.to_string().starts_with("the connection broke"),
            "{error}"
        );
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
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn an_output_that_cannot_be_written_ends_the_conversation_with_its_error() {
        let (_open, silent) = UnixStream::pair().unwrap();
        let socket = connected(|mut client| client.write_all(b"hello\n").unwrap());
        let error = converse(&socket, silent, Broken).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
