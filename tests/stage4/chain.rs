//! The chain: hops that take their own header and no more, and errors that name the hop.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use harness::{
    Client, ClosedPort, Hand, Rng, Scripted, Signal, Test, eventually_equal, expect_bytes, proc,
};
use stage2_client::{Host, Target};

use crate::support::{MIB, PAGE, Page, Proxy, connect_and_be_closed, curl, echoes, in_path};
use crate::ways;

/// Starts `count` hops.
#[track_caller]
fn hops(count: usize) -> Vec<Proxy> {
    (0..count).map(|_| Proxy::choosing("hop", &[])).collect()
}

/// The value of --chain for these hops.
fn chain(hops: &[Proxy]) -> String {
    listed(hops.iter().map(|hop| hop.addr()))
}

/// The value of --chain for hops at these addresses.
fn listed(addresses: impl IntoIterator<Item = SocketAddr>) -> String {
    let texts = addresses.into_iter().map(|address| address.to_string());
    texts.collect::<Vec<_>>().join(",")
}

/// Starts the access server of a chain: all of its clients go through the hops to `target`.
#[track_caller]
fn access_server(hops: &[Proxy], target: SocketAddr) -> Proxy {
    match hops {
        [] => Proxy::to(target),
        _ => Proxy::with(target, &["--chain", &chain(hops)]),
    }
}

/// An address as a target.
fn target(address: SocketAddr) -> Target {
    Target {
        host: Host::Address(address.ip()),
        port: address.port(),
    }
}

/// A request header with an IPv4 address.
fn header(next: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(next) = next else {
        harness::fail("the tests use IPv4 here");
    };
    let port = next.port().to_be_bytes();
    [&[1, 1], &next.ip().octets()[..], &port].concat()
}

#[test]
fn chain_a_client_reaches_its_target_through_0_1_3_and_5_hops() {
    let _test =
        Test::begin("Each hop takes one header, connects, answers, and relays from then on.");
    let echo = Scripted::echo();
    for count in [0, 1, 3, 5] {
        let hops = hops(count);
        let server = access_server(&hops, echo.addr());
        let client = Client::connect(server.addr());
        echoes(&client);
        client.half_close();
        client.expect_eof();
        hops.iter().for_each(|hop| hop.wait_for_rows(0));
        server.wait_for_rows(0);
    }
}

#[test]
fn chain_the_same_hops_serve_two_chains_at_once() {
    let _test = Test::begin("The order of the hops is the client's affair.");
    let (hops, echo) = (hops(3), Scripted::echo());
    let [a, b, c] = [0, 1, 2].map(|number: usize| hops[number].addr());
    let servers = [format!("{a},{b},{c}"), format!("{c},{a}")]
        .map(|chain| Proxy::with(echo.addr(), &["--chain", &chain]));
    let clients = servers
        .each_ref()
        .map(|server| Client::connect(server.addr()));
    for _ in 0..3 {
        clients.iter().for_each(echoes);
    }
    assert_eq!(
        hops[0].routes().sessions.len(),
        2,
        "hop 1 of one chain, 2 of the other"
    );
    assert_eq!(
        hops[1].routes().sessions.len(),
        1,
        "rows of the route table"
    );
}

#[test]
fn e4_10_a_hop_consumes_its_own_header_only() {
    let _test = Test::begin("What lies behind the header belongs to the next hop, whatever it is.");
    let (proxy, hand) = (Proxy::choosing("hop", &[]), Hand::start());
    let client = Client::connect(proxy.addr());
    client.send(&[&header(hand.addr())[..], b"\x01\x01not a header"].concat());
    let upstream = hand.next();
    upstream.expect(b"\x01\x01not a header");
    client.expect(&[1, 0, 0]);
}

#[test]
fn chain_a_header_names_the_next_hop_by_address_or_by_name() {
    let _test = Test::begin("A header has the address of RFC 1928: IPv4, IPv6, or a name.");
    let echo = Scripted::echo();
    let port = echo.addr().port();
    let mut targets = vec![echo.addr().to_string(), format!("localhost:{port}")];
    // Kept alive until the end of the test.
    let _six = TcpListener::bind("[::1]:0").ok().map(|_| {
        let six =
            Scripted::options("echo over IPv6").address(([0_u16, 0, 0, 0, 0, 0, 0, 1], 0).into());
        let six = six.start(|peer| {
            let bytes = peer.read_exact(24);
            peer.send(&bytes);
        });
        targets.push(six.addr().to_string());
        six
    });
    for hop in ["127.0.0.1", "localhost"] {
        for target in &targets {
            let alive = hops(2);
            let chain = alive.iter().map(|it| format!("{hop}:{}", it.addr().port()));
            let chain = chain.collect::<Vec<_>>().join(",");
            let proxy = Proxy::with(target.as_str(), &["--chain", &chain]);
            echoes(&Client::connect(proxy.addr()));
        }
    }
}

#[test]
fn e4_10_responses_come_in_the_order_of_the_hops() {
    let _test =
        Test::begin("Headers go out in one write; responses come back one behind the other.");
    let (hops, hand) = (hops(2), Hand::start());
    let client = Client::connect(hops[0].addr());
    client.send(
        &[
            header(hops[1].addr()),
            header(hand.addr()),
            b"early".to_vec(),
        ]
        .concat(),
    );
    let upstream = hand.next();
    upstream.expect(b"early");
    upstream.send(b"late");
    client.expect(b"\x01\x00\x00\x01\x00\x00late");
}

#[test]
fn chain_a_failure_of_each_hop_is_named_in_every_ingress() {
    let _test = Test::begin(
        "The place of the first response that is no success says which hop has failed.",
    );
    let closed = ClosedPort::start();
    let dead = closed.addr();
    for place in 1..=3 {
        let alive = hops(3);
        let mut addresses: Vec<_> = alive.iter().map(|hop| hop.addr()).collect();
        addresses[place - 1] = dead;
        let chain = listed(addresses);
        let words = match place {
            1 => "cannot reach hop 1 of 3: connection refused".to_owned(),
            _ => format!(
                "hop {} of 3 cannot reach hop {place}: connection refused",
                place - 1
            ),
        };
        let http = Proxy::choosing("http", &["--chain", &chain]);
        let client = Client::connect(http.addr());
        client.send(b"CONNECT example.org:80 HTTP/1.1\r\n\r\n");
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        assert!(
            reply.starts_with("HTTP/1.1 502 ") && reply.contains(&words),
            "{reply}"
        );

        let socks5 = Proxy::choosing("socks5", &["--chain", &chain]);
        let client = Client::connect(socks5.addr());
        client.send(b"\x05\x01\x00\x05\x01\x00\x03\x0bexample.org\x00\x50");
        client.expect(&[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
        let line = socks5.wait_for_stderr("cannot reach");
        assert!(line.contains(&words), "{line}");

        let plain = Proxy::with("example.org:80", &["--chain", &chain]);
        connect_and_be_closed(plain.addr());
        let line = plain.wait_for_stderr("cannot reach");
        assert!(line.contains(&words), "{line}");
    }
}

#[test]
fn e4_10_the_target_s_failure_is_the_last_hop_s() {
    let _test = Test::begin("The last hop resolves and dials the target, and says why it cannot.");
    let hops = hops(2);
    let closed = ClosedPort::start();
    let proxy = Proxy::choosing("http", &["--chain", &chain(&hops)]);
    let table = [
        (closed.addr().to_string(), "502", "connection refused"),
        (
            "nowhere.invalid:80".to_owned(),
            "502",
            "name resolution failed",
        ),
        (hops[1].addr().to_string(), "403", "not allowed"),
    ];
    for (target, code, reason) in table {
        let client = Client::connect(proxy.addr());
        client.send(format!("CONNECT {target} HTTP/1.1\r\n\r\n").as_bytes());
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        let words = format!("hop 2 of 2 cannot reach the target: {reason}");
        assert!(reply.contains(code) && reply.contains(&words), "{reply}");
    }
}

#[test]
fn e4_10_an_error_survives_payload_on_its_way() {
    let _test =
        Test::begin("A hop that has failed reads on, so that no reset overtakes its response.");
    let closed = ClosedPort::start();
    let hop = Proxy::choosing("hop", &[]);
    for _ in 0..10 {
        let client = Client::connect(hop.addr());
        let payload = Rng::for_test().bytes(MIB / 2);
        client.send(&[header(closed.addr()), payload].concat());
        let reply = client.read_to_end();
        assert_eq!(reply[..2], [1, 2], "refused");
        expect_bytes(
            "The reason in the reply",
            b"connection refused",
            &reply[3..],
        );
    }
}

#[test]
fn chain_hops_that_misbehave_are_named() {
    let _test = Test::begin("A peer that is no hop, one that closes, and one that stays silent.");
    let timeout = ["--connect-timeout", "250ms"];
    let (stranger, closer, silent) = (
        Scripted::start("stranger", |peer| peer.send(b"220 ready\r\n")),
        Scripted::start("closer", |peer| peer.close()),
        Scripted::silent(),
    );
    let table = [
        (
            stranger.addr(),
            "502",
            "hop 1 of 1 does not speak the chain's protocol",
        ),
        (
            closer.addr(),
            "502",
            "hop 1 of 1 has closed without a response",
        ),
        (silent.addr(), "504", "hop 1 of 1 has not responded in time"),
    ];
    for (hop, code, words) in table {
        let hop = hop.to_string();
        let options = [&timeout[..], &["--chain", &hop]].concat();
        let proxy = Proxy::choosing("http", &options);
        let client = Client::connect(proxy.addr());
        client.send(b"CONNECT example.org:80 HTTP/1.1\r\n\r\n");
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        assert!(reply.contains(code) && reply.contains(words), "{reply}");
        drop(client);
        proxy.wait_for_rows(0);
    }
}

#[test]
fn e4_10_a_client_s_early_bytes_wait_for_the_last_response() {
    let _test = Test::begin(
        "A target must not see a byte before the client can know that it is connected.",
    );
    let hand = Hand::start();
    let proxy = Proxy::with("example.org:80", &["--chain", &hand.addr().to_string()]);
    let client = Client::connect(proxy.addr());
    client.send(b"early");
    let hop = hand.next();
    hop.expect(b"\x01\x03\x0bexample.org\x00\x50");
    hop.expect_silence(Duration::from_millis(200));
    assert_eq!(
        proxy.row_of(&client).phase,
        "chaining",
        "the phase of the session"
    );
    hop.send(b"\x01\x00\x00and first");
    hop.expect(b"early");
    client.expect(b"and first");
}

#[test]
fn chain_what_is_no_header_is_answered_as_such() {
    let _test = Test::begin("Status 6 means a malformed header.");
    let hop = Proxy::choosing("hop", &["--handshake-timeout", "500ms"]);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x01\x09",
        b"\x01\x01\x7f\x00",
    ] {
        let client = Client::connect(hop.addr());
        client.send(bytes);
        assert_eq!(client.read_to_end()[..2], [1, 6], "{bytes:?}");
    }
}

#[test]
fn chain_curl_fetches_a_page_through_two_hops() {
    let _test = Test::begin("Any ingress goes with the chain.");
    let Some(program) = in_path("curl") else {
        return;
    };
    let (hops, page) = (hops(2), Page::serve());
    let options = ["--chain", &chain(&hops)];
    let (socks5, http) = (
        Proxy::choosing("socks5", &options),
        Proxy::choosing("http", &options),
    );
    let (socks5, http) = (socks5.addr().to_string(), format!("http://{}", http.addr()));
    for options in [["--socks5-hostname", &socks5], ["-x", &http]] {
        let options = [&["--noproxy", ""], &options[..]].concat();
        assert_eq!(curl(&program, &options, &page.url()), PAGE, "{options:?}");
    }
}

#[test]
fn chain_the_library_s_client_takes_any_chain_at_run_time() {
    let _test = Test::begin("chain::Client connects through hops that know nothing of each other.");
    let (hops, echo) = (hops(3), Scripted::echo());
    let mut targets: Vec<_> = hops.iter().map(|hop| target(hop.addr())).collect();
    for _ in 0..2 {
        let client = stage4_proxy::chain::Client::new(targets.clone());
        let socket = client.connect(&target(echo.addr())).expect("a socket");
        std::io::Write::write_all(&mut &socket, b"hello").expect("a write");
        let mut answer = [0; 5];
        std::io::Read::read_exact(&mut &socket, &mut answer).expect("a read");
        assert_eq!(&answer, b"hello");
        targets.reverse();
    }
    let closed = ClosedPort::start();
    let client = stage4_proxy::chain::Client::new(targets);
    let error = client
        .connect(&target(closed.addr()))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("hop 3 of 3 "), "{error}");
    assert!(error.ends_with("connection refused"), "{error}");
}

#[test]
fn chain_rules_belong_to_the_last_hop() {
    let _test = Test::begin("The rules judge addresses, and only the last hop knows them.");
    let output = Command::new(crate::support::program())
        .args([
            "--ingress",
            "socks5",
            "--chain",
            "127.0.0.1:9",
            "--allow",
            "any",
        ])
        .output()
        .expect("the program");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("last hop"), "{text}");
}

/// What a client of each ingress is told when the chain fails with these words, and what the log says.
#[track_caller]
fn every_ingress_says(chain: &str, words: &str, asked: impl Fn([&Proxy; 4])) {
    let program = |ingress: &str| Proxy::choosing(ingress, &["--chain", chain]);
    let (http, socks5) = (program("http"), program("socks5"));
    let (hop, plain) = (
        program("hop"),
        Proxy::with("example.org:80", &["--chain", chain]),
    );
    let clients = [&http, &socks5, &hop, &plain].map(|proxy| Client::connect(proxy.addr()));
    let [by_http, by_socks5, by_hop, by_hand] = &clients;
    by_http.send(b"CONNECT example.org:80 HTTP/1.1\r\n\r\n");
    by_socks5.send(b"\x05\x01\x00\x05\x01\x00\x03\x0bexample.org\x00\x50");
    by_hop.send(b"\x01\x03\x0bexample.org\x00\x50");
    asked([&http, &socks5, &hop, &plain]);
    let reply = String::from_utf8_lossy(&by_http.read_to_end()).into_owned();
    assert!(
        reply.starts_with("HTTP/1.1 502 ") && reply.contains(words),
        "{reply}"
    );
    let reply = by_socks5.read_to_end();
    assert_eq!(reply[..4], [5, 0, 5, 1], "{reply:?}");
    let reply = by_hop.read_to_end();
    assert_eq!(reply[..2], [1, 255], "{reply:?}");
    assert!(
        String::from_utf8_lossy(&reply[3..]).ends_with(words),
        "{reply:?}"
    );
    by_hand.expect_reset();
    for proxy in [&http, &socks5, &hop, &plain] {
        let line = proxy.wait_for_stderr("cannot connect");
        assert!(line.contains(words), "{line}");
    }
    drop(clients);
    [http, socks5, hop, plain]
        .iter()
        .for_each(|proxy| proxy.wait_for_rows(0));
}

#[test]
fn chain_a_hop_that_is_killed_in_the_middle_is_named_in_every_ingress() {
    let _test = Test::begin("A hop that dies says nothing any more: its place in the order tells.");
    for place in 1..=3 {
        let mut alive = hops(3);
        let chain = chain(&alive);
        let all: Vec<_> = alive.iter().map(|hop| target(hop.addr())).collect();
        let dying = alive.remove(place - 1);
        // It accepts and says nothing, until it dies.
        dying.stop();
        let words = format!("hop {place} of 3 has closed without a response");
        every_ingress_says(&chain, &words, |proxies| {
            // Otherwise the hop before it may take the reset for a refusal.
            for proxy in proxies {
                eventually_equal("hops that have answered", &Some(place - 1), || {
                    let row = proxy.routes().sessions.pop()?;
                    let answers = row.hops.iter().filter(|hop| hop.answer.is_some());
                    (row.phase == "chaining").then(|| answers.count())
                });
            }
            dying.signal(Signal::SIGKILL);
        });
        // Now nothing listens there any more.
        let library = stage4_proxy::chain::Client::new(all);
        let error = library
            .connect(&target(dying.addr()))
            .unwrap_err()
            .to_string();
        let words = match place {
            1 => format!("cannot reach {}", dying.addr()),
            _ => format!("hop {} of 3 ", place - 1),
        };
        assert!(error.starts_with(&words), "{error}");
        alive.iter().for_each(|hop| hop.wait_for_rows(0));
    }
}

#[test]
fn chain_a_client_that_resets_on_the_way_through_the_hops_frees_them_all() {
    let _test = Test::begin(
        "A session that no client waits for any more costs neither us nor the hops a socket.",
    );
    for ingress in ["fixed", "socks5", "http", "hop"] {
        let hand = Hand::start();
        let chain = hand.addr().to_string();
        let options = ["--chain", &*chain, "--connect-timeout", "30s"];
        let proxy = match ingress {
            "fixed" => Proxy::with("192.0.2.1:80", &options),
            _ => Proxy::choosing(ingress, &options),
        };
        proxy.wait_for_rows(0);
        let before = proc::fd_count(proxy.pid());
        let target = SocketAddr::from(([192, 0, 2, 1], 80));
        let sessions: Vec<_> = (0..10)
            .map(|_| {
                let client = Client::connect(proxy.addr());
                client.send(&ways::handshake(ingress, target));
                let hop = hand.next();
                hop.expect(&header(target));
                (client, hop)
            })
            .collect();
        proxy.wait_for_phases(&["chaining"; 10]);
        for (client, hop) in sessions {
            client.reset();
            hop.expect_reset();
        }
        proxy.wait_for_rows(0);
        proc::fds_return_to(proxy.pid(), before);
    }
}
