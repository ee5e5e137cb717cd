//! Exercise 3.3 through the library: the state machine of one client.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use crate::support::pair;
use harness::{Rng, Test, ensure, expect_bytes, expect_value, fail, lines};
use stage3_epoll::{Client, Event, Fact, Interest, MAX_PENDING, Readiness, State, Token};

/// A client whose other end is in the test's hand.
fn client() -> (Client<UnixStream>, UnixStream) {
    let (ours, theirs) = pair();
    theirs.set_nonblocking(true).expect("a non-blocking socket");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    (Client::new(ours, address), theirs)
}

fn turn(client: &mut Client<UnixStream>) -> io::Result<()> {
    let both = Readiness::EPOLLIN | Readiness::EPOLLOUT;
    client.on_event(Event::new(Token(0), both), &mut vec![0; 16 * 1024])
}

fn received(theirs: &mut UnixStream) -> Vec<u8> {
    received_at_most(theirs, 1 << 20)
}

fn received_at_most(theirs: &mut UnixStream, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; most];
    let length = theirs.read(&mut bytes).unwrap_or(0);
    bytes.truncate(length);
    bytes
}

#[test]
fn e33_a_state_follows_from_a_fact() {
    let _test = Test::begin("The diagram of State, arrow by arrow.");
    use Fact::{AllSent, EndOfInput, Failure};
    use State::{Closed, Draining, Open};
    let table = [
        (Open, EndOfInput, Draining),
        (Open, AllSent, Open),
        (Open, Failure, Closed),
        (Draining, EndOfInput, Draining),
        (Draining, AllSent, Closed),
        (Draining, Failure, Closed),
        (Closed, EndOfInput, Closed),
        (Closed, AllSent, Closed),
        (Closed, Failure, Closed),
    ];
    for (state, fact, next) in table {
        expect_value(
            format!("The state after {fact:?} in {state:?}"),
            &next,
            &state.after(fact),
            "an arrow of the diagram is missing; a closed client stays closed.",
        );
    }
}

#[test]
fn e33_an_event_is_only_a_hint() {
    let _test = Test::begin("EAGAIN means not yet: no error, and no end.");
    let (mut client, mut theirs) = client();
    turn(&mut client).unwrap();
    theirs.write_all(b"ha").unwrap();
    turn(&mut client).unwrap();
    turn(&mut client).unwrap();
    expect_value(
        "The state after two turns without a byte",
        &State::Open,
        &client.state(),
        "EAGAIN was taken for the end of the input.",
    );
    theirs.write_all(b"lf\n").unwrap();
    turn(&mut client).unwrap();
    expect_bytes("The answer", b"flah\n", &received(&mut theirs));
}

#[test]
fn e33_an_idle_client_wants_to_read_only() {
    let _test =
        Test::begin("Ask for writable only while bytes wait: a socket is nearly always writable.");
    let (mut client, mut theirs) = client();
    expect_reading(&client, "nothing has come");
    theirs.write_all(b"one\n").unwrap();
    turn(&mut client).unwrap();
    expect_bytes(
        "The answer in the same turn",
        b"eno\n",
        &received(&mut theirs),
    );
    expect_reading(&client, "its answer is sent");
    let cause = "wants_read or wants_write depends on more than the state and the output.";
    expect_value(
        "The change of an interest that did not change",
        &None,
        &client.change_of_interest(),
        cause,
    );
}

/// Checks that a client wants to read and not to write.
#[track_caller]
fn expect_reading(client: &Client<UnixStream>, when: &str) {
    expect_value(
        format!("The interest of a client when {when}"),
        &Interest::READABLE,
        &client.interest(),
        "asking for writable without bytes to write makes every wait of the loop return at once.",
    );
}

/// Sends lines to a client and reads none of its answers, until it wants no more.
fn fill(client: &mut Client<UnixStream>, theirs: &mut UnixStream) -> Vec<u8> {
    let line = Rng::for_test().line(1000);
    let mut sent = Vec::new();
    for _ in 0..10_000 {
        if theirs.write(&line).is_ok_and(|length| length == line.len()) {
            sent.extend_from_slice(&line);
        }
        turn(client).expect("a turn");
        if client.interest() == Interest::WRITABLE {
            return sent;
        }
    }
    fail("the client reads more and more although its answers are not read")
}

#[test]
fn e33_who_does_not_read_is_not_read() {
    let _test =
        Test::begin("At MAX_PENDING bytes of output, stop reading; go on when there is room.");
    let (mut client, mut theirs) = client();
    let sent = fill(&mut client, &mut theirs);
    ensure(
        sent.len() >= MAX_PENDING,
        format!(
            "Reading stopped after {} bytes already, before MAX_PENDING of {MAX_PENDING}.",
            sent.len()
        ),
    );
    expect_value(
        "The interest to register for a client that does not read its answers",
        &Some(Interest::WRITABLE),
        &client.change_of_interest(),
        "wants_read ignores how many answers wait, or the change is not reported.",
    );
    let mut answer = Vec::new();
    while answer.len() < sent.len() {
        answer.extend(received(&mut theirs));
        turn(&mut client).unwrap();
    }
    expect_bytes("The answer", &lines::reversed(&sent), &answer);
    expect_value(
        "The interest to register when all answers are sent",
        &Some(Interest::READABLE),
        &client.change_of_interest(),
        "reading does not begin again, so the client waits forever.",
    );
}

#[test]
fn e33_the_end_of_the_input_is_not_the_end_of_the_answers() {
    let _test = Test::begin("Draining: want to write, not to read, until the last answer is sent.");
    let (mut client, mut theirs) = client();
    let sent = fill(&mut client, &mut theirs);
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut answer, mut turns_of_draining) = (Vec::new(), 0);
    // A slow reader, so that the FIN is read while answers wait. Bounded: it takes a few hundred turns.
    for _ in 0..10_000 {
        answer.extend(received_at_most(&mut theirs, 4096));
        turn(&mut client).unwrap();
        match client.state() {
            State::Open => {}
            State::Draining => {
                turns_of_draining += 1;
                expect_value(
                    "The interest of a client that has ended its input while answers wait",
                    &Interest::WRITABLE,
                    &client.interest(),
                    "the end of the input stays readable forever, so asking for it makes every wait of the loop return at once.",
                );
            }
            State::Closed => break,
        }
    }
    answer.extend(received(&mut theirs));
    ensure(
        client.state() == State::Closed && turns_of_draining > 0,
        format!(
            "The client ended its input while answers waited: it should be Draining until the last one is sent, and then Closed. \
             It was Draining for {turns_of_draining} turns, and is {:?} now.",
            client.state()
        ),
    );
    expect_bytes("The answer", &lines::reversed(&sent), &answer);
}

#[test]
fn e33_a_last_line_without_newline_is_answered() {
    let _test = Test::begin("A read of 0: answer the rest, then close.");
    let (mut client, mut theirs) = client();
    theirs.write_all(b"one\nlast").unwrap();
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    turn(&mut client).unwrap();
    turn(&mut client).unwrap();
    expect_bytes("The answer", b"eno\ntsal", &received(&mut theirs));
    expect_value(
        "The state when the input has ended and its answers are sent",
        &State::Closed,
        &client.state(),
        "the client stays in the table although nothing is left to do.",
    );
}

#[test]
fn e33_a_turn_is_bounded() {
    let _test =
        Test::begin("One read in a turn: a client that sends much must not delay the others.");
    let (mut client, mut theirs) = client();
    let line = b"0123456789abcde\n".repeat(8 * 1024);
    let sent = theirs.write(&line).unwrap();
    assert!(
        sent > 64 * 1024,
        "the pair of sockets takes {sent} bytes at once"
    );
    turn(&mut client).unwrap();
    let answered = received(&mut theirs).len();
    ensure(
        (1..=16 * 1024).contains(&answered),
        format!(
            "One turn has answered {answered} bytes, but it may read 16 KiB once: receive must not read until the socket is empty, \
             because the other clients wait meanwhile."
        ),
    );
}

/// A socket that a signal interrupts at each first try; it has one line to read.
#[derive(Default)]
struct Interrupted {
    reads: usize,
    writes: usize,
    answer: Vec<u8>,
}

impl Read for Interrupted {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        match self.reads {
            1 => Err(ErrorKind::Interrupted.into()),
            2 => (&b"stressed\n"[..]).read(scratch),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Interrupted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        if self.writes == 1 {
            return Err(ErrorKind::Interrupted.into());
        }
        self.answer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn e33_a_signal_is_no_error() {
    let _test = Test::begin(
        "EINTR says nothing about the client: like EAGAIN it means not yet, and the next turn tries again.",
    );
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut client = Client::new(Interrupted::default(), address);
    for number in 1..=4 {
        let both = Readiness::EPOLLIN | Readiness::EPOLLOUT;
        let event = Event::new(Token(0), both);
        if let Err(error) = client.on_event(event, &mut vec![0; 16 * 1024]) {
            fail(format!(
                "In turn {number} a signal interrupted a system call, and that ended the client: {error}."
            ));
        }
    }
    expect_bytes("The answer", b"desserts\n", &client.socket().answer);
}

/// A socket whose every call fails in the same way.
struct Failing(ErrorKind);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
}

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn e33_a_connection_that_breaks_is_an_error() {
    let _test = Test::begin(
        "Every error but EAGAIN and EINTR is the end of the client, and the caller logs it.",
    );
    for kind in [ErrorKind::ConnectionReset, ErrorKind::TimedOut] {
        let mut client = Client::new(Failing(kind), SocketAddr::from(([127, 0, 0, 1], 1)));
        let event = Event::new(Token(0), Readiness::EPOLLIN | Readiness::EPOLLERR);
        let result = client.on_event(event, &mut vec![0; 16 * 1024]);
        expect_value(
            format!("What on_event returns after {kind:?}, and the state"),
            &(Err(kind), State::Closed),
            &(result.map_err(|error| error.kind()), client.state()),
            "the broken connection was taken for an end in order.",
        );
    }
}
