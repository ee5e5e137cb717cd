//! Exercise 3.3 through the library: the state machine of one client.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use crate::support::pair;
use harness::{Rng, Test, expect_bytes, lines};
use stage3_epoll::{Client, Event, Fact, Interest, MAX_PENDING, Readiness, State, Token};

/// A client whose other end is in the test's hand.
fn client() -> (Client<UnixStream>, UnixStream) {
    let (ours, theirs) = pair();
    theirs.set_nonblocking(true).expect("a non-blocking socket");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    (Client::new(ours, address), theirs)
}

fn turn(client: &mut Client<UnixStream>) -> std::io::Result<()> {
    let both = Readiness::EPOLLIN | Readiness::EPOLLOUT;
    client.on_event(Event::new(Token(0), both), &mut vec![0; 16 * 1024])
}

fn received(theirs: &mut UnixStream) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
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
        assert_eq!(state.after(fact), next, "{state:?} after {fact:?}");
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
    assert_eq!(client.state(), State::Open);
    theirs.write_all(b"lf\n").unwrap();
    turn(&mut client).unwrap();
    expect_bytes("The answer", b"flah\n", &received(&mut theirs));
}

#[test]
fn e33_an_idle_client_wants_to_read_only() {
    let _test =
        Test::begin("Ask for writable only while bytes wait: a socket is nearly always writable.");
    let (mut client, mut theirs) = client();
    assert_eq!(client.interest(), Interest::READABLE);
    theirs.write_all(b"one\n").unwrap();
    turn(&mut client).unwrap();
    expect_bytes(
        "The answer in the same turn",
        b"eno\n",
        &received(&mut theirs),
    );
    assert_eq!(client.interest(), Interest::READABLE);
    assert_eq!(
        client.change_of_interest(),
        None,
        "nothing changed, so nothing is registered"
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
    harness::fail("the client reads more and more although its answers are not read")
}

#[test]
fn e33_who_does_not_read_is_not_read() {
    let _test =
        Test::begin("At MAX_PENDING bytes of output, stop reading; go on when there is room.");
    let (mut client, mut theirs) = client();
    let sent = fill(&mut client, &mut theirs);
    assert!(sent.len() >= MAX_PENDING);
    assert_eq!(client.change_of_interest(), Some(Interest::WRITABLE));
    let mut answer = Vec::new();
    while answer.len() < sent.len() {
        answer.extend(received(&mut theirs));
        turn(&mut client).unwrap();
    }
    assert!(answer == lines::reversed(&sent), "all answers, in order");
    assert_eq!(client.change_of_interest(), Some(Interest::READABLE));
}

#[test]
fn e33_the_end_of_the_input_is_not_the_end_of_the_answers() {
    let _test = Test::begin("Draining: want to write, not to read, until the last answer is sent.");
    let (mut client, mut theirs) = client();
    let sent = fill(&mut client, &mut theirs);
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    // Bounded: an honest client needs about one turn for each 64 KiB.
    for _ in 0..10_000 {
        answer.extend(received(&mut theirs));
        turn(&mut client).unwrap();
        if client.state() == State::Draining {
            assert_eq!(client.interest(), Interest::WRITABLE);
        }
        if client.state() == State::Closed {
            break;
        }
    }
    answer.extend(received(&mut theirs));
    assert_eq!(client.state(), State::Closed);
    assert!(answer == lines::reversed(&sent), "all answers, in order");
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
    assert_eq!(client.state(), State::Closed);
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
    assert!(
        (1..=16 * 1024).contains(&answered),
        "{answered} bytes in one turn of 16 KiB"
    );
}
