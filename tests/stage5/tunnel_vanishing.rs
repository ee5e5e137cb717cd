//! Local peers of a tunnel that vanish, and local readers that only pause: the kernel tells them apart.
//!
//! The interval of its probes is a minute, and no option of the program. So these tests run both ends of a tunnel through
//! the library, with an interval of a second.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use harness::{Client, Hand, Peer, Rng, Test, eventually_equal, sockets};
use stage1_server::Keepalive;
use stage2_client::Prefer;
use stage4_proxy::access::{Clients, Policy};
use stage4_proxy::address::ListenAddress;
use stage4_proxy::resolve::Lookup;
use stage5_mux::tunnel::limits::TunnelLimits;
use stage5_mux::tunnel::service::{Config, Ends, Tunnel, WayIn, WireName};

use crate::support::MIB;
use crate::tunnel_cable::with_a_cable;

/// The interval of the kernel's probes.
const INTERVAL: Duration = Duration::from_secs(1);
/// A pause that is far longer than it takes to find a vanished peer.
const A_LONG_PAUSE: Duration = INTERVAL.saturating_mul(6);

/// Both ends of a tunnel, and an upstream by hand.
#[derive(Debug)]
struct Both {
    client: Tunnel,
    server: Tunnel,
    upstream: Hand,
}

impl Both {
    #[track_caller]
    fn start() -> Self {
        let upstream = Hand::start();
        let server = start(
            Ends::Server {
                upstream: upstream.addr().to_string().parse().ok(),
                access: Policy::for_fixed(&[]),
            },
            "tcp-listen:127.0.0.1:0",
        );
        let link = server.link_addr().expect("it waits for the link");
        let client = start(
            Ends::Client {
                ways: vec![WayIn {
                    listen: SocketAddr::from(([127, 0, 0, 1], 0)).into(),
                    ingress: None,
                }],
                clients: Clients::any(),
            },
            &format!("tcp:{link}"),
        );
        Self {
            client,
            server,
            upstream,
        }
    }

    /// Opens a stream over which a byte has gone both ways.
    #[track_caller]
    fn stream(&self) -> (Client, Peer) {
        let client = Client::connect(socket_addr(&self.client.local_addrs()[0]));
        client.send(b"x");
        let peer = self.upstream.next();
        peer.expect(b"x");
        peer.send(b"y");
        client.expect(b"y");
        (client, peer)
    }

    /// Stops both ends at once.
    #[track_caller]
    fn stop(self) {
        for end in [self.client, self.server] {
            end.control().stop();
            end.wait().expect("it ends in order");
        }
    }
}

/// Starts an end whose local connections are probed as often as possible, by the rule of the default.
#[track_caller]
fn start(ends: Ends, via: &str) -> Tunnel {
    let limits = TunnelLimits {
        keepalive: Some(Keepalive::every(INTERVAL).sparing_pauses()),
        ..TunnelLimits::default()
    };
    let config = Config {
        ends,
        via: via.parse().expect("a transport"),
        wire: WireName::Yamux,
        secret: None,
        lookup: Lookup::system(Prefer::Ipv4),
        limits,
        inspect: None,
    };
    Tunnel::start(&config).expect("a free port")
}

#[track_caller]
fn socket_addr(address: &ListenAddress) -> SocketAddr {
    address.to_string().parse().expect("an address and a port")
}

/// Has one side send a block again and again until the other, which reads nothing, has closed its window.
#[track_caller]
fn close_window(sender: &Peer, reader: &Peer, block: &[u8]) -> usize {
    let sent = sender.send_until_blocked(block, Duration::from_millis(300), 64 * MIB);
    let probes = Some(sockets::ZERO_WINDOW_PROBE);
    eventually_equal("timer of the socket towards the reader", &probes, || {
        sockets::find(reader.remote(), reader.local()).map(|row| row.timer)
    });
    sent
}

#[test]
fn tunnel_vanished_is_the_rule_of_the_default_too() {
    let rule = Keepalive::default().sparing_pauses();
    assert_eq!(TunnelLimits::default().keepalive, Some(rule));
}

#[test]
fn tunnel_vanished_is_no_reader_that_pauses() {
    let _test = Test::begin(
        "TCP_USER_TIMEOUT takes a closed window for a peer that has vanished: leave it alone.",
    );
    let both = Both::start();
    let [down, up] = std::array::from_fn(|_| both.stream());
    let block = Rng::for_test().bytes(MIB);
    let sent_down = close_window(&down.1, &down.0, &block);
    let sent_up = close_window(&up.0, &up.1, &block);
    down.1.expect_silence(A_LONG_PAUSE);
    for (sender, reader, sent) in [(down.1, down.0, sent_down), (up.0, up.1, sent_up)] {
        sender.half_close();
        let received = reader.read_to_end();
        assert_eq!(received.len(), sent, "bytes of the reader");
        let is_intact = |part: &[u8]| part == &block[..part.len()];
        assert!(received.chunks(MIB).all(is_intact), "a byte is wrong");
    }
    both.stop();
}

#[test]
fn tunnel_vanished_local_peers_are_noticed() {
    let _test = Test::begin(
        "Probes find a peer that vanishes at rest; otherwise the kernel repeats bytes until it gives up.",
    );
    with_a_cable(
        "tunnel_vanishing::tunnel_vanished_local_peers_are_noticed",
        |_| {
            // Three repetitions are enough in this network, instead of fifteen (tcp(7)).
            fs::write("/proc/sys/net/ipv4/tcp_retries2", "3").expect("a network of its own");
            vanish_in_all_ways();
        },
    );
}

#[track_caller]
fn vanish_in_all_ways() {
    let both = Both::start();
    let [resting, asked, paused, living] = std::array::from_fn(|_| both.stream());
    let [resting_up, asked_up] = std::array::from_fn(|_| both.stream());
    close_window(&paused.1, &paused.0, &[7; MIB]);
    for gone in [&resting.0, &asked.0, &paused.0, &resting_up.1, &asked_up.1] {
        gone.vanish();
    }
    asked.1.send(b"are you there?");
    asked_up.0.send(b"are you there?");
    for other in [&resting.1, &asked.1, &paused.1, &resting_up.0, &asked_up.0] {
        other.expect_reset();
    }
    living.0.send(b"still");
    living.1.expect(b"still");
    both.stop();
}
