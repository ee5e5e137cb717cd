//! The inspector of a tunnel: the link, its streams, what each of them waits for; and connections that are quiet for too long.

use harness::{
    Client, Connect, Hand, Inspector, PATIENCE, Scripted, Server, Signal, Test, eventually,
    eventually_equal,
};
use serde_json::Value;

use crate::support::MIB;
use crate::tunnel_ends::{Tunnel, WIRES, echoes, server_on};

/// Returns the content of `/routes.json` of one end.
#[track_caller]
pub(crate) fn routes(end: &Server) -> Value {
    let body = Inspector::of(end).body("/routes.json");
    serde_json::from_str(&body).expect("/routes.json is JSON")
}

#[track_caller]
fn streams(end: &Server) -> Vec<Value> {
    let routes = routes(end);
    routes["streams"].as_array().cloned().expect("a list")
}

#[track_caller]
fn expect_link(seen: &Value, wire: &str) {
    let link = &seen["link"];
    assert_eq!(link["state"], "up", "{seen}");
    assert_eq!(link["wire"], wire, "wire");
    assert_eq!(
        [&link["made"], &link["reconnects"], &link["streams"]],
        [1, 0, 2]
    );
    assert!(
        link["since_ms"].is_u64() && link["peer"].is_string(),
        "{seen}"
    );
    assert_eq!(&seen["totals"]["link"], link, "the section of the page");
}

#[track_caller]
fn expect_open_streams(streams: &[Value]) {
    assert_eq!(streams.len(), 2, "{streams:?}");
    for stream in streams {
        assert_eq!([&stream["bytes_up"], &stream["bytes_down"]], [24, 24]);
        assert_eq!(stream["state"], "open", "state");
        assert_eq!(
            stream["to_link_waits_for"], "local bytes",
            "to_link_waits_for"
        );
        assert_eq!(
            stream["to_local_waits_for"], "link bytes",
            "to_local_waits_for"
        );
        assert!(stream["send_window"].as_u64() > Some(0), "{stream}");
    }
}

#[test]
fn tunnel_inspect_shows_the_link_and_each_stream_at_both_ends() {
    let _test =
        Test::begin("/routes.json has `link` and `streams` beside the keys that every proxy has.");
    for wire in WIRES {
        let upstream = Scripted::echo();
        let tunnel = Tunnel::to(upstream.addr(), &["--wire", wire, "--inspect", "0"]);
        let clients = [tunnel.connect(), tunnel.connect()];
        clients.iter().for_each(echoes);
        for end in [&tunnel.client, &tunnel.server] {
            let seen = routes(end);
            expect_link(&seen, wire);
            expect_open_streams(&streams(end));
            assert_eq!(seen["sessions"].as_array().map(Vec::len), Some(2));
            assert_eq!(seen["sessions"][0]["phase"], "relay");
            assert_eq!(seen["totals"]["sessions_total"], 2);
            assert_eq!(
                [&seen["totals"]["bytes_up"], &seen["totals"]["bytes_down"]],
                [48, 48]
            );
            let metrics = Inspector::of(end).body("/metrics");
            for line in [
                "proxy_link_up 1",
                "proxy_link_streams 2",
                "proxy_link_made_total 1",
            ] {
                assert!(
                    metrics.lines().any(|known| known == line),
                    "{line}: {metrics}"
                );
            }
            let page = Inspector::of(end).body("/");
            assert!(page.contains("data-section=\"link\""));
        }
        let peers: Vec<_> = streams(&tunnel.client)
            .iter()
            .map(|stream| stream["peer"].clone())
            .collect();
        for client in &clients {
            assert!(
                peers.contains(&client.local().to_string().into()),
                "{peers:?}"
            );
        }
        drop(clients);
        eventually_equal("streams that are left", &0, || {
            streams(&tunnel.client).len()
        });
        assert_eq!(
            routes(&tunnel.client)["totals"]["bytes_up"],
            48,
            "a counter never falls"
        );
    }
}

#[test]
fn tunnel_inspect_measures_the_round_trip_while_someone_looks() {
    let _test = Test::begin("A ping for the visitor, at most one a second; multiplex has none.");
    let upstream = Scripted::echo();
    let tunnel = Tunnel::to(upstream.addr(), &["--inspect", "0", "--keepalive", "off"]);
    for end in [&tunnel.client, &tunnel.server] {
        eventually("the round trip is known", PATIENCE, || {
            routes(end)["link"]["round_trip_us"].is_u64()
        });
        let metrics = Inspector::of(end).body("/metrics");
        assert!(
            metrics.contains("proxy_link_round_trip_microseconds "),
            "{metrics}"
        );
    }
}

#[test]
fn tunnel_inspect_says_what_a_stream_waits_for() {
    let _test =
        Test::begin("A reader that does not read: its end waits for it, the other end for credit.");
    for wire in WIRES {
        let upstream = Scripted::start("pour", |peer| {
            let _ = peer.read_exact(1);
            let chunk = vec![7; MIB];
            while peer.try_send(&chunk).is_ok() {}
        });
        let tunnel = Tunnel::to(upstream.addr(), &["--wire", wire, "--inspect", "0"]);
        let unread = Connect::new().receive_buffer(4096).to(tunnel.client.addr());
        unread.send(b"p");
        eventually("the client's end waits for the reader", PATIENCE, || {
            let streams = streams(&tunnel.client);
            let first = streams.first();
            first.is_some_and(|stream| {
                stream["to_local_waits_for"] == "local reader" && stream["held"].as_u64() > Some(0)
            })
        });
        let expected = if wire == "yamux" { "credit" } else { "link" };
        eventually_equal(
            "what the server's end waits for",
            &Some(Value::from(expected)),
            || {
                streams(&tunnel.server)
                    .first()
                    .map(|stream| stream["to_link_waits_for"].clone())
            },
        );
        eventually_equal(
            "whether the link is stalled",
            &(wire == "multiplex"),
            || !routes(&tunnel.client)["link"]["stalled_by"].is_null(),
        );
    }
}

#[test]
fn tunnel_inspect_tells_why_the_link_is_down_and_how_often_it_came_back() {
    let _test =
        Test::begin("The last reason stays, attempts are counted as links only when they succeed.");
    let upstream = Scripted::echo();
    let tunnel = Tunnel::to(upstream.addr(), &["--inspect", "0"]);
    echoes(&tunnel.connect());
    tunnel.server.signal(Signal::SIGKILL);
    tunnel.server.wait();
    tunnel.client.wait_for_stderr("the link is down");
    Client::connect(tunnel.client.addr()).expect_reset();
    eventually("the attempts are refused", PATIENCE, || {
        let link = routes(&tunnel.client)["link"].clone();
        let reason = link["last_reason"].as_str().unwrap_or_default().to_owned();
        link["state"] != "up" && link["reconnects"] == 0 && reason.contains("connection refused")
    });
    assert!(routes(&tunnel.client)["link"]["refused"].as_u64() >= Some(1));
    let _server = server_on(tunnel.server.addr(), upstream.addr(), &[]);
    tunnel.wait_until_it_carries();
    let link = routes(&tunnel.client)["link"].clone();
    assert_eq!([&link["made"], &link["reconnects"]], [2, 1], "{link}");
}

#[test]
fn tunnel_inspect_copies_many_streams_while_they_are_served() {
    let _test = Test::begin(
        "A copy takes some rows in each turn of the loop, so visitors hold up no stream.",
    );
    let upstream = Scripted::echo();
    let tunnel = Tunnel::to(upstream.addr(), &["--inspect", "0"]);
    let clients: Vec<Client> = (0..300).map(|_| tunnel.connect()).collect();
    clients.iter().for_each(echoes);
    std::thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            (0..20)
                .map(|_| streams(&tunnel.client).len())
                .collect::<Vec<_>>()
        });
        clients.iter().for_each(echoes);
        let seen = visitor.join().expect("the visitor");
        assert!(seen.iter().all(|&count| count == 300), "{seen:?}");
    });
}

#[test]
fn tunnel_life_a_half_closed_connection_without_a_byte_is_reset() {
    let _test = Test::begin(
        "After a FIN the other direction may stay silent forever: --half-close-timeout.",
    );
    for wire in WIRES {
        let upstream = Hand::start();
        let arguments = [
            "--wire",
            wire,
            "--half-close-timeout",
            "400ms",
            "--inspect",
            "0",
        ];
        let tunnel = Tunnel::to(upstream.addr(), &arguments);
        let open = tunnel.connect();
        let _kept = upstream.next();
        let client = tunnel.connect();
        client.send(b"last words");
        client.half_close();
        let stream = upstream.next();
        stream.expect(b"last words");
        client.expect_reset();
        stream.expect_eof();
        // Behind a FIN only a write shows the reset (`EPIPE`).
        eventually("the upstream's connection is broken, too", PATIENCE, || {
            stream.try_send(b"too late").is_err()
        });
        let count = |end| routes(end)["totals"]["timeouts"]["half_close"].as_u64();
        let all = [&tunnel.client, &tunnel.server].map(|end| count(end).unwrap_or_default());
        assert!(all.iter().sum::<u64>() >= 1, "{all:?}");
        // A connection that is open both ways has no limit.
        eventually_equal("streams that are left", &1, || {
            streams(&tunnel.client).len()
        });
        open.send(b"x");
    }
}

#[test]
fn tunnel_life_an_idle_connection_is_reset_if_the_operator_wants_that() {
    let _test = Test::begin("--idle-timeout counts bytes of either direction.");
    let upstream = Hand::start();
    let arguments = ["--idle-timeout", "400ms", "--inspect", "0"];
    let tunnel = Tunnel::to(upstream.addr(), &arguments);
    let client = tunnel.connect();
    let stream = upstream.next();
    client.expect_reset();
    stream.expect_reset();
    let idle = |end| {
        routes(end)["totals"]["timeouts"]["idle"]
            .as_u64()
            .unwrap_or_default()
    };
    assert!(idle(&tunnel.client) + idle(&tunnel.server) >= 1);
}
