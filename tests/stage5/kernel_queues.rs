//! The bytes on their way in the inspector: a slow reader fills the queues of a queue and of a tunnel, and they drain.

use harness::{Connect, Hand, PATIENCE, Peer, Server, Test, eventually, eventually_equal, fail};
use serde_json::Value;

use crate::support::{MIB, Mux, get, ok, post};
use crate::tunnel_ends::{Tunnel, WIRES};
use crate::tunnel_inspect::routes;

/// The bytes of a response: more than all queues together hold.
const MUCH: usize = 32 * MIB;

/// Where the bytes of one direction are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    /// The kernel's receive queue of the socket that is read.
    receive: u64,
    /// This program's own buffers.
    held: u64,
    /// The kernel's send queue of the socket that is written.
    send: u64,
}

const EMPTY: Places = Places {
    receive: 0,
    held: 0,
    send: 0,
};

/// Returns the only session, if there is one.
fn only_row(routes: &Value) -> Option<&Value> {
    match routes["sessions"].as_array()?.as_slice() {
        [row] => Some(row),
        _ => None,
    }
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| fail(format!("not a number of bytes: {value}")))
}

/// Returns where the bytes are that go from one side of the only session to the other.
#[track_caller]
fn places(routes: &Value, [from, to]: [&str; 2], half: &str) -> Places {
    let Some(row) = only_row(routes) else {
        fail(format!("not one session: {routes}"))
    };
    let sink = &row[to]["kernel"];
    Places {
        receive: number(&row[from]["kernel"]["unread"]),
        held: number(&row[half]["pending"]),
        send: number(&sink["in_flight"]) + number(&sink["unsent"]),
    }
}

#[track_caller]
fn down(routes: &Value) -> Places {
    places(routes, ["upstream", "client"], "down")
}

/// Returns the state of TCP of both sockets of the only session.
fn tcp_states(routes: &Value) -> [String; 2] {
    let row = only_row(routes).cloned().unwrap_or_default();
    ["client", "upstream"].map(|side| {
        let state = row[side]["kernel"]["state"].as_str();
        state.unwrap_or_default().to_owned()
    })
}

/// A client that has room for few bytes.
#[track_caller]
fn slow_reader(server: &Server) -> Peer {
    Connect::new().receive_buffer(64 * 1024).to(server.addr())
}

/// Returns the value of a metric.
#[track_caller]
fn metric(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.trim().parse().ok());
    value.unwrap_or_else(|| fail(format!("no {name} in {metrics}")))
}

#[test]
fn report_a_slow_reader_of_the_queue_fills_them_and_they_drain() {
    let _test = Test::begin("Where are the bytes of a response that its client does not read?");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let client = slow_reader(&mux);
    client.send(&get("/much"));
    let upstream = hand.next();
    let _request = upstream.read_until(b"\r\n\r\n");
    assert_eq!(tcp_states(&mux.routes()), ["ESTABLISHED"; 2]);
    let writing = upstream.send_in_background(ok(&vec![7; MUCH]));
    eventually("every place holds bytes", PATIENCE, || {
        let Places {
            receive,
            held,
            send,
        } = down(&mux.routes());
        receive > 0 && held > 0 && send > 0
    });
    let bound = 1024 * 1024 + 128 * 1024;
    let held = down(&mux.routes()).held;
    assert!(held < bound, "{held} bytes are held");
    let metrics = mux.inspector().body("/metrics");
    assert!(metric(&metrics, "proxy_upstream_unread_bytes") > 0);
    assert!(number(&mux.routes()["totals"]["queue"]["upstream"]["unread"]) > 0);
    assert!(!writing.is_done(), "the writer has to wait");

    let head = client.read_until(b"\r\n\r\n");
    assert!(head.starts_with(b"HTTP/1.1 200"), "{head:?}");
    assert!(client.read_exact(MUCH).iter().all(|&byte| byte == 7));
    writing.join();
    eventually_equal("all places", &EMPTY, || down(&mux.routes()));
}

#[test]
fn report_a_slow_upstream_of_the_queue_fills_them_the_other_way() {
    let _test = Test::begin("An upload that the upstream does not read waits in the queue.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-body", "64MiB"]);
    let client = mux.client();
    let writing = client.send_in_background(post("/much", &vec![7; MUCH]));
    let upstream = hand.next();
    let up = || {
        let routes = mux.routes();
        places(&routes, ["client", "upstream"], "up")
    };
    eventually("bytes wait here, and on their way out", PATIENCE, || {
        up().held > 0 && up().send > 0
    });
    let _head = upstream.read_until(b"\r\n\r\n");
    assert!(upstream.read_exact(MUCH).iter().all(|&byte| byte == 7));
    writing.join();
    eventually_equal("all places", &EMPTY, up);
}

/// A tunnel with one slow reader, and an upstream that writes more than all queues hold.
#[derive(Debug)]
struct Stalled {
    tunnel: Tunnel,
    client: Peer,
    writing: harness::Sending,
    _upstream: Peer,
    _hand: Hand,
}

impl Stalled {
    #[track_caller]
    fn start(wire: &str) -> Self {
        let hand = Hand::start();
        let tunnel = Tunnel::to(hand.addr(), &["--wire", wire, "--inspect", "0"]);
        let client = slow_reader(&tunnel.client);
        client.send(b"question");
        let upstream = hand.next();
        upstream.expect(b"question");
        let writing = upstream.send_in_background(vec![7; MUCH]);
        Self {
            tunnel,
            client,
            writing,
            _upstream: upstream,
            _hand: hand,
        }
    }
}

#[test]
fn report_a_slow_reader_behind_a_tunnel_fills_them_at_both_ends_and_they_drain() {
    let _test = Test::begin("Both ends show where the bytes wait that one client does not read.");
    for wire in WIRES {
        let stalled = Stalled::start(wire);
        let Tunnel { client, server } = &stalled.tunnel;
        eventually("the client's end holds bytes", PATIENCE, || {
            let Places { held, send, .. } = down(&routes(client));
            held > 0 && send > 0
        });
        eventually("the server's end reads no more", PATIENCE, || {
            down(&routes(server)).receive > 0
        });
        assert!(!stalled.writing.is_done(), "the writer has to wait");
        let link = || routes(client)["link"].clone();
        if wire == "yamux" {
            // The stream has no credit left: the link is free for others.
            eventually("the link has nothing to read", PATIENCE, || {
                number(&link()["kernel"]["unread"]) == 0
            });
            assert_eq!(link()["stalled"], 0, "stalled");
        } else {
            eventually("the link waits as well", PATIENCE, || {
                number(&link()["kernel"]["unread"]) > 0 && number(&link()["stalled"]) > 0
            });
            eventually("the far end cannot send", PATIENCE, || {
                let far = routes(server)["link"].clone();
                number(&far["planned"]) > 0 && number(&far["kernel"]["unsent"]) > 0
            });
        }
        assert!(
            stalled
                .client
                .read_exact(MUCH)
                .iter()
                .all(|&byte| byte == 7)
        );
        stalled.writing.join();
        for end in [&stalled.tunnel.client, &stalled.tunnel.server] {
            eventually_equal("all places", &EMPTY, || down(&routes(end)));
            let metrics = harness::Inspector::of(end).body("/metrics");
            for name in [
                "proxy_link_unread_bytes",
                "proxy_link_unsent_bytes",
                "proxy_link_planned_bytes",
            ] {
                assert_eq!(metric(&metrics, name), 0, "{name}");
            }
        }
    }
}

#[test]
fn report_a_tunnel_shows_the_states_of_tcp_and_of_both_directions() {
    let _test = Test::begin("A client that has ended its output is in CLOSE-WAIT at its end.");
    let hand = Hand::start();
    let tunnel = Tunnel::to(hand.addr(), &["--inspect", "0"]);
    let client = tunnel.connect();
    client.send(b"last words");
    let upstream = hand.next();
    let seen = |end| {
        let routes = routes(end);
        let row = only_row(&routes).cloned().unwrap_or_default();
        let [near, far] = tcp_states(&routes);
        let half = |name: &str| {
            let state = row[name]["state"].as_str();
            state.unwrap_or_default().to_owned()
        };
        [near, half("up"), half("down"), far]
    };
    let open = ["ESTABLISHED", "open", "open", "ESTABLISHED"].map(str::to_owned);
    for end in [&tunnel.client, &tunnel.server] {
        eventually_equal("the states", &open, || seen(end));
    }
    client.half_close();
    upstream.expect(b"last words");
    upstream.expect_eof();
    let at_client = ["CLOSE-WAIT", "closed", "open", "ESTABLISHED"].map(str::to_owned);
    eventually_equal("the client's end", &at_client, || seen(&tunnel.client));
    let at_server = ["ESTABLISHED", "closed", "open", "FIN-WAIT-2"].map(str::to_owned);
    eventually_equal("the server's end", &at_server, || seen(&tunnel.server));
}

#[test]
fn report_a_link_over_pipes_shows_the_bytes_in_them() {
    let _test = Test::begin("A pipe has no state of TCP, but FIONREAD counts the bytes in it.");
    let hand = Hand::start();
    let command = format!(
        "exec:'{}' server --wire multiplex --via stdio --upstream {}",
        crate::support::program().display(),
        hand.addr()
    );
    let client = harness::Program::new(crate::support::program())
        .args(["client", "--listen", "127.0.0.1:0", "--wire", "multiplex"])
        .args(["--inspect", "0", "--via", &command])
        .env("RUST_LOG", "info")
        .serve();
    client.wait_for_stderr("the link is up");
    let reader = slow_reader(&client);
    reader.send(b"question");
    let upstream = hand.next();
    upstream.expect(b"question");
    let writing = upstream.send_in_background(vec![7; MUCH]);
    eventually("the pipe is full", PATIENCE, || {
        let link = routes(&client)["link"].clone();
        assert!(link["kernel"]["state"].is_null(), "{link}");
        number(&link["kernel"]["unread"]) > 0
    });
    assert!(reader.read_exact(MUCH).iter().all(|&byte| byte == 7));
    writing.join();
    eventually("the pipe is empty", PATIENCE, || {
        number(&routes(&client)["link"]["kernel"]["unread"]) == 0
    });
}
