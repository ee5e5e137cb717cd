//! The ways through a tunnel: several ingresses over one link, the target in a header on each stream, failures in the
//! words of each protocol, and the server's access rules.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use harness::inner_addresses::spellings;
use harness::{
    BlackHole, Client, ClosedPort, Connect, Hand, PATIENCE, Program, Rng, Scripted, Test,
    command_line, eventually, proc,
};

use crate::support::{MIB, program};
use crate::ways::{
    ESTABLISHED, Ways, announced, client_of, connect, connect_to, refused, server_at, socks,
    socks_address, socks_name, socks_reply, through,
};

#[track_caller]
fn echoes(client: &Client) {
    let nonce = Rng::for_test().nonce(24);
    client.send(&nonce);
    client.expect(&nonce);
}

/// A server that says its name first.
fn named(name: &'static str) -> Scripted {
    Scripted::start(name, move |peer| {
        peer.send(format!("{name}\n").as_bytes());
        let bytes = peer.read_exact(24);
        peer.send(&bytes);
    })
}

#[test]
fn tunnel_ways_http_and_socks_clients_reach_different_targets_over_one_link() {
    let _test = Test::begin("Each stream begins with a header that names its own target.");
    let (one, two) = (named("one"), named("two"));
    let ways = Ways::start(&["http", "socks5"], &[], &[]);
    let before = proc::fd_count(ways.server.pid());
    let http = connect(ways.at(0), one.addr());
    let (by_name, code) = socks(ways.at(1), &socks_name("localhost", two.addr().port()));
    assert_eq!(code, 0);
    http.expect(b"one\n");
    by_name.expect(b"two\n");
    echoes(&http);
    echoes(&by_name);
    drop((http, by_name));
    proc::fds_return_to(ways.server.pid(), before);
    let log = ways.server.stderr();
    assert_eq!(log.matches("the link is up").count(), 1, "{log}");
}

#[test]
fn tunnel_ways_a_fixed_client_names_its_target_and_sends_before_it_is_connected() {
    let _test = Test::begin("The client's first bytes follow the header at once.");
    let hand = Hand::start();
    let ways = Ways::start(&["fixed"], &["--upstream", &hand.addr().to_string()], &[]);
    let client = Client::connect(ways.at(0));
    client.send(b"early bytes");
    let upstream = hand.next();
    upstream.expect(b"early bytes");
    upstream.send(b"answer");
    client.expect(b"answer");
    client.half_close();
    upstream.expect_eof();
    upstream.close();
    client.expect_eof();
}

#[test]
fn tunnel_ways_everything_may_come_at_once() {
    let _test = Test::begin("Bytes behind a request belong to the target.");
    let echo = Scripted::echo();
    let ways = Ways::start(&["socks5", "http"], &[], &[]);
    let nonce = Rng::for_test().nonce(100_000);
    let client = Client::connect(ways.at(0));
    client.send(&[&[5, 1, 0], &socks_address(echo.addr())[..], &nonce].concat());
    client.half_close();
    client.expect(&[5, 0]);
    assert_eq!(socks_reply(&client), 0);
    assert!(client.read_to_end() == nonce, "the bytes have come back");
    let client = Client::connect(ways.at(1));
    client.send(&[connect_to(echo.addr()).as_bytes(), &nonce].concat());
    client.half_close();
    client.expect(ESTABLISHED);
    assert!(client.read_to_end() == nonce, "the bytes have come back");
    // And one byte at a time.
    let client = Client::connect(ways.at(0));
    client.send_chunked(&[&[5, 1, 0], &socks_address(echo.addr())[..]].concat(), 1);
    client.expect(&[5, 0]);
    assert_eq!(socks_reply(&client), 0);
    echoes(&client);
}

#[test]
fn tunnel_ways_half_close_passes_every_ingress_on_both_wires() {
    let _test = Test::begin("8 MiB up, FIN, then 1 MiB down: a half-close is no end.");
    let mut rng = Rng::for_test();
    let (up, down) = (rng.bytes(8 * MIB), rng.bytes(MIB));
    for wire in ["yamux", "multiplex"] {
        let hand = Hand::start();
        let target = hand.addr().to_string();
        let names = ["fixed", "socks5", "http"];
        let arguments = ["--wire", wire, "--upstream", &target];
        let ways = Ways::start(&names, &arguments, &["--wire", wire]);
        for (place, name) in names.into_iter().enumerate() {
            let client = through(name, ways.at(place), hand.addr());
            let sending = client.send_in_background(up.clone());
            let upstream = hand.next();
            upstream.expect(&up);
            sending.join();
            client.half_close();
            upstream.expect_eof();
            let sending = upstream.send_in_background(down.clone());
            client.expect(&down);
            sending.join();
            upstream.close();
            client.expect_eof();
        }
    }
}

#[test]
fn tunnel_ways_every_failure_has_its_reply_in_socks5() {
    let _test =
        Test::begin("The server's reason comes back in a header, and becomes a reply code.");
    let ways = Ways::start(&["socks5"], &[], &["--connect-timeout", "500ms"]);
    let (closed, hole) = (ClosedPort::start(), BlackHole::start());
    let own: SocketAddr = ways.server.addr();
    let table = [
        (socks_address(closed.addr()), 5),
        (socks_address(hole.addr()), 6),
        (socks_name("nowhere.invalid", 80), 4),
        // The server's own listener of the link, and a metadata address.
        (socks_address(own), 2),
        (
            socks_address("169.254.169.254:80".parse().expect("an address")),
            2,
        ),
        // BIND, UDP ASSOCIATE, an unknown command, an unknown type of address.
        (vec![5, 2, 0, 1, 127, 0, 0, 1, 0, 80], 7),
        (vec![5, 3, 0, 1, 0, 0, 0, 0, 0, 0], 7),
        (vec![5, 9, 0, 1, 127, 0, 0, 1, 0, 80], 7),
        (vec![5, 1, 0, 9, 127, 0, 0, 1, 0, 80], 8),
    ];
    for (request, code) in table {
        let (client, seen) = socks(ways.at(0), &request);
        assert_eq!(seen, code, "{request:?}");
        client.expect_eof();
    }
    let log = ways
        .server
        .wait_for_stderr("the proxy would connect to itself");
    assert!(log.contains("not allowed"), "{log}");
    let log = ways.server.stderr();
    assert!(!log.contains("the link is down"), "{log}");
}

#[test]
fn tunnel_ways_every_failure_has_its_status_and_a_sentence_in_http() {
    let _test = Test::begin("502, 504 and 403 have a body that a person can read.");
    let ways = Ways::start(&["http"], &[], &["--connect-timeout", "500ms"]);
    let (closed, hole) = (ClosedPort::start(), BlackHole::start());
    let own = ways.server.addr().to_string();
    let table = [
        (closed.addr().to_string(), 502, "connection refused"),
        (hole.addr().to_string(), 504, "timed out"),
        (
            "nowhere.invalid:80".to_owned(),
            502,
            "name resolution failed",
        ),
        (own, 403, "not allowed"),
    ];
    for (target, code, words) in table {
        let page = format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n");
        for request in [connect_to(&target), page] {
            let (seen, body) = refused(ways.at(0), &request);
            assert_eq!(seen, code, "{request}{body}");
            assert!(body.contains(words), "{body}");
        }
    }
    let (code, _) = refused(ways.at(0), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(code, 400, "an origin form is no request to a proxy");
}

#[test]
fn tunnel_ways_a_failed_dial_of_a_fixed_client_resets_it_and_no_other() {
    let _test = Test::begin("Without a protocol there are no words: the client is reset.");
    let closed = ClosedPort::start();
    let echo = Scripted::echo();
    let target = closed.addr().to_string();
    let ways = Ways::start(&["fixed", "http"], &["--upstream", &target], &[]);
    let other = connect(ways.at(1), echo.addr());
    for _ in 0..3 {
        match Connect::new().try_to(ways.at(0)) {
            Ok(client) => client.expect_reset(),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        echoes(&other);
    }
    ways.server.wait_for_stderr("connection refused");
    assert!(!ways.client.stderr().contains("the link is down"));
}

#[test]
fn tunnel_ways_without_a_link_a_client_is_told_so() {
    let _test = Test::begin("No link is a failure like any other: it has a reply.");
    let echo = Scripted::echo();
    let server = server_at("127.0.0.1:0", &[]);
    let client = client_of(server.addr(), &["socks5", "http"], &[]);
    let at = announced(&client, 2);
    client.wait_for_stderr("the link is up");
    let open = connect(at[1], echo.addr());
    server.signal(harness::Signal::SIGKILL);
    server.wait();
    open.expect_reset();
    client.wait_for_stderr("the link is down");
    let (refused_client, code) = socks(at[0], &socks_address(echo.addr()));
    assert_eq!(code, 1);
    refused_client.expect_eof();
    let (code, body) = refused(at[1], &connect_to(echo.addr()));
    assert_eq!(code, 502);
    assert!(
        body.contains("the tunnel has no link to its other end"),
        "{body}"
    );
}

#[test]
fn tunnel_ways_a_link_that_is_lost_meanwhile_is_told_to_those_that_wait() {
    let _test = Test::begin("A client that waits for its reply gets one, whatever has happened.");
    let ways = Ways::start(&["socks5", "http"], &[], &["--connect-timeout", "60s"]);
    let hole = BlackHole::start();
    let before = proc::fd_count(ways.server.pid());
    let waits = Client::connect(ways.at(0));
    waits.send(&[&[5, 1, 0], &socks_address(hole.addr())[..]].concat());
    waits.expect(&[5, 0]);
    let page = Client::connect(ways.at(1));
    page.send(format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", hole.addr()).as_bytes());
    // Both streams are open before the server is killed.
    eventually("both targets are dialled", PATIENCE, || {
        proc::fd_count(ways.server.pid()) == before + 2
    });
    ways.server.signal(harness::Signal::SIGKILL);
    ways.server.wait();
    assert_eq!(socks_reply(&waits), 1);
    waits.expect_eof();
    let reply = String::from_utf8_lossy(&page.read_to_end()).into_owned();
    assert!(reply.starts_with("HTTP/1.1 502 "), "{reply}");
    assert!(reply.contains("the link of the tunnel is lost"), "{reply}");
}

#[test]
fn tunnel_ways_no_spelling_of_an_inner_address_is_reached() {
    let _test =
        Test::begin("Judge the address that is about to be dialled, not the text that names it.");
    let rules = [
        "--allow",
        "public,localhost,*.localhost",
        "--connect-timeout",
        "500ms",
    ];
    let ways = Ways::start(&["socks5", "http"], &[], &rules);
    let echo = Scripted::echo();
    let port = echo.addr().port();
    let mut all: Vec<_> = spellings().collect();
    // Last those for which a name server is asked, because this may take as long as it likes.
    all.sort_by_key(|spelling| !spelling.is_numeric());
    let mut asked = 0;
    for spelling in all {
        let by_address = spelling.host.parse().ok();
        let by_address = by_address.map(|address| socks_address(SocketAddr::new(address, port)));
        let requests = by_address
            .into_iter()
            .chain([socks_name(spelling.host, port)]);
        let codes = requests.map(|request| u16::from(socks(ways.at(0), &request).1));
        let mut codes: Vec<u16> = codes.collect();
        let target = spelling.at(port);
        let page = format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n");
        for request in [connect_to(&target), page] {
            codes.push(refused(ways.at(1), &request).0);
        }
        for code in codes {
            let is_refused = matches!(code, 2 | 403);
            let is_unknown = matches!(code, 4 | 502) && !spelling.is_numeric();
            assert!(is_refused || is_unknown, "{}: {code}", spelling.host);
            asked += 1;
        }
    }
    assert!(asked >= 180, "{asked} questions");
    assert_eq!(echo.accepts(), 0);
}

#[test]
fn tunnel_ways_the_servers_rules_hold_and_the_clients_are_none_of_its_business() {
    let _test = Test::begin("--deny at the server, whatever the client is.");
    let (open, shut) = (Scripted::echo(), Scripted::echo());
    let deny = format!("127.0.0.1:{}", shut.addr().port());
    let ways = Ways::start(&["socks5"], &[], &["--deny", &deny]);
    let (client, code) = socks(ways.at(0), &socks_address(open.addr()));
    assert_eq!(code, 0);
    echoes(&client);
    assert_eq!(socks(ways.at(0), &socks_address(shut.addr())).1, 2);
    assert_eq!(shut.accepts(), 0);
}

#[test]
fn tunnel_ways_a_black_hole_on_one_stream_delays_no_other() {
    let _test = Test::begin("A connect(2) in progress is one stream's own affair.");
    let ways = Ways::start(&["socks5"], &[], &["--connect-timeout", "60s"]);
    let (hole, echo) = (BlackHole::start(), Scripted::echo());
    let waits = Client::connect(ways.at(0));
    waits.send(&[&[5, 1, 0], &socks_address(hole.addr())[..]].concat());
    waits.expect(&[5, 0]);
    for _ in 0..20 {
        let (client, code) = socks(ways.at(0), &socks_address(echo.addr()));
        assert_eq!(code, 0);
        echoes(&client);
    }
    waits.expect_silence(Duration::from_millis(100));
    let before = proc::fd_count(ways.server.pid());
    waits.reset();
    proc::fds_return_to(ways.server.pid(), before - 1);
}

#[test]
fn tunnel_ways_a_name_with_both_families_is_reached_over_the_one_that_works() {
    let _test =
        Test::begin("localhost may be ::1 first, where nobody listens: the next address is tried.");
    let echo = Scripted::echo();
    let ways = Ways::start(&["socks5"], &[], &["--prefer", "ipv6"]);
    let (client, code) = socks(ways.at(0), &socks_name("localhost", echo.addr().port()));
    assert_eq!(code, 0);
    echoes(&client);
    let address: SocketAddr = ([0_u16, 0, 0, 0, 0, 0, 0, 1], 0).into();
    let six = Scripted::options("echo over IPv6").address(address);
    let six = six.start(|peer| {
        let bytes = peer.read_exact(24);
        peer.send(&bytes);
    });
    let (client, code) = socks(ways.at(0), &socks_address(six.addr()));
    assert_eq!(code, 0);
    echoes(&client);
}

/// A link by hand, with the yamux frames of one stream.
fn frame(kind: u8, flags: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    let length = length.to_be_bytes();
    [&[0, kind, 0, flags, 0, 0, 0, 1], &length[..], payload].concat()
}

/// Sends the first bytes of a stream by hand.
#[track_caller]
fn first_bytes(link: &Client, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a short payload");
    link.send(&[frame(1, 1, 0, b""), frame(0, 0, length, bytes)].concat());
}

/// Reads frames until one has payload, and returns it.
#[track_caller]
fn payload(link: &Client) -> Vec<u8> {
    loop {
        let head = link.read_exact(12);
        let length = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if head[1] == 0 && length > 0 {
            return link.read_exact(length as usize);
        }
    }
}

#[test]
fn tunnel_ways_a_header_that_is_none_is_refused_with_a_sentence() {
    let _test = Test::begin("Status 6, a reason, and the end of that stream: the link lives.");
    let server = server_at("127.0.0.1:0", &[]);
    for (header, words) in [
        (&b"GET / HTTP/1.1\r\n"[..], "version"),
        (&[1, 9, 0, 0], "type of the address"),
        (&[1, 1, 127, 0, 0, 1, 0, 0], "port is 0"),
    ] {
        let link = Client::connect(server.addr());
        first_bytes(&link, header);
        let reply = payload(&link);
        assert_eq!(reply[..2], [1, 6], "{reply:?}");
        let text = String::from_utf8_lossy(&reply[3..]).into_owned();
        assert!(text.contains(words), "{text}");
        // FIN behind the reply, and the link still answers a ping.
        assert_eq!(link.read_exact(12)[..8], frame(1, 4, 0, b"")[..8]);
        link.send(&[0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]);
        link.expect(&[0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9]);
    }
}

#[test]
fn tunnel_ways_a_header_that_trickles_does_not_keep_its_stream_forever() {
    let _test = Test::begin("A byte now and then buys no time.");
    let server = server_at("127.0.0.1:0", &["--handshake-timeout", "500ms"]);
    let link = Client::connect(server.addr());
    first_bytes(&link, &[1]);
    let reply = payload(&link);
    assert_eq!(reply[..2], [1, 6], "{reply:?}");
    let text = String::from_utf8_lossy(&reply[3..]).into_owned();
    assert!(text.contains("not complete in time"), "{text}");
    // The same for a client of the tunnel that does not finish its handshake.
    let ways = Ways::start(&["socks5", "http"], &["--handshake-timeout", "500ms"], &[]);
    let client = Client::connect(ways.at(0));
    client.send(&[5, 1]);
    client.expect(&[5, 255]);
    client.expect_eof();
    let client = Client::connect(ways.at(1));
    client.send(b"GET http://x/ HT");
    let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
}

#[test]
fn tunnel_ways_a_far_end_that_says_nothing_is_given_up() {
    let _test = Test::begin("A deadline for the response header, because the far end may hang.");
    let ways = Ways::start(
        &["socks5"],
        &["--answer-timeout", "500ms"],
        &["--connect-timeout", "60s"],
    );
    let hole = BlackHole::start();
    let (client, code) = socks(ways.at(0), &socks_address(hole.addr()));
    assert_eq!(code, 6);
    client.expect_eof();
}

#[test]
fn tunnel_ways_ends_that_do_not_fit_say_so() {
    let _test = Test::begin("A server with an --upstream takes a header for the client's bytes.");
    let text = Scripted::start("text", |peer| {
        peer.send(b"220 hello\r\n");
        let _ = peer.drain();
    });
    let upstream = text.addr().to_string();
    let ways = Ways::start(&["http"], &[], &["--upstream", &upstream]);
    let (code, body) = refused(ways.at(0), &connect_to("127.0.0.1:80"));
    assert_eq!(code, 502);
    assert!(
        body.contains("does not speak the chain's protocol"),
        "{body}"
    );
}

#[test]
fn tunnel_ways_two_hundred_clients_share_one_link() {
    let _test = Test::begin("A handshake holds a row and a socket, and nothing else.");
    let echo = Scripted::echo();
    let ways = Ways::start(&["socks5", "http"], &[], &[]);
    let before = [&ways.client, &ways.server].map(|end| proc::fd_count(end.pid()));
    let clients: Vec<_> = (0..100)
        .flat_map(|_| {
            let (socks, code) = socks(ways.at(0), &socks_address(echo.addr()));
            assert_eq!(code, 0);
            [socks, connect(ways.at(1), echo.addr())]
        })
        .collect();
    clients.iter().for_each(echoes);
    assert_eq!(proc::fd_count(ways.client.pid()), before[0] + 200);
    assert_eq!(proc::fd_count(ways.server.pid()), before[1] + 200);
    drop(clients);
    proc::fds_return_to(ways.client.pid(), before[0]);
    proc::fds_return_to(ways.server.pid(), before[1]);
    proc::assert_cpu_idle(ways.client.pid(), Duration::from_millis(200));
}

#[test]
fn tunnel_ways_users_are_asked_for_their_passwords() {
    let _test = Test::begin("--user is for the ingresses that have names and passwords.");
    let echo = Scripted::echo();
    let ways = Ways::start(&["socks5", "http"], &["--user", "ada:secret"], &[]);
    let client = Client::connect(ways.at(0));
    client.send(b"\x05\x01\x02\x01\x03ada\x06secret");
    client.expect(&[5, 2, 1, 0]);
    client.send(&socks_address(echo.addr()));
    assert_eq!(socks_reply(&client), 0);
    echoes(&client);
    let client = Client::connect(ways.at(0));
    client.send(b"\x05\x01\x02\x01\x03ada\x05wrong");
    client.expect(&[5, 2, 1, 1]);
    client.expect_eof();
    let (code, _) = refused(ways.at(1), &connect_to(echo.addr()));
    assert_eq!(code, 407);
}

#[test]
fn tunnel_ways_clients_from_elsewhere_are_reset_and_so_are_their_links() {
    let _test = Test::begin("--clients says who may come in, and who may bring the link.");
    let server = server_at("127.0.0.1:0", &["--clients", "192.0.2.0/24"]);
    match Connect::new().try_to(server.addr()) {
        Ok(stranger) => stranger.expect_reset(),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    server.wait_for_stderr("--clients does not admit it");
    let ways = Ways::start(&["http"], &["--clients", "127.0.0.2"], &[]);
    match Connect::new().try_to(ways.at(0)) {
        Ok(stranger) => stranger.expect_reset(),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    let echo = Scripted::echo();
    let friend = Connect::new()
        .from(([127, 0, 0, 2], 0).into())
        .to(ways.at(0));
    friend.send(connect_to(echo.addr()).as_bytes());
    friend.expect(ESTABLISHED);
    echoes(&friend);
}

#[test]
fn tunnel_ways_the_flags_are_checked() {
    let _test = Test::begin("An open relay does not start.");
    let client = Program::new(program()).args(["client", "--via", "tcp:127.0.0.1:1"]);
    command_line::refuses(
        &client,
        &[
            (
                &[
                    "--listen",
                    "127.0.0.1:0",
                    "--ingress",
                    "http",
                    "--ingress",
                    "socks5",
                ],
                "in pairs",
            ),
            (
                &["--ingress", "http", "--upstream", "x:1"],
                "--ingress fixed",
            ),
            (
                &["--listen", "0.0.0.0:0", "--ingress", "socks5"],
                "--clients",
            ),
            (&["--user", "ada:secret"], "--user"),
            (&["--ingress", "pigeon"], "--ingress"),
        ],
    );
    let server = Program::new(program()).arg("server");
    let wide = "tcp-listen:0.0.0.0:0";
    command_line::refuses(
        &server,
        &[
            (&["--via", wide], "not authenticated"),
            (&["--via", wide, "--upstream", "x:1"], "not authenticated"),
            (&["--via", wide, "--clients", "private"], "--allow"),
            (
                &[
                    "--via",
                    "tcp-listen:127.0.0.1:0",
                    "--upstream",
                    "x:1",
                    "--allow",
                    "any",
                ],
                "--upstream",
            ),
        ],
    );
}

/// A web server with two pages.
fn curl(options: &[&str], url: &str) -> Option<Vec<u8>> {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--max-time",
        "30",
        "--noproxy",
        "",
    ]);
    match command.args(options).arg(url).output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            harness::ensure(output.status.success(), errors);
            Some(output.stdout)
        }
        Err(error) => {
            eprintln!("skipped: curl is not there: {error}");
            None
        }
    }
}

#[test]
fn tunnel_ways_curl_takes_each_of_them() {
    let _test = Test::begin("curl has an option for each kind of proxy.");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("index.html"), b"a page\n").expect("a file in it");
    let site = harness::Upstream::python(folder.path());
    let port = site.addr().port();
    let url = format!("http://localhost:{port}/");
    let ways = Ways::start(
        &["socks5", "http", "fixed"],
        &["--upstream", &site.addr().to_string()],
        &[],
    );
    let (socks5, http) = (ways.at(0).to_string(), format!("http://{}", ways.at(1)));
    let table: [&[&str]; 4] = [
        &["--socks5-hostname", &socks5],
        &["--socks5", &socks5],
        &["-x", &http],
        &["-x", &http, "--proxytunnel"],
    ];
    for options in table {
        let Some(page) = curl(options, &url) else {
            return;
        };
        assert_eq!(page, b"a page\n", "{options:?}");
    }
    let direct = format!("http://{}/", ways.at(2));
    assert_eq!(curl(&[], &direct).as_deref(), Some(&b"a page\n"[..]));
}
