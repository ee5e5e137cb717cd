//! Every way in and out, with the same demands on each: the ends of streams, and the loop that no proxy may dial.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::{BlackHole, Client, Hand, Scripted, Test, proc, scaled};

use crate::support::{
    HALF_A_SECOND, MIB, Proxy, a_request_and_a_half_close, echoes, wait_until_still,
};
use crate::{http_ingress, socks5};

/// The ways in at which a client chooses its target.
pub(crate) const CHOOSING: [&str; 3] = ["socks5", "http", "hop"];

/// The handshake with which a client of an ingress asks for `target`; `fixed` has none.
pub(crate) fn handshake(ingress: &str, target: SocketAddr) -> Vec<u8> {
    let request = socks5::request(target);
    match ingress {
        "socks5" => [&[5, 1, 0], &request[..]].concat(),
        "http" => http_ingress::connect_to(target).into_bytes(),
        // A header of the chain has the address of RFC 1928, too.
        "hop" => [&[1], &request[3..]].concat(),
        _ => Vec::new(),
    }
}

/// Reads the reply to a client whose target is connected.
#[track_caller]
pub(crate) fn expect_connected(ingress: &str, client: &Client) {
    match ingress {
        "socks5" => {
            client.expect(&[5, 0]);
            assert_eq!(
                socks5::reply(client),
                0,
                "the code of the reply to the client"
            );
        }
        "http" => client.expect(http_ingress::ESTABLISHED),
        "hop" => client.expect(&[1, 0, 0]),
        _ => {}
    }
}

/// Starts a proxy with this ingress to `target`, through a chain of hops if there are any.
#[track_caller]
fn proxy(ingress: &str, target: SocketAddr, hops: &[Proxy]) -> Proxy {
    let chain: Vec<_> = hops.iter().map(|hop| hop.addr().to_string()).collect();
    let chain = chain.join(",");
    let options: &[&str] = if hops.is_empty() {
        &[]
    } else {
        &["--chain", &chain]
    };
    match ingress {
        "fixed" => Proxy::with(target, options),
        _ => Proxy::choosing(ingress, options),
    }
}

#[test]
fn ways_a_half_close_passes_through_every_ingress_and_every_egress() {
    let _test = Test::begin("8 MiB up and a FIN, then 1 MiB down: a half-close is not an end.");
    let table = [
        ("fixed", 0),
        ("socks5", 0),
        ("http", 0),
        ("hop", 0),
        ("fixed", 5),
        ("socks5", 1),
        ("http", 1),
        ("hop", 1),
    ];
    for (ingress, hops) in table {
        let hand = Hand::start();
        let hops: Vec<_> = (0..hops).map(|_| Proxy::choosing("hop", &[])).collect();
        let proxy = proxy(ingress, hand.addr(), &hops);
        let client = Client::connect(proxy.addr());
        client.send(&handshake(ingress, hand.addr()));
        let upstream = hand.next();
        expect_connected(ingress, &client);
        a_request_and_a_half_close(&client, upstream);
        proxy.wait_for_rows(0);
        hops.iter().for_each(|hop| hop.wait_for_rows(0));
    }
}

#[test]
fn ways_a_proxy_does_not_dial_itself_for_any_client() {
    let _test = Test::begin("Each session would open the next one, until the table is full.");
    for (ingress, refusal) in CHOOSING
        .into_iter()
        .zip([&[5, 2][..], b"HTTP/1.1 403 ", &[1, 5]])
    {
        let proxy = Proxy::choosing(ingress, &["--allow", "any,127.0.0.0/8,0.0.0.0,::"]);
        let port = proxy.addr().port();
        let own = ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "127.0.0.2"];
        // The last one is another address, at which nothing listens.
        for (place, ip) in own.into_iter().enumerate() {
            let target = SocketAddr::new(ip.parse().expect("an address"), port);
            let client = Client::connect(proxy.addr());
            client.send(&handshake(ingress, target));
            if ingress == "socks5" {
                client.expect(&[5, 0]);
            }
            let reply = client.read_to_end();
            let is_refused = reply.starts_with(refusal);
            assert_eq!(is_refused, place < 3, "{ingress} {target}: {reply:?}");
        }
        proxy.wait_for_metric("proxy_sessions_total", 4.0);
        proxy.wait_for_metric("proxy_failures_total{reason=\"denied\"}", 3.0);
    }
}

#[test]
fn ways_a_slow_a_late_and_a_silent_session_cost_only_themselves() {
    let _test =
        Test::begin("No session waits for the client, the target or the handshake of another.");
    for ingress in CHOOSING {
        let proxy = Proxy::choosing(ingress, &["--connect-timeout", "30s"]);
        let (source, hole, echo) = (
            Scripted::source(vec![7; 16 * MIB]),
            BlackHole::start(),
            Scripted::echo(),
        );
        let asks = |target| {
            let client = Client::connect(proxy.addr());
            client.send(&handshake(ingress, target));
            client
        };
        let slow = asks(source.addr());
        expect_connected(ingress, &slow);
        let late = asks(hole.addr());
        let silent = Client::connect(proxy.addr());
        silent.send(&handshake(ingress, echo.addr())[..1]);
        let phases = ["connecting", "handshake", "relay"];
        proxy.wait_for_phases(&phases);
        wait_until_still(&proxy);

        let begun = Instant::now();
        for _ in 0..20 {
            let client = asks(echo.addr());
            expect_connected(ingress, &client);
            echoes(&client);
        }
        let took = begun.elapsed();
        harness::ensure(
            took < scaled(Duration::from_secs(3)),
            format!("20 sessions took {took:?}"),
        );
        proxy.wait_for_phases(&phases);
        proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
        assert!(slow.read_exact(16 * MIB) == vec![7; 16 * MIB]);
        drop((late, silent));
    }
}
