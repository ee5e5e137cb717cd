//! The exchange against an upstream that is played by hand, over a real loopback connection.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll};
use stage2_client::Prefer;
use stage4_proxy::resolve::{Lookup, Resolver};
use stage4_proxy::token::Side;

use super::*;
use crate::mailbox::{Inbox, mailbox};
use crate::queue::client::Upload;
use crate::queue::flight::{Outgoing, Sending};
use crate::queue::framing::{Requests as _, Status, Summary};
use crate::queue::http1::{Details, Http1};
use crate::queue::message::Message;
use crate::tokens;

mod doubts;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";

/// An exchange with what a worker would lend it.
struct Fixture {
    exchange: Exchange<Http1>,
    framing: Http1,
    listener: Option<TcpListener>,
    poll: Poll,
    scratch: Scratch,
    log: Log,
    totals: Totals,
    limits: Limits,
    reader: Reader,
    queued: bool,
    now: Instant,
    /// Kept, because the link's mailbox sends to it.
    _inbox: Inbox<Message>,
}

fn fixture() -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string().parse().unwrap();
    let poll = Poll::new().unwrap();
    let (mailbox, inbox) = mailbox(&poll).unwrap();
    let now = Instant::now();
    let timeouts = Timeouts {
        connect: PATIENCE,
        response: PATIENCE,
        kept: PATIENCE,
    };
    let lookup = Lookup::system(Prefer::default());
    let limits = Limits::default();
    let resolver = Resolver::start(&limits.resolver, &lookup).unwrap();
    let link = Link::new(Arc::new(target), resolver, mailbox);
    Fixture {
        exchange: Exchange::new(timeouts, link, now),
        framing: Http1::new("test".to_owned(), limits.max_head, limits.max_body),
        listener: Some(listener),
        poll,
        scratch: Scratch::new(limits.chunk),
        log: Log::new(),
        totals: Totals::default(),
        limits,
        reader: Reader::HasRoom,
        queued: false,
        now,
        _inbox: inbox,
    }
}

fn client() -> Token {
    Token::new(7, Side::Client, 1)
}

impl Fixture {
    /// Begins with a request of a client.
    fn begin(&mut self, request: &[u8]) {
        let summary = self.summary(request);
        let bytes = request.to_vec();
        self.begin_with(summary, bytes, true);
    }

    fn begin_with(&mut self, summary: Summary<Details>, bytes: Vec<u8>, whole: bool) {
        let outgoing = Outgoing {
            summary,
            bytes,
            whole,
        };
        let responses = self.framing.responses(outgoing.summary);
        let flight = Flight::new(client(), outgoing, responses, self.now);
        self.exchange.begin(flight, self.now);
    }

    fn summary(&self, request: &[u8]) -> Summary<Details> {
        let mut rewritten = Vec::new();
        let taken = self.framing.requests().take(request, &mut rewritten);
        let Status::Complete(summary) = taken.unwrap().status else {
            panic!("not a complete request");
        };
        summary
    }

    fn advance(&mut self) -> Step {
        let mut lent = Lent {
            registry: self.poll.registry(),
            scratch: &mut self.scratch,
            log: &mut self.log,
            totals: &mut self.totals,
            limits: &self.limits,
            reader: self.reader,
            queued: self.queued,
            draining: false,
            now: self.now,
        };
        self.exchange.advance(&mut lent)
    }

    /// Waits for the next event of the upstream's socket.
    fn wait(&mut self) {
        let mut events = Events::with_capacity(8);
        self.poll.poll(&mut events, Some(PATIENCE)).unwrap();
        assert!(!events.is_empty(), "no event in {:?}", self.exchange);
        for event in &events {
            if let Some(token) = tokens::unpack(event.token()) {
                self.exchange.note(token, event);
            }
        }
    }

    /// Advances until the worker has something to do.
    fn next(&mut self) -> Step {
        loop {
            let step = self.advance();
            if step == Step::Wait {
                self.wait();
            } else if step != Step::Again {
                return step;
            }
        }
    }

    /// Advances until the machine is in this state; the worker has nothing to do on the way.
    fn until(&mut self, state: State) {
        while self.exchange.machine.state() != state {
            let step = self.advance();
            if step == Step::Wait {
                self.wait();
            } else {
                assert_eq!(step, Step::Again, "on the way to {state:?}");
            }
        }
    }

    /// Begins with a request and returns the upstream's end once all of it has arrived there.
    fn sent(&mut self, request: &[u8]) -> TcpStream {
        self.begin(request);
        self.until(State::AwaitingHead);
        self.accept(request)
    }

    /// Accepts the connection of the exchange and reads a request from it.
    fn accept(&self, request: &[u8]) -> TcpStream {
        let (mut upstream, _) = self.listener.as_ref().unwrap().accept().unwrap();
        upstream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut received = vec![0; request.len()];
        upstream.read_exact(&mut received).unwrap();
        assert_eq!(received, request);
        upstream
    }

    /// Returns the part of the response that the worker would deliver.
    fn delivered(&self) -> Vec<u8> {
        let (head, body) = self.scratch.response();
        [head, body].concat()
    }
}

/// Asserts that the exchange has closed its connection.
fn expect_end(mut upstream: TcpStream) {
    assert_eq!(upstream.read(&mut [0]).unwrap(), 0, "end of input");
}

#[test]
fn a_response_is_delivered_as_it_arrives_and_frees_the_connection() {
    let mut fixture = fixture();
    let mut upstream = fixture.sent(GET);
    let to = client();
    let large = vec![b'x'; 10_000];
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Len")
        .unwrap();
    assert_eq!(fixture.next(), Step::Deliver { to });
    assert_eq!(fixture.delivered(), b"", "half a head is not passed on");
    upstream.write_all(b"gth: 10005\r\n\r\n").unwrap();
    assert_eq!(fixture.next(), Step::Deliver { to });
    assert!(fixture.delivered().starts_with(b"HTTP/1.1 200 OK\r\n"));
    upstream.write_all(&large).unwrap();
    let mut received = 0;
    while received < large.len() {
        assert_eq!(fixture.next(), Step::Deliver { to });
        received += fixture.delivered().len();
    }
    upstream.write_all(b"whole").unwrap();
    let finished = Step::Finished {
        to: Some(to),
        keep: true,
    };
    assert_eq!(fixture.next(), finished);
    assert_eq!(fixture.delivered(), b"whole");
    assert!(fixture.exchange.is_emptied(), "the next request can leave");
    fixture.queued = true;
    assert_eq!(fixture.next(), Step::NextRequest);
}

#[test]
fn surplus_bytes_close_the_connection() {
    let mut fixture = fixture();
    let mut upstream = fixture.sent(GET);
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n")
        .unwrap();
    let to = Some(client());
    assert_eq!(fixture.next(), Step::Finished { to, keep: true });
    assert!(fixture.delivered().ends_with(b"ok"), "and no byte more");
    assert!(!fixture.exchange.is_emptied());
    expect_end(upstream);
}

#[test]
fn the_response_for_a_client_that_has_closed_is_read_and_dropped() {
    let mut fixture = fixture();
    let mut upstream = fixture.sent(GET);
    fixture.exchange.abandon(fixture.now);
    fixture.queued = true;
    assert_eq!(fixture.advance(), Step::Wait, "the next request waits");
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla")
        .unwrap();
    fixture.until(State::Relaying);
    upstream.write_all(b"te").unwrap();
    let dropped = Step::Finished {
        to: None,
        keep: true,
    };
    assert_eq!(fixture.next(), dropped);
    assert_eq!(fixture.next(), Step::NextRequest);
}

#[test]
fn an_endless_response_for_a_client_that_has_closed_is_cut_off() {
    let mut fixture = fixture();
    fixture.limits.max_buffered = 100;
    let mut upstream = fixture.sent(GET);
    fixture.exchange.abandon(fixture.now);
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        .unwrap();
    upstream.write_all(&[b'x'; 101]).unwrap();
    fixture.until(State::Dead);
    assert!(fixture.exchange.view().is_none(), "closed");
}

#[test]
fn a_lost_request_is_sent_once_more_and_then_refused() {
    let mut fixture = fixture();
    drop(fixture.sent(GET));
    fixture.until(State::Connecting);
    fixture.until(State::AwaitingHead);
    drop(fixture.accept(GET));
    let why = Refusal::BadGateway("the upstream closed the connection");
    let to = client();
    assert_eq!(fixture.next(), Step::Refuse { to, why });
}

#[test]
fn a_request_that_is_not_idempotent_is_refused_at_once() {
    let mut fixture = fixture();
    drop(fixture.sent(POST));
    let why = Refusal::BadGateway("the upstream closed the connection");
    let to = client();
    assert_eq!(fixture.next(), Step::Refuse { to, why });
}

#[test]
fn an_upstream_that_does_not_listen_is_a_refusal() {
    let mut fixture = fixture();
    fixture.listener = None;
    fixture.begin(GET);
    let why = Refusal::BadGateway("the upstream cannot be reached");
    let to = client();
    assert_eq!(fixture.next(), Step::Refuse { to, why });
    assert_eq!(fixture.totals.failures.refused, 1);
    fixture.queued = true;
    assert_eq!(fixture.next(), Step::NextRequest);
}

#[test]
fn a_response_that_breaks_off_is_aborted() {
    let mut fixture = fixture();
    let mut upstream = fixture.sent(GET);
    let to = client();
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        .unwrap();
    assert_eq!(fixture.next(), Step::Deliver { to });
    drop(upstream);
    let ending = Ending::Truncated;
    assert_eq!(fixture.next(), Step::Abort { to, ending });
}

#[test]
fn nothing_is_read_for_a_client_with_a_full_buffer() {
    let mut fixture = fixture();
    let mut upstream = fixture.sent(GET);
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    fixture.reader = Reader::Full;
    fixture.wait();
    assert_eq!(fixture.advance(), Step::Wait);
    assert_eq!(
        fixture.exchange.expire(Reader::Full, fixture.now),
        Step::Again,
        "the client is late, not the upstream"
    );
    fixture.reader = Reader::HasRoom;
    let to = Some(client());
    assert_eq!(fixture.next(), Step::Finished { to, keep: true });
}

#[test]
fn a_request_that_streams_asks_its_client_for_more() {
    let mut fixture = fixture();
    let summary = fixture.summary(GET);
    fixture.begin_with(summary, GET[..10].to_vec(), false);
    let from = client();
    assert_eq!(fixture.next(), Step::Refill { from });
    assert_eq!(fixture.exchange.sending(), Sending::Awaited);
    let mut part = fixture.exchange.lend_memory();
    assert!(part.is_empty());
    part.extend_from_slice(&GET[10..]);
    let now = fixture.now;
    let step = fixture.exchange.refilled(part, Upload::Whole, now);
    assert_eq!(step, Step::Again);
    fixture.until(State::AwaitingHead);
    drop(fixture.accept(GET));
    let why = Refusal::BadGateway("the upstream closed the connection");
    let refused = Step::Refuse { to: from, why };
    assert_eq!(fixture.next(), refused, "its beginning cannot be repeated");
}

#[test]
fn an_upload_that_fails_closes_the_connection() {
    let mut fixture = fixture();
    let summary = fixture.summary(GET);
    fixture.begin_with(summary, GET[..10].to_vec(), false);
    let from = client();
    assert_eq!(fixture.next(), Step::Refill { from });
    let (why, now) = (Refusal::TooSlow, fixture.now);
    let step = fixture.exchange.fail_upload(why, now);
    assert_eq!(step, Step::Refuse { to: from, why });
    expect_end(fixture.accept(&GET[..10]));
}

#[test]
fn a_race_ends_with_the_time_of_both_attempts() {
    let mut fixture = fixture();
    let start = fixture.now;
    drop(fixture.sent(GET));
    fixture.now = start + PATIENCE - SECOND;
    fixture.until(State::Connecting);
    while fixture.exchange.attempt != Attempt::Pending {
        assert_eq!(fixture.advance(), Step::Again);
    }
    let until = start + PATIENCE;
    assert!(fixture.exchange.link.deadline() > Some(until));
    assert_eq!(fixture.exchange.deadline(), Some(until));
    let (to, why) = (client(), Refusal::UpstreamTimeout);
    let step = fixture.exchange.expire(Reader::HasRoom, until);
    assert_eq!(step, Step::Refuse { to, why });
    assert!(fixture.exchange.view().is_none(), "closed");
    assert_eq!(fixture.exchange.deadline(), None);
}

#[test]
fn what_the_upstream_says_before_the_request_is_no_response() {
    let mut fixture = fixture();
    fixture.begin(GET);
    while fixture.exchange.attempt != Attempt::Pending {
        assert_eq!(fixture.advance(), Step::Again);
    }
    // The kernel has completed the connection, although the exchange does not know it yet.
    let (mut upstream, _) = fixture.listener.as_ref().unwrap().accept().unwrap();
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    let why = Refusal::BadGateway("the upstream has answered before it was asked");
    let to = client();
    assert_eq!(fixture.next(), Step::Refuse { to, why });
    assert!(fixture.exchange.view().is_none(), "closed");
    expect_end(upstream);
}

#[test]
fn a_client_that_closes_during_the_connect_leaves_an_idle_connection() {
    let mut fixture = fixture();
    fixture.begin(GET);
    assert_eq!(fixture.advance(), Step::Again);
    fixture.exchange.abandon(fixture.now);
    fixture.until(State::Idle);
    fixture.begin(POST);
    fixture.until(State::AwaitingHead);
    fixture.accept(POST);
}
