//! Clients of a tunnel that get no connection: the reason, in the words of each protocol.

use std::net::SocketAddr;
use std::time::Duration;

use harness::{BlackHole, Client, ClosedPort, PATIENCE, Scripted, Test, eventually, proc};

use crate::ways::{
    Ways, announced, client_of, connect, connect_to, echoes, refused, server_at, socks,
    socks_address, socks_name, socks_reply,
};

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
        Client::connect(ways.at(0)).expect_reset();
        echoes(&other);
    }
    ways.server.wait_for_stderr("connection refused");
    drop(other);
    ways.client.terminate();
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
    assert_eq!(code, 1, "the code of the reply");
    refused_client.expect_eof();
    let (code, body) = refused(at[1], &connect_to(echo.addr()));
    assert_eq!(code, 502, "the code of the reply");
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
    assert_eq!(
        socks_reply(&waits),
        1,
        "the code of the reply to the client"
    );
    waits.expect_eof();
    let reply = String::from_utf8_lossy(&page.read_to_end()).into_owned();
    assert!(reply.starts_with("HTTP/1.1 502 "), "{reply}");
    assert!(reply.contains("the link of the tunnel is lost"), "{reply}");
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
        assert_eq!(code, 0, "the code of the reply");
        echoes(&client);
    }
    waits.expect_silence(Duration::from_millis(100));
    let before = proc::fd_count(ways.server.pid());
    waits.reset();
    proc::fds_return_to(ways.server.pid(), before - 1);
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
    assert_eq!(code, 6, "the code of the reply");
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
    assert_eq!(code, 502, "the code of the reply");
    assert!(
        body.contains("does not speak the chain's protocol"),
        "{body}"
    );
}

#[test]
fn tunnel_ways_refused_streams_leave_nothing_behind() {
    let _test =
        Test::begin("A hundred refusals at once: no descriptor, no row and no work is left.");
    let closed = ClosedPort::start();
    let ways = Ways::start(&["socks5", "http"], &[], &[]);
    let before = [&ways.client, &ways.server].map(|end| proc::fd_count(end.pid()));
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let client = Client::connect(ways.at(0));
            client.send(&[&[5, 1, 0], &socks_address(closed.addr())[..]].concat());
            client
        })
        .collect();
    for client in &asking {
        client.expect(&[5, 0]);
        assert_eq!(
            socks_reply(client),
            5,
            "the code of the reply to the client"
        );
        client.expect_eof();
    }
    drop(asking);
    proc::fds_return_to(ways.client.pid(), before[0]);
    proc::fds_return_to(ways.server.pid(), before[1]);
    proc::assert_cpu_idle(ways.server.pid(), Duration::from_millis(200));
    ways.client.signal(harness::Signal::SIGTERM);
    assert!(
        ways.client.wait().success(),
        "the program did not end with 0"
    );
}
