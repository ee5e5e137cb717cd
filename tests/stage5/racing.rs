//! The addresses of the upstream's name in a race, the next beside the first (RFC 8305), through the library, because
//! the test names the addresses.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use harness::sockets::Attempts;
use harness::{BlackHole, Client, ClosedPort, PATIENCE, Test, eventually_equal, scaled};
use stage4_proxy::resolve::Lookup;
use stage5_mux::queue::{Config, FramingName, Limits, Queue};

use crate::support::{Site, Then, ask, get, ok};

/// The time after which the next address is tried, as RFC 8305 recommends it.
const DELAY: Duration = Duration::from_millis(250);

/// A queue in this process whose upstream has the addresses that the test gives.
struct Racing(Option<Queue>);

impl Racing {
    fn start(addresses: &[SocketAddr], connect_timeout: Duration) -> Self {
        let addresses = addresses.to_vec();
        let config = Config {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            upstream: "injected.example:80".parse().expect("a target"),
            lookup: Lookup::new(move |_| Ok(addresses.clone())),
            framing: FramingName::Http1,
            limits: Limits {
                connect_timeout,
                ..Limits::default()
            },
            inspect: None,
        };
        Self(Some(
            Queue::start(&config).expect("a queue in this process"),
        ))
    }

    fn client(&self) -> Client {
        Client::connect(
            self.0
                .as_ref()
                .expect("it runs until it is dropped")
                .local_addr(),
        )
    }
}

impl Drop for Racing {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.control().stop();
            drop(queue.wait());
        }
    }
}

#[test]
fn e56_a_silent_address_of_the_upstream_costs_a_quarter_of_a_second() {
    let _test = Test::begin(
        "Do not wait for the time limit of a silent address: try the next one beside it.",
    );
    let site = Site::start(|peer, asked| {
        peer.send(&ok(asked.path().as_bytes()));
        Then::Close
    });
    let hole = BlackHole::start();
    let attempts = Attempts::to(hole.addr());
    let queue = Racing::start(&[hole.addr(), site.addr()], Duration::from_secs(600));
    let begun = Instant::now();
    assert_eq!(
        ask(&queue.client(), &get("/first")).text(),
        "/first",
        "the body of the response to /first"
    );
    let took = begun.elapsed();
    assert!(took >= DELAY * 9 / 10, "after {took:?} already");
    assert!(took < scaled(PATIENCE / 2), "after {took:?}");
    eventually_equal("attempts", &0, || attempts.count());
    let again = Instant::now();
    for _ in 0..20 {
        assert_eq!(
            ask(&queue.client(), &get("/next")).text(),
            "/next",
            "the body of the response to /next"
        );
    }
    let took = again.elapsed();
    assert!(took < DELAY * 20, "{took:?} for 20 connects");
    assert_eq!(site.accepts(), 21, "connections that the site has accepted");
}

#[test]
fn e56_if_no_address_answers_the_last_failure_decides() {
    let _test = Test::begin("A time limit that was the last failure is a 504, a refusal a 502.");
    let (hole, closed) = (BlackHole::start(), ClosedPort::start());
    for (addresses, status) in [
        ([hole.addr(), closed.addr()], "504"),
        ([closed.addr(), hole.addr()], "504"),
        ([closed.addr(), closed.addr()], "502"),
    ] {
        let queue = Racing::start(&addresses, DELAY * 2);
        assert_eq!(
            ask(&queue.client(), &get("/")).status(),
            status,
            "the status of the response to /"
        );
    }
}
