//! HTTP requests in absolute form over a tunnel: each one has a stream of its own, and the client's connection goes on.

use std::time::Duration;

use harness::{Client, Hand, Peer, Rng, Scripted, Signal, Test, proc};

use crate::support::{MIB, field, ok, reply};
use crate::ways::{ESTABLISHED, Ways, connect_to};

/// A web server that answers each request with its name, and closes as it is asked to.
fn site(name: &'static str) -> Scripted {
    Scripted::start(name, move |peer| {
        let head = String::from_utf8_lossy(&peer.read_until(b"\r\n\r\n")).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(path.starts_with('/'), "the origin form: {head}");
        assert_eq!(field(&head, "connection"), Some("close"), "{head}");
        peer.send(&ok(format!("{name} {path}").as_bytes()));
    })
}

fn get(url: &str) -> Vec<u8> {
    format!("GET {url} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

#[track_caller]
fn ask(client: &Client, url: &str, body: &str) {
    client.send(&get(url));
    let reply = reply(client);
    assert_eq!((reply.status(), &*reply.text()), ("200", body));
}

#[test]
fn tunnel_ways_http_one_client_connection_reaches_many_hosts_and_then_a_tunnel() {
    let _test =
        Test::begin("Each request opens a stream of its own, and the client's connection is kept.");
    let (one, two, echo) = (site("one"), site("two"), Scripted::echo());
    let ways = Ways::start(&["http"], &[], &[]);
    let before = [&ways.client, &ways.server].map(|end| proc::fd_count(end.pid()));
    let client = Client::connect(ways.at(0));
    for round in 0..5 {
        for (site, name) in [(&one, "one"), (&two, "two")] {
            let url = format!("http://{}/{round}", site.addr());
            ask(&client, &url, &format!("{name} /{round}"));
        }
    }
    // The target has got its FIN, and no reset: every request ends in order.
    one.finish();
    two.finish();
    proc::fds_return_to(ways.server.pid(), before[1]);
    client.send(connect_to(echo.addr()).as_bytes());
    client.expect(ESTABLISHED);
    let nonce = Rng::for_test().nonce(24);
    client.send(&nonce);
    client.expect(&nonce);
    client.half_close();
    client.expect_eof();
    drop(client);
    proc::fds_return_to(ways.client.pid(), before[0]);
}

#[test]
fn tunnel_ways_http_pipelined_requests_are_answered_in_order() {
    let _test = Test::begin("Bytes behind a request are the next one, and wait for their turn.");
    let (one, two) = (site("one"), site("two"));
    let ways = Ways::start(&["http"], &[], &[]);
    let client = Client::connect(ways.at(0));
    let urls: Vec<_> = (0..10)
        .map(|number| {
            let site = if number % 2 == 0 { &one } else { &two };
            format!("http://{}/{number}", site.addr())
        })
        .collect();
    let all: Vec<u8> = urls.iter().flat_map(|url| get(url)).collect();
    client.send(&all);
    for number in 0..10 {
        let name = if number % 2 == 0 { "one" } else { "two" };
        assert_eq!(
            reply(&client).text(),
            format!("{name} /{number}"),
            "the body of the response to the client"
        );
    }
}

/// Reads a request with a body of this length.
#[track_caller]
fn request_of(upstream: &Peer, length: usize) -> Vec<u8> {
    let _ = upstream.read_until(b"\r\n\r\n");
    upstream.read_exact(length)
}

#[test]
fn tunnel_ways_http_bodies_pass_both_ways_and_end_where_they_end() {
    let _test = Test::begin(
        "A body ends by its length, by its last chunk, or by the end of the connection.",
    );
    let mut rng = Rng::for_test();
    let (up, down) = (rng.bytes(2 * MIB), rng.bytes(2 * MIB));
    let hand = Hand::start();
    let ways = Ways::start(&["http"], &[], &[]);
    let client = Client::connect(ways.at(0));
    let url = format!("http://{}/", hand.addr());
    // By length, with the next request behind the body in the same write.
    let head = format!(
        "POST {url} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        up.len()
    );
    let sending = client.send_in_background([head.as_bytes(), &up, &get(&url)].concat());
    let upstream = hand.next();
    assert!(
        request_of(&upstream, up.len()) == up,
        "the body has arrived"
    );
    let answering = upstream.send_in_background(ok(&down));
    assert!(reply(&client).body == down, "the response has arrived");
    answering.join();
    sending.join();
    upstream.close();
    // By chunks.
    let upstream = hand.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let head = String::from_utf8_lossy(&client.read_until(b"\r\n\r\n")).into_owned();
    assert_eq!(
        field(&head, "transfer-encoding"),
        Some("chunked"),
        "the field transfer-encoding"
    );
    client.expect(b"3\r\nabc\r\n0\r\n\r\n");
    upstream.close();
    // By the end: the client's connection ends with it.
    client.send(&get(&url));
    let upstream = hand.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end");
    let head = String::from_utf8_lossy(&client.read_until(b"\r\n\r\n")).into_owned();
    assert_eq!(
        field(&head, "connection"),
        Some("close"),
        "the field connection"
    );
    client.expect(b"until the end");
    upstream.close();
    client.expect_eof();
}

#[test]
fn tunnel_ways_http_a_target_that_breaks_off_is_no_complete_response() {
    let _test = Test::begin(
        "Before its first byte: 502. Behind it: a reset, and no end that looks regular.",
    );
    let hand = Hand::start();
    let ways = Ways::start(&["http"], &[], &[]);
    let url = format!("http://{}/", hand.addr());
    let endings: [(&[u8], bool); 3] = [
        (b"", false),
        (b"HTTP/1.1 200 O", true),
        (b"nonsense\r\n\r\n", false),
    ];
    for (bytes, is_reset) in endings {
        let client = Client::connect(ways.at(0));
        client.send(&get(&url));
        let upstream = hand.next();
        let _ = upstream.read_until(b"\r\n\r\n");
        upstream.send(bytes);
        if is_reset {
            upstream.reset();
        } else {
            upstream.close();
        }
        let reply = reply(&client);
        assert_eq!(reply.status(), "502", "{}", reply.text());
        client.expect_eof();
    }
    let client = Client::connect(ways.at(0));
    client.send(&get(&url));
    let upstream = hand.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let _ = client.read_until(b"\r\n\r\nhalf");
    upstream.close();
    client.expect_reset();
}

#[test]
fn tunnel_ways_http_a_body_that_is_no_chunk_is_refused() {
    let _test = Test::begin("400, because no two programs would agree where such a request ends.");
    let hand = Hand::start();
    let ways = Ways::start(&["http"], &[], &[]);
    let url = format!("http://{}/", hand.addr());
    let client = Client::connect(ways.at(0));
    let head = format!("POST {url} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(head.as_bytes());
    let upstream = hand.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    client.send(b"no size\r\n");
    let reply = reply(&client);
    assert_eq!(reply.status(), "400", "{}", reply.text());
    upstream.expect_reset();
}

#[test]
fn tunnel_ways_http_an_upload_that_is_refused_still_reads_its_reply() {
    let _test = Test::begin(
        "The reply comes before the client's bytes are all read: no reset may overtake it.",
    );
    let ways = Ways::start(&["http"], &[], &["--deny", "loopback"]);
    let client = Client::connect(ways.at(0));
    let head = "POST http://127.0.0.1:9/ HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n";
    let sending = client.send_in_background([head.as_bytes(), &vec![7; 8 * MIB]].concat());
    let reply = reply(&client);
    assert_eq!(reply.status(), "403", "{}", reply.text());
    client.expect_eof();
    sending.join();
}

#[test]
fn tunnel_ways_http_a_slow_reader_holds_no_more_than_its_window() {
    let _test = Test::begin("Credit is given for bytes of the response that the client has taken.");
    let hand = Hand::start();
    let ways = Ways::start(&["http"], &[], &[]);
    let client = harness::Connect::new().receive_buffer(4096).to(ways.at(0));
    client.send(&get(&format!("http://{}/", hand.addr())));
    let upstream = hand.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    let body = Rng::for_test().bytes(48 * MIB);
    let sending = upstream.send_in_background(ok(&body));
    harness::eventually("the response is stuck", harness::PATIENCE, || {
        proc::is_asleep(ways.client.pid()) && proc::is_asleep(ways.server.pid())
    });
    std::thread::yield_now();
    assert!(!sending.is_done(), "48 MiB have no place in the tunnel");
    assert!(reply(&client).body == body, "everything has arrived");
    sending.join();
    let rss = proc::rss_kib(ways.client.pid());
    assert!(rss < 64 * 1024, "{rss} KiB");
}

#[test]
fn tunnel_ways_http_a_drain_closes_clients_between_two_requests() {
    let _test = Test::begin("Such a client would use all the time that a drain has.");
    let one = site("one");
    let ways = Ways::start(&["http"], &["--drain-timeout", "60s"], &[]);
    let client = Client::connect(ways.at(0));
    ask(&client, &format!("http://{}/", one.addr()), "one /");
    ways.client.signal(Signal::SIGTERM);
    client.expect_eof();
    assert!(
        ways.client.wait().success(),
        "the program did not end with 0"
    );
}

#[test]
fn tunnel_ways_http_a_kept_client_that_says_nothing_is_closed() {
    let _test = Test::begin("--handshake-timeout holds for the next request, too.");
    let one = site("one");
    let ways = Ways::start(&["http"], &["--handshake-timeout", "500ms"], &[]);
    let client = Client::connect(ways.at(0));
    ask(&client, &format!("http://{}/", one.addr()), "one /");
    client.expect_eof();
    proc::assert_cpu_idle(ways.client.pid(), Duration::from_millis(100));
}

#[test]
fn tunnel_ways_http_messages_are_passed_on_under_this_program_s_name() {
    let _test =
        Test::begin("Via and the realm name the program that the message has gone through.");
    let upstream = Scripted::start("a web server", |peer| {
        let head = String::from_utf8_lossy(&peer.read_until(b"\r\n\r\n")).into_owned();
        assert_eq!(field(&head, "via"), Some("1.1 stage5-mux"), "{head}");
        peer.send(&ok(b"seen"));
    });
    let ways = Ways::start(&["http"], &[], &[]);
    let client = Client::connect(ways.at(0));
    // The second request has a handshake of its own.
    for _ in 0..2 {
        client.send(&get(&format!("http://{}/", upstream.addr())));
        let head = String::from_utf8_lossy(&client.read_until(b"\r\n\r\n")).into_owned();
        assert_eq!(field(&head, "via"), Some("1.1 stage5-mux"), "{head}");
        client.expect(b"seen");
    }
    let ways = Ways::start(&["http"], &["--user", "ada:secret"], &[]);
    let client = Client::connect(ways.at(0));
    client.send(connect_to(upstream.addr()).as_bytes());
    let head = String::from_utf8_lossy(&client.read_until(b"\r\n\r\n")).into_owned();
    let realm = "Basic realm=\"stage5-mux\", charset=\"UTF-8\"";
    assert_eq!(field(&head, "proxy-authenticate"), Some(realm), "{head}");
}
