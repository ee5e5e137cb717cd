use std::collections::VecDeque;

use harness::expect_bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use stage1_server::MAX_LINE;

use super::*;
use crate::poll::Readiness;
use crate::token::Token;

const MAX_READ: usize = 1024;

/// A socket that follows a script; at the end of the script it is not ready.
#[derive(Debug, Default)]
struct Script {
    /// What each read brings; an empty piece is the client's FIN.
    reads: VecDeque<io::Result<Vec<u8>>>,
    /// How much each write takes.
    writes: VecDeque<io::Result<usize>>,
    received: Vec<u8>,
}

impl Read for Script {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let not_ready = || Err(io::ErrorKind::WouldBlock.into());
        let mut piece = self.reads.pop_front().unwrap_or_else(not_ready)?;
        let count = piece.len().min(scratch.len());
        scratch[..count].copy_from_slice(&piece[..count]);
        if count < piece.len() {
            self.reads.push_front(Ok(piece.split_off(count)));
        }
        Ok(count)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let not_ready = || Err(io::ErrorKind::WouldBlock.into());
        let count = self.writes.pop_front().unwrap_or_else(not_ready)?;
        let count = count.min(bytes.len());
        self.received.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn client(reads: &[&[u8]], writes: &[usize]) -> Client<Script> {
    let script = Script {
        reads: reads.iter().map(|piece| Ok(piece.to_vec())).collect(),
        writes: writes.iter().map(|count| Ok(*count)).collect(),
        received: Vec::new(),
    };
    Client::new(script, "192.0.2.1:1024".parse().unwrap())
}

fn turn(client: &mut Client<Script>, readiness: Readiness) -> io::Result<()> {
    let mut scratch = [0; MAX_READ];
    client.on_event(Event::new(Token(0), readiness), &mut scratch)
}

#[test]
fn every_state_and_fact() {
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
fn interest_follows_from_state_and_output() {
    let table = [
        (State::Open, 0, Interest::READABLE),
        (State::Open, 1, Interest::BOTH),
        (State::Open, MAX_PENDING - 1, Interest::BOTH),
        (State::Open, MAX_PENDING, Interest::WRITABLE),
        (State::Draining, 0, Interest::WRITABLE),
        (State::Draining, 1, Interest::WRITABLE),
        (State::Closed, 0, Interest::NONE),
        (State::Closed, 1, Interest::NONE),
    ];
    for (state, pending, interest) in table {
        let mut client = client(&[], &[]);
        client.state = state;
        client.output = vec![0; pending];
        assert_eq!(
            client.interest(),
            interest,
            "{state:?} with {pending} bytes"
        );
    }
}

#[test]
fn only_a_change_of_interest_is_told() {
    let mut client = client(&[], &[]);
    assert_eq!(
        client.change_of_interest(),
        None,
        "READABLE is registered at the start"
    );
    client.output = vec![0; 1];
    let both = client.change_of_interest();
    assert_eq!(both, Some(Interest::BOTH), "an answer waits");
    assert_eq!(client.change_of_interest(), None, "it was told already");
    client.output.clear();
    let readable = client.change_of_interest();
    assert_eq!(
        readable,
        Some(Interest::READABLE),
        "no answer waits any more"
    );
    client.state = State::Closed;
    assert_eq!(
        client.change_of_interest(),
        None,
        "a closed client leaves anyway"
    );
}

#[test]
fn an_answer_leaves_in_the_turn_of_its_line() {
    let mut client = client(&[b"one\ntw"], &[100]);
    turn(&mut client, Readiness::EPOLLIN).unwrap();
    expect_bytes(
        "The answer to a line and a half",
        b"eno\n",
        &client.socket.received,
    );
    assert_eq!(client.interest(), Interest::READABLE, "nothing is unsent");
}

#[test]
fn a_short_write_keeps_the_rest_and_asks_for_room() {
    let mut client = client(&[b"one\n"], &[1]);
    turn(&mut client, Readiness::EPOLLIN).unwrap();
    assert_eq!(
        client.interest(),
        Interest::BOTH,
        "the write took 1 byte of 4"
    );
    client.socket.writes.push_back(Ok(100));
    turn(&mut client, Readiness::EPOLLOUT).unwrap();
    expect_bytes(
        "The answer, in two writes,",
        b"eno\n",
        &client.socket.received,
    );
    assert_eq!(client.interest(), Interest::READABLE, "all is sent");
}

#[test]
fn after_the_fin_the_rest_is_answered_and_then_it_closes() {
    let mut client = client(&[b"one\nlast", b""], &[]);
    turn(&mut client, Readiness::EPOLLIN).unwrap();
    turn(&mut client, Readiness::EPOLLIN | Readiness::EPOLLRDHUP).unwrap();
    assert_eq!(
        (client.state(), client.interest()),
        (State::Draining, Interest::WRITABLE),
        "after the FIN, with answers that are not sent"
    );
    client.socket.writes.extend([Ok(5), Ok(100)]);
    turn(&mut client, Readiness::EPOLLOUT).unwrap();
    assert_eq!(client.state(), State::Draining, "5 bytes of 8 are sent");
    turn(&mut client, Readiness::EPOLLOUT).unwrap();
    assert_eq!(client.state(), State::Closed, "all is sent");
    expect_bytes("All answers", b"eno\ntsal", &client.socket.received);
}

#[test]
fn a_fin_with_nothing_to_send_closes_in_the_same_turn() {
    let mut client = client(&[b""], &[]);
    turn(&mut client, Readiness::EPOLLIN | Readiness::EPOLLRDHUP).unwrap();
    assert_eq!(client.state(), State::Closed, "a FIN, and nothing to send");
}

#[test]
fn an_event_without_a_reason_changes_nothing() {
    for readiness in [Readiness::EPOLLIN, Readiness::EPOLLOUT, Readiness::EPOLLHUP] {
        let mut client = client(&[], &[]);
        turn(&mut client, readiness).unwrap();
        assert_eq!(
            (client.state(), client.interest()),
            (State::Open, Interest::READABLE),
            "after {readiness:?}, and a read and a write that were not ready"
        );
    }
}

#[test]
fn what_the_event_does_not_announce_is_not_tried() {
    let mut client = client(&[b"one\n"], &[100]);
    turn(&mut client, Readiness::EPOLLOUT).unwrap();
    assert_eq!(client.socket.reads.len(), 1, "room to write is no bytes");
    for readiness in [
        Readiness::EPOLLIN,
        Readiness::EPOLLRDHUP,
        Readiness::EPOLLHUP,
        Readiness::EPOLLERR,
    ] {
        client.socket.reads = VecDeque::from([Ok(b"one\n".to_vec())]);
        turn(&mut client, readiness).unwrap();
        assert!(
            client.socket.reads.is_empty(),
            "{readiness:?} announces bytes or an end, but nothing was read"
        );
    }
}

#[test]
fn a_hang_up_does_not_take_away_what_was_sent_before_it() {
    let mut client = client(&[b"one\n", b""], &[100]);
    let hang_up = Readiness::EPOLLIN | Readiness::EPOLLRDHUP | Readiness::EPOLLHUP;
    turn(&mut client, hang_up).unwrap();
    turn(&mut client, hang_up).unwrap();
    expect_bytes(
        "The answer to the line before the hang-up",
        b"eno\n",
        &client.socket.received,
    );
    assert_eq!(client.state(), State::Closed, "after the hang-up");
}

#[test]
fn a_reset_closes_whether_it_is_read_or_written() {
    let reset = io::ErrorKind::ConnectionReset;
    let mut reading = client(&[], &[]);
    reading.socket.reads.push_back(Err(reset.into()));
    assert_eq!(
        turn(&mut reading, Readiness::EPOLLERR).unwrap_err().kind(),
        reset
    );
    assert_eq!(reading.state(), State::Closed, "a read has failed");

    let mut writing = client(&[], &[]);
    writing.output = vec![0; MAX_PENDING];
    writing.socket.writes.push_back(Err(reset.into()));
    assert_eq!(
        turn(&mut writing, Readiness::EPOLLERR).unwrap_err().kind(),
        reset
    );
    assert_eq!(writing.state(), State::Closed, "a write has failed");
}

#[test]
fn a_line_that_is_too_long_closes_after_the_answers_before_it() {
    let mut client = client(&[b"one\n"], &[100]);
    let endless = vec![b'x'; MAX_LINE + MAX_READ];
    client.socket.reads.push_back(Ok(endless));
    let error = loop {
        if let Err(error) = turn(&mut client, Readiness::EPOLLIN) {
            break error;
        }
    };
    assert_eq!(
        error.kind(),
        io::ErrorKind::InvalidData,
        "the kind of: {error}"
    );
    expect_bytes(
        "The answer to the line before it",
        b"eno\n",
        &client.socket.received,
    );
    assert_eq!(
        client.state(),
        State::Closed,
        "after a line that is too long"
    );
}

#[test]
fn a_client_that_never_reads_is_not_read_any_more() {
    let mut client = client(&[], &[]);
    let flood = b"never mind\n".repeat(1 << 20);
    let length = flood.len();
    client.socket.reads.push_back(Ok(flood));
    let both = Readiness::EPOLLIN | Readiness::EPOLLOUT;
    for _ in 0..1000 {
        turn(&mut client, both).unwrap();
    }
    assert_eq!(
        client.interest(),
        Interest::WRITABLE,
        "its answers are full"
    );
    let pending = client.output.len();
    assert!(
        pending < MAX_PENDING + MAX_READ,
        "{pending} bytes of answers wait: it was read although MAX_PENDING was reached"
    );
    let taken = length - client.socket.reads[0].as_ref().unwrap().len();
    assert!(
        taken < MAX_PENDING + 2 * MAX_READ,
        "{taken} bytes were read from a client that does not read"
    );
}

fn any_writes() -> impl Strategy<Value = Vec<usize>> {
    vec(0..40_usize, 0..200)
}

proptest! {
    /// However reads and writes are cut, and whenever a socket is not ready, the client gets
    /// each line reversed, once, in order.
    #[test]
    fn cuts_do_not_matter(
        pieces in vec("[a-c\n]{1,30}", 0..20),
        writes in any_writes(),
    ) {
        let whole = pieces.concat();
        let reads: Vec<_> = pieces.iter().map(String::as_bytes).collect();
        let mut client = client(&reads, &[]);
        client.socket.reads.push_back(Ok(Vec::new()));
        for count in writes {
            let not_ready = || Err(io::ErrorKind::WouldBlock.into());
            let outcome = if count == 0 { not_ready() } else { Ok(count) };
            client.socket.writes.push_back(outcome);
        }
        let both = Readiness::EPOLLIN | Readiness::EPOLLOUT;
        while client.state() != State::Closed {
            if client.socket.writes.is_empty() {
                client.socket.writes.push_back(Ok(usize::MAX));
            }
            turn(&mut client, both).unwrap();
        }
        let mut expected = Vec::new();
        for line in whole.split_inclusive('\n') {
            let mut line = line.as_bytes().to_vec();
            stage1_server::reverse_line(&mut line);
            expected.extend(line);
        }
        prop_assert_eq!(&client.socket.received, &expected);
    }
}
