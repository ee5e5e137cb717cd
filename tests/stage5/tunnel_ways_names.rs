//! Names that a server of a tunnel looks up: several addresses, and answers that change.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{BlackHole, Client, ClosedPort, Connect, Scripted, Server, Test};
use stage4_proxy::access::Policy;
use stage4_proxy::address::ListenAddress;
use stage4_proxy::race::DELAY;
use stage4_proxy::resolve::Lookup;
use stage5_mux::tunnel::limits::TunnelLimits;
use stage5_mux::tunnel::service::{Config, Ends, Tunnel, WireName};
use stage5_mux::tunnel::transport::Transport;

use crate::ways::{announced, client_of, echoes, socks, socks_name, socks_reply};

/// A server's end in this process, with a resolver of the test's, and a client's end with SOCKS5.
struct Named {
    server: Option<Tunnel>,
    _client: Server,
    ingress: SocketAddr,
}

impl Named {
    #[track_caller]
    fn start(allow: &[&str], lookup: Lookup, limits: TunnelLimits) -> Self {
        let allow: Vec<_> = allow
            .iter()
            .map(|rule| rule.parse().expect("a rule"))
            .collect();
        let access = Policy::for_choosing(None, &allow, &[], &[]).expect("a policy");
        let config = Config {
            ends: Ends::Server {
                upstream: None,
                access,
            },
            via: Transport::TcpListen(([127, 0, 0, 1], 0).into()),
            wire: WireName::Yamux,
            secret: None,
            inspect: None,
            lookup,
            limits,
        };
        let server = Tunnel::start(&config).expect("the server's end starts");
        let link = server.link_addr().and_then(ListenAddress::socket_addr);
        let link = link.expect("it waits for the link");
        let client = client_of(link, &["socks5"], &[]);
        client.wait_for_stderr("the link is up");
        let ingress = announced(&client, 1)[0];
        Self {
            server: Some(server),
            _client: client,
            ingress,
        }
    }

    /// Asks for a connection to a name, and returns the code of the reply.
    #[track_caller]
    fn ask(&self, name: &str) -> (Client, u8) {
        socks(self.ingress, &socks_name(name, 80))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.control().stop();
            let ended = server.wait();
            assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
        }
    }
}

fn answering(addresses: Vec<SocketAddr>) -> Lookup {
    Lookup::new(move |_| Ok(addresses.clone()))
}

#[test]
fn tunnel_ways_names_the_next_address_is_tried_when_one_refuses() {
    let _test = Test::begin("IPv6 first, and IPv4 when nobody listens there.");
    let (closed, echo) = (ClosedPort::start(), Scripted::echo());
    let six = SocketAddr::new([0_u16, 0, 0, 0, 0, 0, 0, 1].into(), closed.addr().port());
    let named = Named::start(
        &[],
        answering(vec![six, closed.addr(), echo.addr()]),
        TunnelLimits::default(),
    );
    let (client, code) = named.ask("three.example");
    assert_eq!(code, 0, "the code of the reply");
    echoes(&client);
}

#[test]
fn tunnel_ways_names_the_next_address_is_tried_beside_one_that_stays_silent() {
    let _test = Test::begin("Happy Eyeballs: a quarter of a second, and not the whole time limit.");
    let (hole, echo) = (BlackHole::start(), Scripted::echo());
    let limits = TunnelLimits {
        connect_timeout: Duration::from_secs(60),
        ..TunnelLimits::default()
    };
    let named = Named::start(&[], answering(vec![hole.addr(), echo.addr()]), limits);
    let begin = Instant::now();
    let (first, code) = named.ask("two.example");
    let took = begin.elapsed();
    assert_eq!(code, 0, "the code of the reply");
    assert!(took >= DELAY, "the first address had its time: {took:?}");
    echoes(&first);
    // The winner is remembered.
    let begin = Instant::now();
    let (second, code) = named.ask("two.example");
    assert_eq!(code, 0, "the code of the reply");
    echoes(&second);
    assert!(begin.elapsed() < took + DELAY);
}

#[test]
fn tunnel_ways_names_without_a_further_descriptor_addresses_follow_each_other() {
    let _test =
        Test::begin("--connect-timeout ends the first attempt, and then the next one begins.");
    let (hole, echo) = (BlackHole::start(), Scripted::echo());
    let limits = TunnelLimits {
        connect_timeout: 2 * DELAY,
        extra_attempts: 0,
        ..TunnelLimits::default()
    };
    let named = Named::start(&[], answering(vec![hole.addr(), echo.addr()]), limits);
    let begin = Instant::now();
    let (client, code) = named.ask("two.example");
    assert_eq!(code, 0, "the code of the reply");
    assert!(begin.elapsed() >= 2 * DELAY);
    echoes(&client);
}

#[test]
fn tunnel_ways_names_an_answer_that_moves_inside_is_judged_each_time() {
    let _test = Test::begin(
        "The name is allowed, and the address behind it is not: judge what is dialled.",
    );
    let (echo, closed) = (Scripted::echo(), ClosedPort::start());
    let (inner, asked) = (echo.addr(), AtomicUsize::new(0));
    let outside = SocketAddr::from(([127, 0, 0, 9], closed.addr().port()));
    let lookup = Lookup::new(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(vec![outside]),
        _ => Ok(vec![inner]),
    });
    let allow = ["127.0.0.9", "moves.example"];
    let named = Named::start(&allow, lookup, TunnelLimits::default());
    let (_client, code) = named.ask("moves.example");
    assert_eq!(code, 5, "the first address may be dialled, and refuses");
    harness::eventually("the name is looked up again", harness::PATIENCE, || {
        named.ask("moves.example").1 == 2
    });
    for _ in 0..5 {
        assert_eq!(named.ask("MOVES.example").1, 2);
    }
    assert_eq!(echo.accepts(), 0, "connections that the echo has accepted");
}

#[test]
fn tunnel_ways_names_a_slow_lookup_delays_no_other_stream() {
    let _test =
        Test::begin("Names are looked up on threads, and each answer finds its own stream.");
    let echo = Scripted::echo();
    let address = echo.addr();
    let gate = std::sync::Arc::new(harness::Gate::new("the slow name is answered"));
    let behind = std::sync::Arc::clone(&gate);
    let lookup = Lookup::new(move |target| {
        if target.to_string().starts_with("slow") {
            behind.wait();
        }
        Ok(vec![address])
    });
    let limits = TunnelLimits {
        connect_timeout: Duration::from_secs(60),
        ..TunnelLimits::default()
    };
    let named = Named::start(&[], lookup, limits);
    let slow = Connect::new().to(named.ingress);
    slow.send(&[&[5, 1, 0], &socks_name("slow.example", 80)[..]].concat());
    slow.expect(&[5, 0]);
    for number in 0..5 {
        let (client, code) = named.ask(&format!("fast{number}.example"));
        assert_eq!(code, 0, "the code of the reply");
        echoes(&client);
    }
    slow.expect_silence(Duration::from_millis(100));
    gate.open();
    assert_eq!(
        socks_reply(&slow),
        0,
        "the code of the reply to the slow client"
    );
    echoes(&slow);
}
