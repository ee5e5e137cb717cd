//! A client over a real loopback connection; the time is a parameter.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use mio::{Events, Poll};

use super::*;
use crate::queue::http1::Http1;
use crate::queue::limits::Limits;

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
const SECOND: Duration = Duration::from_secs(1);

/// A client, the peer that plays it, and the limits that hold for it.
struct Fixture {
    client: Client<Http1>,
    peer: TcpStream,
    limits: Limits,
    begin: Instant,
}

fn fixture() -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, address) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let limits = Limits {
        client_timeout: 10 * SECOND,
        ..Limits::default()
    };
    let framing = Http1::new("upstream".to_owned(), limits.max_head, limits.max_body);
    let endpoint = Endpoint::accepted(socket, address);
    let begin = Instant::now();
    Fixture {
        client: Client::new(endpoint, framing.requests(), begin),
        peer,
        limits,
        begin,
    }
}

impl Fixture {
    /// Lets the client read these bytes, `after` its begin; returns whether they complete a request.
    fn send(&mut self, bytes: &[u8], after: Duration) -> bool {
        self.peer.write_all(bytes).unwrap();
        let expected = self.client.traffic.up + bytes.len() as u64;
        loop {
            self.client.endpoint.assume_readable();
            let collected = self.client.collect(&mut [0; 256], self.begin + after);
            match collected.unwrap() {
                Collected::Request(summary) => {
                    self.client.wait(summary);
                    return true;
                }
                Collected::Nothing if self.client.traffic.up < expected => std::thread::yield_now(),
                Collected::Nothing => return false,
                other @ (Collected::Ended | Collected::Refused(_)) => panic!("{other:?}"),
            }
        }
    }

    /// Plays the exchange of the request that waits, up to the end of its response.
    fn exchange(&mut self, after: Duration) {
        let now = self.begin + after;
        assert!(self.client.begin_exchange(now).unwrap().is_some());
        self.client.end_exchange(true, now);
    }

    /// Returns how long after its begin the client has taken too long.
    fn deadline(&self) -> Option<Duration> {
        Some(self.client.deadline(&self.limits)? - self.begin)
    }
}

#[test]
fn an_empty_line_between_two_requests_changes_nothing() {
    let mut fixture = fixture();
    assert!(fixture.send(&[POST, b"\r\n"].concat(), SECOND));
    fixture.exchange(2 * SECOND);
    for (bytes, after) in [(&b""[..], 2), (b"\r\n", 3), (b"\r", 4), (b"\n\r\n\r", 5)] {
        assert!(!fixture.send(bytes, after * SECOND));
        assert!(fixture.client.is_idle(), "{bytes:?}");
        assert_eq!(fixture.deadline(), Some(12 * SECOND), "{bytes:?}");
    }
    assert!(!fixture.send(&[b"\n", &POST[..9]].concat(), 11 * SECOND));
    assert!(!fixture.client.is_idle(), "a head has begun");
    assert_eq!(fixture.deadline(), Some(21 * SECOND), "from its first byte");
    assert!(!fixture.send(&POST[9..18], 12 * SECOND));
    assert_eq!(fixture.deadline(), Some(21 * SECOND));
    assert!(fixture.send(&POST[18..], 13 * SECOND));
}

#[test]
fn a_client_that_sends_nothing_but_empty_lines_is_refused_in_the_end() {
    let mut fixture = fixture();
    let most = fixture.limits.max_head;
    for _ in 0..most / 256 - 1 {
        assert!(!fixture.send(&b"\r\n".repeat(128), SECOND));
    }
    fixture.peer.write_all(&b"\r\n".repeat(128)).unwrap();
    fixture.client.endpoint.assume_readable();
    let collected = fixture.client.collect(&mut [0; 256], fixture.begin);
    let refused = matches!(collected, Ok(Collected::Refused(Refusal::HeadTooLarge)));
    assert!(refused, "{collected:?}");
}

#[test]
fn a_body_has_a_deadline_from_its_last_byte() {
    let mut fixture = fixture();
    assert!(!fixture.send(&POST[..POST.len() - 2], SECOND));
    assert_eq!(fixture.deadline(), Some(11 * SECOND));
    assert!(!fixture.send(b"a", 5 * SECOND));
    assert_eq!(fixture.deadline(), Some(15 * SECOND));
    assert!(fixture.send(b"b", 9 * SECOND));
    assert_eq!(fixture.deadline(), None, "its request waits");
}

/// Lets the kernel say that the client's socket takes bytes.
fn note_room(client: &mut Client<Http1>) {
    let mut poll = Poll::new().unwrap();
    client
        .endpoint
        .register(poll.registry(), mio::Token(0))
        .unwrap();
    let mut events = Events::with_capacity(1);
    poll.poll(&mut events, Some(10 * SECOND)).unwrap();
    for event in &events {
        client.endpoint.note(event);
    }
}

#[test]
fn a_client_that_has_read_everything_has_no_deadline() {
    let mut fixture = fixture();
    assert!(fixture.send(POST, SECOND));
    let at = |seconds| fixture.begin + seconds * SECOND;
    let client = &mut fixture.client;
    assert!(client.begin_exchange(at(1)).unwrap().is_some());
    client.write(b"a part", &[]).unwrap();
    client.hold(true, at(2));
    assert_eq!(client.deadline(&fixture.limits), Some(at(12)));
    note_room(client);
    client.flush(at(3)).unwrap();
    assert_eq!(
        client.deadline(&fixture.limits),
        None,
        "the upstream is late"
    );
}

#[test]
fn a_client_that_has_to_send_the_rest_keeps_its_deadline() {
    let mut fixture = fixture();
    assert!(!fixture.send(&POST[..POST.len() - 1], SECOND));
    let now = fixture.begin + SECOND;
    fixture.client.hold(true, now);
    fixture.client.flush(now + SECOND).unwrap();
    fixture.client.hold(false, now + SECOND);
    assert_eq!(fixture.client.clock.pace.since(), Some(now));
}

#[test]
fn a_new_exchange_ends_the_measure_of_an_earlier_one() {
    let mut fixture = fixture();
    fixture.client.hold(true, fixture.begin);
    assert!(fixture.send(POST, SECOND));
    let now = fixture.begin + 20 * SECOND;
    assert!(fixture.client.begin_exchange(now).unwrap().is_some());
    assert_eq!(fixture.deadline(), None);
}
