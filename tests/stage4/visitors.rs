//! Exercise 4.9: many visitors of the inspector, hasty, mute and uninvited ones.

use std::net::TcpStream;

use harness::{Client, Deadline, Test, Visitors, eventually, fail};

use crate::support::{Proxy, echoes, proxy_and_echo, proxy_and_hand, session, talk};

/// Idle sessions, so that a copy of the table takes its time.
const CROWD: usize = 1000;

/// Opens many sessions that stay idle.
fn crowd(proxy: &Proxy, count: usize) -> Vec<TcpStream> {
    let connect = |_| TcpStream::connect(proxy.addr());
    let crowd: Result<Vec<_>, _> = (0..count).map(connect).collect();
    crowd.unwrap_or_else(|error| fail(format!("The crowd cannot connect: {error}.")))
}

#[test]
fn e49_visitors_that_ask_again_at_once_do_not_stop_the_relay() {
    let _test = Test::begin(
        "A turn of the loop reads a bounded number of messages and copies a bounded number of rows.",
    );
    for path in ["/metrics", "/routes.json"] {
        let (proxy, _echo) = proxy_and_echo(&["--drain-timeout", "1s"]);
        let _crowd = crowd(&proxy, CROWD);
        let client = Client::connect(proxy.addr());
        echoes(&client);
        let _visitors = Visitors::start(proxy.inspector(), path, 6);
        // One echo may slip through between two copies.
        let limit = Deadline::patience();
        for _ in 0..20 {
            echoes(&client);
        }
        echoes(&Client::connect(proxy.addr()));
        assert!(
            limit.remaining().is_some(),
            "{path}: the relay hardly moves"
        );
        assert_eq!(proxy.terminate().code(), Some(0), "{path}");
    }
}

#[test]
fn e49_mute_visitors_delay_no_page() {
    let _test = Test::begin(
        "One loop waits for all visitors; with too many, the one that has been mute longest has to go.",
    );
    let (proxy, _hand) = proxy_and_hand(&[]);
    let mut mute = Vec::new();
    for number in 0..120 {
        let visitor = Client::connect(proxy.inspector().addr());
        if number % 2 == 0 {
            visitor.send(b"GET /met");
        }
        mute.push(visitor);
    }
    assert_eq!(
        proxy.metrics()["proxy_sessions_open"],
        0.0,
        "proxy_sessions_open"
    );
}

#[test]
fn e49_a_page_of_another_site_is_refused() {
    let _test = Test::begin(
        "Browsers say which site has made them ask: Sec-Fetch-Site. A page elsewhere must not make the proxy work.",
    );
    let (proxy, _hand) = proxy_and_hand(&[]);
    let cases = [
        ("", "200"),
        ("Sec-Fetch-Site: none\r\n", "200"),
        ("Sec-Fetch-Site: same-origin\r\n", "200"),
        ("Sec-Fetch-Site: same-site\r\n", "403"),
        ("Sec-Fetch-Site: cross-site\r\n", "403"),
        (
            "sec-fetch-site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
            "403",
        ),
    ];
    for path in ["/routes.json", "/metrics"] {
        for (fields, status) in cases {
            let client = Client::connect(proxy.inspector().addr());
            client
                .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").as_bytes());
            let answer = client.read_to_end();
            let expected = format!("HTTP/1.1 {status} ");
            assert!(
                answer.starts_with(expected.as_bytes()),
                "{path} {fields:?}: {}",
                answer.escape_ascii()
            );
        }
    }
}

#[test]
fn e49_the_scheme_of_a_target_has_no_case() {
    let _test = Test::begin("RFC 9110 section 4.2.3: HTTP://localhost/ is http://localhost/.");
    let (proxy, _hand) = proxy_and_hand(&[]);
    for target in ["http://localhost/metrics", "HTTP://localhost/metrics"] {
        let (head, _) = proxy.inspector().ask("GET", target);
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
    }
}

/// Prometheus takes a counter that falls for a restart.
#[test]
fn e49_a_worker_that_has_ended_still_counts() {
    let _test = Test::begin("Counters never fall, also while one worker after the other ends.");
    let (proxy, hand) = proxy_and_hand(&["--threads", "2", "--drain-timeout", "60s"]);
    let sessions: Vec<_> = (0..20).map(|_| session(&proxy, &hand)).collect();
    for (client, upstream) in &sessions {
        talk(client, upstream);
    }
    let counters = || {
        let metrics = proxy.metrics();
        [
            "proxy_sessions_total",
            "proxy_bytes_total{direction=\"up\"}",
        ]
        .map(|name| metrics[name])
    };
    let before = counters();
    assert_eq!(before[0], 20.0, "sessions so far");
    proxy.signal(harness::Signal::SIGTERM);
    let mut sessions = sessions.into_iter();
    let last = sessions.next();
    let mut open = 20.0;
    for (client, upstream) in sessions {
        client.close();
        upstream.close();
        open -= 1.0;
        eventually("the session has ended", harness::PATIENCE, || {
            assert_eq!(
                counters(),
                before,
                "sessions and bytes: a worker that has ended still counts"
            );
            proxy.metrics()["proxy_sessions_open"] == open
        });
    }
    assert_eq!(
        counters(),
        before,
        "sessions and bytes: a worker that has ended still counts"
    );
    drop(last);
}
