use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::BlackHole;
use mio::net::TcpListener;
use mio::{Events, Poll};
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::race::DELAY;
use stage4_proxy::resolve::{Lookup, Resolver, ResolverLimits};

use crate::mailbox::{Inbox, mailbox};
use crate::queue::link::{Addresses, Link};
use crate::queue::message::Message;
use crate::tokens;

const PATIENCE: Duration = Duration::from_secs(10);

/// The time limit of an attempt.
const LIMIT: Duration = Duration::from_secs(1);

/// A link to a name, and the number of lookups.
struct Fixture {
    link: Link,
    poll: Poll,
    inbox: Inbox<Message>,
    lookups: Arc<AtomicUsize>,
}

fn fixture(addresses: Vec<SocketAddr>) -> Fixture {
    let poll = Poll::new().unwrap();
    let (mailbox, inbox) = mailbox(&poll).unwrap();
    let lookups = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lookups);
    let lookup = Lookup::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(addresses.clone())
    });
    let resolver = Resolver::start(&ResolverLimits::default(), &lookup).unwrap();
    let target = Arc::new("a-name:80".parse().unwrap());
    let link = Link::new(target, resolver, mailbox);
    Fixture {
        link,
        poll,
        inbox,
        lookups,
    }
}

impl Fixture {
    /// Waits for the answer of the thread that resolves the name, and gives it to the link.
    fn answer(&mut self) {
        let mut events = Events::with_capacity(8);
        let message = loop {
            match self.inbox.take() {
                Some(message) => break message,
                None => self.poll.poll(&mut events, Some(PATIENCE)).unwrap(),
            }
            assert!(!events.is_empty(), "no thread resolves the name");
        };
        match message {
            Message::Resolved(answer) => self.link.found(answer.unwrap()),
            Message::Command(_) => panic!("no answer"),
        }
    }

    /// Finds addresses; returns whether the resolver has to be asked for them.
    fn asks(&mut self, now: Instant) -> bool {
        self.link.find_addresses(now).unwrap() == Addresses::Asked
    }

    /// Goes on with the attempts to connect.
    fn try_next(&mut self, now: Instant) -> bool {
        let registry = self.poll.registry();
        self.link.try_next(registry, LIMIT, now)
    }

    /// Waits until an attempt has won; returns how long it took.
    fn connect(&mut self, now: Instant) -> Duration {
        let mut events = Events::with_capacity(8);
        loop {
            self.poll.poll(&mut events, Some(PATIENCE)).unwrap();
            assert!(!events.is_empty(), "no attempt has ended");
            for event in &events {
                if let Some(token) = tokens::unpack(event.token()) {
                    self.link.note(token, event);
                }
            }
            if let Some(concluded) = self.link.conclude(now) {
                return concluded.unwrap();
            }
        }
    }
}

fn peer(link: &Link) -> Option<SocketAddr> {
    link.endpoint()?.peer_addr().socket_addr()
}

#[test]
fn a_link_that_asks_again_costs_no_second_lookup() {
    let now = Instant::now();
    let mut fixture = fixture(vec!["127.0.0.1:80".parse().unwrap()]);
    assert!(fixture.asks(now));
    fixture.answer();
    fixture.link.close();
    assert!(!fixture.asks(now), "the answer is in the cache");
    assert_eq!(fixture.lookups.load(Ordering::SeqCst), 1);
}

#[test]
fn the_address_that_worked_is_tried_first_the_next_time() {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let good = listener.local_addr().unwrap();
    // To a broadcast address, connect(2) says ENETUNREACH itself.
    let bad: SocketAddr = "255.255.255.255:9".parse().unwrap();
    let now = Instant::now();
    let mut fixture = fixture(vec![bad, good]);
    assert!(fixture.asks(now));
    fixture.answer();
    assert!(fixture.try_next(now));
    assert!(fixture.connect(now) < PATIENCE);
    assert_eq!(peer(&fixture.link), Some(good));
    assert!(!fixture.asks(now));
    assert_eq!(fixture.link.found, [good, bad]);
}

/// The first address is silent, and the second works.
#[test]
fn the_next_address_is_tried_beside_a_silent_one_and_the_loser_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (hole, good) = (BlackHole::start(), listener.local_addr().unwrap());
    let now = Instant::now();
    let mut fixture = fixture(vec![hole.addr(), good]);
    assert!(fixture.asks(now));
    fixture.answer();
    assert!(fixture.try_next(now));
    assert_eq!(fixture.link.deadline(), Some(now + DELAY));
    assert!(fixture.try_next(now + DELAY));
    assert_eq!(fixture.link.deadline(), Some(now + LIMIT));
    assert!(fixture.link.endpoint().is_none(), "neither has won");
    assert_eq!(fixture.connect(now + DELAY * 2), DELAY);
    assert_eq!(peer(&fixture.link), Some(good));
    assert_eq!(fixture.link.deadline(), None, "the race is over");
}

#[test]
fn the_reason_is_that_of_the_address_tried_last() {
    let bad: SocketAddr = "255.255.255.255:9".parse().unwrap();
    let now = Instant::now();
    let mut fixture = fixture(vec![bad]);
    assert!(fixture.asks(now));
    fixture.answer();
    fixture.link.failed(ConnectError::TimedOut);
    assert!(!fixture.try_next(now));
    let reason = fixture.link.take_failure();
    assert!(matches!(reason, ConnectError::Unreachable), "{reason}");
    fixture.link.failed(ConnectError::TimedOut);
    assert!(!fixture.asks(now), "an earlier reason is forgotten");
    let reason = fixture.link.take_failure();
    assert!(matches!(reason, ConnectError::Resolve(_)), "{reason}");
}

#[test]
fn a_doubt_ends_and_leaves_the_usual_bound() {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let now = Instant::now();
    let mut fixture = fixture(vec![listener.local_addr().unwrap()]);
    assert!(fixture.asks(now));
    fixture.answer();
    assert!(fixture.try_next(now));
    fixture.connect(now);
    let bound = |link: &Link| link.endpoint().unwrap().unacknowledged_for();
    let usual = bound(&fixture.link);
    for _ in 0..2 {
        fixture.link.doubt(Duration::from_secs(1));
        assert_eq!(bound(&fixture.link), Some(Duration::from_secs(1)));
    }
    fixture.link.trust();
    assert_eq!(bound(&fixture.link), usual);
}
