//! What an operator learns about each session: its row in the inspector, its line in the log, its counters.

use std::net::SocketAddr;

use harness::{
    BlackHole, Client, ClosedPort, Hand, PATIENCE, Program, Scripted, Test, eventually,
    eventually_equal,
};

use crate::inspector::{chromium, dump_dom};
use crate::support::{
    Proxy, connect_and_be_closed, echoes, program, proxy_and_hand, session, talk,
};
use crate::{http_ingress, socks5};

/// Starts a proxy that logs the end of each session.
#[track_caller]
fn logging(arguments: &[&str]) -> Proxy {
    let program = Program::new(program()).env("RUST_LOG", "info,stage4_proxy::sessions=debug");
    Proxy::launch(program.args(arguments))
}

/// Returns the value of a field in a line of the log.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(" {name}="))?;
    rest.split_whitespace().next()
}

/// Returns the number in a field of a line of the log.
#[track_caller]
fn number(line: &str, name: &str) -> u64 {
    let number = field(line, name).and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| harness::fail(format!("{name} is no number in {line}")))
}

/// Opens a tunnel to `target` through an ingress, and returns its client.
#[track_caller]
fn tunnel(proxy: &Proxy, ingress: &str, name: &str, port: u16) -> Client {
    match ingress {
        "socks5" => {
            let client = socks5::ask(proxy, &socks5::named(name, port));
            assert_eq!(
                socks5::reply(&client),
                0,
                "the code of the reply to the client"
            );
            client
        }
        "http" => {
            let client = Client::connect(proxy.addr());
            client.send(http_ingress::connect_to(format!("{name}:{port}")).as_bytes());
            let _ = client.read_until(b"\r\n\r\n");
            client
        }
        _ => Client::connect(proxy.addr()),
    }
}

#[test]
fn report_a_row_has_the_ingress_the_target_as_asked_and_the_address_dialled() {
    let _test =
        Test::begin("A name is what the client has asked for; an address is what was dialled.");
    let echo = Scripted::echo();
    let port = echo.addr().port();
    let target = format!("localhost:{port}");
    for ingress in ["fixed", "socks5", "http"] {
        let proxy = match ingress {
            "fixed" => Proxy::to(target.as_str()),
            _ => Proxy::choosing(ingress, &[]),
        };
        let client = tunnel(&proxy, ingress, "localhost", port);
        echoes(&client);
        let row = proxy.row_of(&client);
        assert_eq!(row.ingress.as_deref(), Some(ingress));
        assert_eq!(row.target.as_deref(), Some(target.as_str()));
        assert_eq!(row.dialled, Some(format!("ipv4[{}]", echo.addr())));
        assert!(row.hops.is_empty(), "{row:?}");
        let description = format!("{ingress}[{} -> {target}]", client.local());
        assert_eq!(row.description, description);
    }
}

/// The answers of the hops in the only row of a proxy.
#[track_caller]
fn answers(proxy: &Proxy) -> Vec<Option<String>> {
    let row = proxy.routes().sessions.pop();
    let hops = row.map(|row| row.hops).unwrap_or_default();
    hops.into_iter().map(|hop| hop.answer).collect()
}

#[test]
fn report_the_hops_of_a_chain_stand_in_the_row_with_their_answers() {
    let _test = Test::begin("A hop's answer is known when its response has come.");
    let hand = Hand::start();
    let chain = format!("{},192.0.2.1:1,192.0.2.2:2", hand.addr());
    let proxy = Proxy::choosing("socks5", &["--chain", &chain]);
    let client = socks5::ask(&proxy, &socks5::named("example.org", 80));
    let hop = hand.next();
    let _ = hop.read_until(b"example.org\x00\x50");
    let names: Vec<_> = proxy
        .row_of(&client)
        .hops
        .into_iter()
        .map(|hop| hop.hop)
        .collect();
    assert_eq!(names.join(","), chain);
    assert_eq!(answers(&proxy), [None, None, None]);
    let ok = || Some("ok".to_owned());
    hop.send(&[1, 0, 0]);
    eventually_equal("the first answer", &vec![ok(), None, None], || {
        answers(&proxy)
    });
    hop.send(&[1, 2, 0]);
    let refused = Some("connection refused".to_owned());
    eventually_equal("the second answer", &vec![ok(), refused, None], || {
        answers(&proxy)
    });
    assert_eq!(
        proxy.row_of(&client).phase,
        "lingering",
        "the phase of the session"
    );
    proxy.wait_for_metric("proxy_hop_failures_total{hop=\"2\"}", 1.0);
    assert_eq!(
        proxy.row_of(&client).dialled,
        Some(format!("ipv4[{}]", hand.addr()))
    );
    drop(client);
    proxy.wait_for_rows(0);

    let client = socks5::ask(&proxy, &socks5::named("example.org", 80));
    let hop = hand.next();
    hop.send(&[1, 0, 0, 1, 0, 0, 1, 0, 0]);
    assert_eq!(
        socks5::reply(&client),
        0,
        "the code of the reply to the client"
    );
    assert_eq!(answers(&proxy), [ok(), ok(), ok()]);
}

#[test]
fn report_the_page_shows_target_address_and_hops() {
    let _test = Test::begin("The third table has the way of each session.");
    let Some(browser) = chromium() else {
        return;
    };
    let hand = Hand::start();
    let chain = format!("{},192.0.2.1:1", hand.addr());
    let proxy = Proxy::choosing("socks5", &["--chain", &chain]);
    let client = socks5::ask(&proxy, &socks5::named("example.org", 80));
    let hop = hand.next();
    hop.send(&[1, 0, 0]);
    eventually_equal(
        "the first answer",
        &vec![Some("ok".to_owned()), None],
        || answers(&proxy),
    );
    let dom = dump_dom(&browser, &format!("http://{}/", proxy.inspector().addr()));
    for text in [
        "example.org:80".to_owned(),
        format!("ipv4[{}]", hand.addr()),
        format!("{} \u{2192} 192.0.2.1:1 (\u{2026})", hand.addr()),
        format!("socks5[{} -&gt; example.org:80]", client.local()),
        "ESTABLISHED".to_owned(),
    ] {
        let is_shown = dom.contains(&format!(">{text}</td>"));
        assert!(is_shown, "{text:?} is not in {dom}");
    }
}

#[test]
fn report_the_end_of_a_session_is_one_line_with_all_its_facts() {
    let _test =
        Test::begin("Who, asked for what, dialled where, how many bytes, how long, and why.");
    let echo = Scripted::echo();
    let proxy = logging(&["--ingress", "socks5"]);
    let client = tunnel(&proxy, "socks5", "localhost", echo.addr().port());
    echoes(&client);
    let who = format!(
        "socks5[{} -> localhost:{}]: finished",
        client.local(),
        echo.addr().port()
    );
    client.half_close();
    client.expect_eof();
    let line = proxy.wait_for_stderr(&who);
    assert_eq!(
        field(&line, "dialled"),
        Some(&*format!("ipv4[{}]", echo.addr())),
        "{line}"
    );
    assert_eq!(number(&line, "bytes_up"), 24, "{line}");
    // The nonce, and the two replies of the handshake.
    assert_eq!(number(&line, "bytes_down"), 24 + 2 + 10, "{line}");
    for phase in ["handshake_us", "resolve_us", "connect_us", "relay_us"] {
        let _ = number(&line, phase);
    }
    assert_eq!(field(&line, "hops"), None, "{line}");
    assert_eq!(
        proxy
            .stderr()
            .matches(&format!("[{} ->", client.local()))
            .count(),
        1
    );
}

#[test]
fn report_the_phase_that_took_long_is_told_apart() {
    let _test = Test::begin("A slow client, a slow target and a long talk are three things.");
    let hole = BlackHole::start();
    let proxy = logging(&["--ingress", "socks5", "--connect-timeout", "400ms"]);
    let client = Client::connect(proxy.addr());
    client.expect_silence(std::time::Duration::from_millis(200));
    client.send(&[&[5, 1, 0], &socks5::request(hole.addr())[..]].concat());
    client.expect(&[5, 0]);
    assert_eq!(socks5::reply(&client), 6, "timed out");
    let line = proxy.wait_for_stderr("connection timed out");
    assert_eq!(
        field(&line, "dialled"),
        Some(&*format!("ipv4[{}]", hole.addr())),
        "{line}"
    );
    assert!(number(&line, "handshake_us") >= 190_000, "{line}");
    assert_eq!(number(&line, "resolve_us"), 0, "{line}");
    assert!(number(&line, "connect_us") >= 390_000, "{line}");
    assert_eq!(field(&line, "relay_us"), None, "{line}");
}

#[test]
fn report_sessions_without_trouble_are_not_logged_unless_asked_for() {
    let _test = Test::begin("A line for each session would cost more than the session.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    drop((client, upstream));
    proxy.wait_for_rows(0);
    proxy.terminate();
    assert!(!proxy.stderr().contains("sessions: "), "{}", proxy.stderr());
}

#[test]
fn report_a_refused_session_has_one_line_and_no_second_one_at_its_end() {
    let _test = Test::begin("The lingering close of a refused client is no event of its own.");
    let proxy = logging(&["--ingress", "socks5"]);
    let client = Client::connect(proxy.addr());
    client.send(b"GET / HTTP/1.1\r\n\r\n");
    let _ = client.read_to_end();
    let who = format!("[{} ->", client.local());
    drop(client);
    proxy.wait_for_rows(0);
    let line = proxy.wait_for_stderr("refused: HTTP instead of SOCKS5");
    assert!(line.contains(&who) && line.contains("WARN"), "{line}");
    assert_eq!(
        proxy.stderr().matches(&who).count(),
        1,
        "{}",
        proxy.stderr()
    );
}

#[test]
fn report_a_flood_of_refusals_does_not_hide_a_failure() {
    let _test = Test::begin("Refusals and failures have a quota each.");
    let closed = ClosedPort::start();
    let proxy = Proxy::choosing("socks5", &[]);
    for _ in 0..30 {
        let client = Client::connect(proxy.addr());
        client.send(b"\x04\x01");
        let _ = client.read_to_end();
    }
    let client = socks5::ask(&proxy, &socks5::request(closed.addr()));
    assert_eq!(
        socks5::reply(&client),
        5,
        "the code of the reply to the client"
    );
    proxy.wait_for_stderr("connection refused");
    let lines = proxy.stderr().matches("SOCKS4 instead").count();
    assert!((10..30).contains(&lines), "{lines} of 30 lines");
    proxy.wait_for_metric("proxy_refusals_total", 30.0);
}

#[test]
fn report_refusals_are_counted_by_reason() {
    let _test = Test::begin("The sum keeps its name; the reasons have one of their own.");
    let proxy = Proxy::choosing("http", &["--clients", "127.0.0.0/24"]);
    let stranger = harness::Connect::new().from(SocketAddr::from(([127, 0, 1, 1], 0)));
    drop(stranger.try_to(proxy.addr()));
    for code in [400, 431] {
        let request = match code {
            400 => "no request at all\r\n\r\n".to_owned(),
            _ => format!("GET http://localhost/{} HTTP/1.1\r\n", "a".repeat(70_000)),
        };
        let client = Client::connect(proxy.addr());
        let _ = client.try_send(request.as_bytes());
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        assert!(reply.contains(&code.to_string()), "{reply}");
    }
    let by_reason = |reason: &str| format!("proxy_refusals_by_reason_total{{reason=\"{reason}\"}}");
    for reason in ["client", "handshake", "too_long"] {
        proxy.wait_for_metric(&by_reason(reason), 1.0);
    }
    proxy.wait_for_metric("proxy_refusals_total", 3.0);
    assert_eq!(proxy.routes().totals["refusals_by_reason"]["handshake"], 1);
}

/// What a client of each ingress is told, the words in the log, and the reason in the metrics.
struct Told {
    target: String,
    socks5: u8,
    http: u16,
    hop: u8,
    words: &'static str,
    reason: &'static str,
}

/// Asks for a target through every ingress that has words, and compares what is told, logged and counted.
#[track_caller]
fn is_told_logged_and_counted(told: &Told) {
    let (host, port) = told.target.rsplit_once(':').expect("a port");
    let (host, port) = (host.trim_matches(['[', ']']), port.parse().expect("a port"));
    let rules = [
        "--allow",
        "any,fe80::/10,127.0.0.0/8",
        "--deny",
        "127.9.9.9",
        "--connect-timeout",
        "500ms",
    ];
    for ingress in ["socks5", "http", "hop"] {
        let proxy = Proxy::choosing(ingress, &rules);
        let request = match host.parse() {
            Ok(ip) => socks5::request(SocketAddr::new(ip, port)),
            Err(_) => socks5::named(host, port),
        };
        match ingress {
            "socks5" => assert_eq!(socks5::reply(&socks5::ask(&proxy, &request)), told.socks5),
            "http" => {
                let request = http_ingress::connect_to(&told.target);
                assert_eq!(http_ingress::status(&proxy, request), told.http);
            }
            _ => {
                let client = Client::connect(proxy.addr());
                client.send(&[&[1], &request[3..]].concat());
                let reply = client.read_to_end();
                assert_eq!(reply[1], told.hop, "{reply:?}");
            }
        }
        let line = proxy.wait_for_stderr("cannot connect");
        assert!(
            line.contains(told.words) && line.contains(&format!("{ingress}[")),
            "{line}"
        );
        let name = format!("proxy_failures_total{{reason=\"{}\"}}", told.reason);
        proxy.wait_for_metric(&name, 1.0);
    }
}

#[test]
fn report_every_failure_reason_reaches_reply_log_and_metrics() {
    let _test = Test::begin("Name resolution, denied, refused, timed out, unreachable, other.");
    let (closed, hole) = (ClosedPort::start(), BlackHole::start());
    let told = |target: &str, (socks5, http, hop), words, reason| Told {
        target: target.to_owned(),
        socks5,
        http,
        hop,
        words,
        reason,
    };
    let table = [
        told(
            "nowhere.invalid:80",
            (4, 502, 1),
            "name resolution failed",
            "resolve",
        ),
        told("127.9.9.9:80", (2, 403, 5), "not allowed", "denied"),
        told(
            &closed.addr().to_string(),
            (5, 502, 2),
            "connection refused",
            "refused",
        ),
        told(
            &hole.addr().to_string(),
            (6, 504, 3),
            "timed out",
            "timed_out",
        ),
        // A broadcast address of the loopback network: TCP says ENETUNREACH.
        told(
            "127.255.255.255:80",
            (3, 502, 4),
            "no route to host",
            "unreachable",
        ),
        // A link-local address without a zone: EINVAL.
        told("[fe80::1]:80", (1, 502, 255), "connection failed", "other"),
    ];
    for row in &table {
        is_told_logged_and_counted(row);
    }
}

#[test]
fn report_a_fixed_session_s_failure_names_the_address_that_was_tried() {
    let _test = Test::begin("A name may have several addresses: the log says which one failed.");
    let closed = ClosedPort::start();
    let target = format!("localhost:{}", closed.addr().port());
    let proxy = Proxy::to(target.as_str());
    connect_and_be_closed(proxy.addr());
    let line = proxy.wait_for_stderr("connection refused");
    let dialled = field(&line, "dialled").unwrap_or_default();
    assert!(
        dialled.contains(&format!(":{}]", closed.addr().port())),
        "{line}"
    );
    eventually("the failure is counted", PATIENCE, || {
        proxy.metrics()["proxy_failures_total{reason=\"refused\"}"] == 1.0
    });
}

#[test]
fn report_each_request_of_a_client_has_its_own_line() {
    let _test = Test::begin("A browser asks many servers over one connection: the log names each.");
    let hands = [Hand::start(), Hand::start()];
    let proxy = logging(&["--ingress", "http"]);
    let client = Client::connect(proxy.addr());
    for hand in &hands {
        let target = hand.addr();
        client.send(format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes());
        let upstream = hand.next();
        let request = upstream.read_until(b"\r\n\r\n").len();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        upstream.send(answer);
        let _ = client.read_until(b"hi");
        let line =
            proxy.wait_for_stderr(&format!("http[{} -> {target}]: finished", client.local()));
        assert_eq!(
            field(&line, "dialled"),
            Some(&*format!("ipv4[{target}]")),
            "{line}"
        );
        assert_eq!(number(&line, "bytes_up"), request as u64, "{line}");
        assert!(
            (answer.len() as u64..200).contains(&number(&line, "bytes_down")),
            "{line}"
        );
    }
    let row = proxy.row_of(&client);
    let kept = format!("ipv4[{}]", hands[1].addr());
    assert_eq!(
        (row.phase.as_str(), row.target, row.dialled),
        ("handshake", None, Some(kept)),
        "the connection that is kept for the next request"
    );
    let who = format!("[{} ->", client.local());
    client.close();
    proxy.wait_for_rows(0);
    // The connection itself has no line of its own.
    assert_eq!(
        proxy.stderr().matches(&who).count(),
        2,
        "{}",
        proxy.stderr()
    );
}
