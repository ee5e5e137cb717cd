//! Exercise 1.4 through the library: one client, served to its end.

use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::net::TcpStream;

use harness::{Peer, Scripted, Test, expect_bytes, expect_value, fail, lines};
use stage1_server::{MAX_LINE, serve_client};

/// A listener in this process that gives each of its clients to `serve_client`.
fn one_client_service() -> Scripted {
    Scripted::start("serve_client", |peer: Peer| {
        let mut stream: &TcpStream = peer.stream();
        // The result is ignored, because the client's end of the connection is judged.
        let _ = serve_client(&mut stream);
    })
}

#[test]
fn e14_lines_are_answered_in_turn() {
    let _test =
        Test::begin("Answer as soon as a line is complete; do not wait for the end of the input.");
    lines::lines_in_turn(one_client_service().addr());
}

#[test]
fn e14_one_byte_at_a_time() {
    let _test = Test::begin("One read is not one line.");
    lines::one_byte_at_a_time(one_client_service().addr());
}

#[test]
fn e14_several_lines_in_one_write() {
    let _test = Test::begin("One read may bring several lines, and half of the next.");
    lines::several_lines_in_one_write(one_client_service().addr());
}

#[test]
fn e14_awkward_bytes() {
    let _test = Test::begin("Bytes are not text: 00, FF and CR are bytes like all others.");
    lines::awkward_bytes(one_client_service().addr());
}

#[test]
fn e14_a_last_line_without_newline() {
    let _test = Test::begin(
        "A read of 0 is the end of the input; answer the bytes that are left in the buffer, too.",
    );
    lines::a_last_line_without_newline(one_client_service().addr());
    lines::an_empty_conversation(one_client_service().addr());
}

#[test]
fn e14_a_slow_reader_gets_everything() {
    let _test =
        Test::begin("write may take less than it was given: write_all goes on with the rest.");
    lines::a_slow_reader(one_client_service().addr());
}

#[test]
fn e14_a_line_that_is_too_long_ends_its_client() {
    let _test = Test::begin("Answer the lines before it, then end the connection.");
    lines::the_longest_line(one_client_service().addr());
}

/// A client whose bytes come one at a time, with three signals before each; it takes three bytes of each answer at once.
struct Interrupted {
    input: &'static [u8],
    signals: usize,
    answer: Vec<u8>,
}

impl Read for Interrupted {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        if self.signals < 3 {
            self.signals += 1;
            return Err(ErrorKind::Interrupted.into());
        }
        self.signals = 0;
        let Some((first, rest)) = self.input.split_first() else {
            return Ok(0);
        };
        scratch[0] = *first;
        self.input = rest;
        Ok(1)
    }
}

impl Write for Interrupted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(3);
        self.answer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn e14_a_signal_is_no_error() {
    let _test = Test::begin(
        "EINTR says that a signal came, and nothing about the client: call read(2) again.",
    );
    let mut client = Interrupted {
        input: b"stressed\nlast",
        signals: 0,
        answer: Vec::new(),
    };
    if let Err(error) = serve_client(&mut client) {
        fail(format!(
            "A read that a signal had interrupted ended the client: {error}. Only ErrorKind::Interrupted is tried again, as often \
             as it comes: three signals came before each byte."
        ));
    }
    expect_bytes("The answer", b"desserts\ntsal", &client.answer);
}

/// A client whose first read fails; after it there is half a line.
struct Failing(Option<ErrorKind>, Cursor<&'static [u8]>);

impl Read for Failing {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(kind) => Err(kind.into()),
            None => self.1.read(scratch),
        }
    }
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn e14_only_a_signal_is_no_error() {
    let _test = Test::begin(
        "Only EINTR is tried again: with any other error of read(2) the client has ended, and the caller learns why.",
    );
    for (kind, cause) in [
        (
            ErrorKind::WouldBlock,
            "read(2) is called again and again until bytes come, so the program takes all of a processor meanwhile.",
        ),
        (
            ErrorKind::ConnectionReset,
            "a reset is taken for the end of the input, although bytes may be missing.",
        ),
        (
            ErrorKind::TimedOut,
            "a client that has vanished is taken for one that has ended its input.",
        ),
    ] {
        let mut client = Failing(Some(kind), Cursor::new(b"half a line"));
        expect_value(
            format!("The outcome for a client whose read fails with {kind:?}"),
            &Err(kind),
            &serve_client(&mut client).map_err(|error| error.kind()),
            cause,
        );
    }
}

#[test]
fn e14_the_caller_learns_of_a_line_that_is_too_long() {
    let _test =
        Test::begin("Return the error of answer_lines after the lines before it were written.");
    let too_long = [b"one\n", &vec![b'x'; MAX_LINE + 1][..]].concat();
    let mut client = Cursor::new(too_long);
    let mut answer = Vec::new();
    let result = serve_client(&mut Both(&mut client, &mut answer));
    expect_value(
        "The kind of the error",
        &Err(ErrorKind::InvalidData),
        &result.map_err(|error| error.kind()),
        "the client was ended as if it had ended its input, so the log says that it was served.",
    );
    expect_bytes("The answer", b"eno\n", &answer);
}

/// A client that is made of an input and an output.
struct Both<'a>(&'a mut Cursor<Vec<u8>>, &'a mut Vec<u8>);

impl Read for Both<'_> {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.0.read(scratch)
    }
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
