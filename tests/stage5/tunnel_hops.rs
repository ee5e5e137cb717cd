//! The data flow of a GET in the log, under the names of the document that described the tunnel first.

use harness::{Client, PATIENCE, Scripted, Server, Test, eventually};

use crate::support::{ask, get, ok};
use crate::tunnel_ends::{Tunnel, WIRES};

const BODY: &[u8] = b"over one link";

/// One step of the data flow, as the log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    places: String,
    x: Option<u16>,
    bytes: usize,
}

/// Returns all steps in the log of one end.
fn steps(log: &str) -> Vec<Step> {
    let steps = log
        .lines()
        .filter_map(|line| line.split_once("tunnel::hops: "));
    let step = |text: &str| -> Option<Step> {
        let (text, bytes) = text.rsplit_once(" bytes=")?;
        let (places, x) = match text.rsplit_once(" x=") {
            Some((places, x)) => (places, x.parse().ok()),
            None => (text, None),
        };
        let places = places.to_owned();
        Some(Step {
            places,
            x,
            bytes: bytes.parse().ok()?,
        })
    };
    steps.filter_map(|(_, text)| step(text)).collect()
}

/// Checks that the log of one end has these steps in this order. Between them may be steps of the link alone: the frames
/// that open a stream, accept it, and give credit.
#[track_caller]
fn expect_in_order(end: &Server, expected: &[Step]) {
    let mut seen = Vec::new();
    let mut missing = 0;
    eventually(
        "every step of the data flow is logged, in order",
        PATIENCE,
        || {
            seen = steps(&end.stderr());
            let mut left = expected.iter().peekable();
            for step in &seen {
                left.next_if(|next| match next.x {
                    Some(_) => *next == step,
                    None => next.places == step.places && next.bytes <= step.bytes,
                });
            }
            missing = left.count();
            missing == 0
        },
    );
    let of_streams = |steps: &[Step]| steps.iter().filter(|step| step.x.is_some()).count();
    assert_eq!(
        of_streams(&seen),
        of_streams(expected),
        "a step is logged once: {seen:#?}"
    );
}

/// Writes the steps of one end: of the request up to the link or down from it, and of the response back.
fn flow(table: &[(&str, bool)], x: u16, bytes: usize) -> Vec<Step> {
    let steps = table.iter().map(|&(places, is_of_stream)| Step {
        places: places.to_owned(),
        x: is_of_stream.then_some(x),
        bytes,
    });
    steps.collect()
}

const CLIENT_UP: &[(&str, bool)] = &[
    ("C-HTTP Client-T --> C-Mux Listener X-T", true),
    (
        "C-Mux Listener X-T --> [TCP/IP to Node.js Stream Bridge] --> C-Mux Listener X-N",
        true,
    ),
    (
        "C-Mux Listener X-N --> [Mux Layer] --> C-Mux Singleton-N",
        true,
    ),
    (
        "C-Mux Singleton-N --> [TCP/IP to Node.js Stream Bridge] --> C-Native Singleton-T",
        false,
    ),
    (
        "C-Native Singleton-T --> [TCP/IP to Non-TCP/IP Transport Bridge]",
        false,
    ),
];

const CLIENT_DOWN: &[(&str, bool)] = &[
    (
        "[TCP/IP to Non-TCP/IP Transport Bridge] --> C-Native Singleton-T",
        false,
    ),
    (
        "C-Native Singleton-T --> [TCP/IP to Node.js Stream Bridge] --> C-Mux Singleton-N",
        false,
    ),
    (
        "C-Mux Singleton-N --> [Mux Layer] --> C-Mux Listener X-N",
        true,
    ),
    (
        "C-Mux Listener X-N --> [TCP/IP to Node.js Stream Bridge] --> C-Mux Listener X-T",
        true,
    ),
    ("C-Mux Listener X-T --> C-HTTP Client-T", true),
];

const SERVER_UP: &[(&str, bool)] = &[
    (
        "[TCP/IP to Non-TCP/IP Transport Bridge] --> S-Native Singleton-T",
        false,
    ),
    (
        "S-Native Singleton-T --> [TCP/IP to Node.js Stream Bridge] --> S-Mux Singleton-N",
        false,
    ),
    (
        "S-Mux Singleton-N --> [Mux Layer] --> S-Mux Client X-N",
        true,
    ),
    (
        "S-Mux Client X-N --> [TCP/IP to Node.js Stream Bridge] --> S-Mux Client X-T",
        true,
    ),
    ("S-Mux Client X-T --> S-HTTP Listener X-T", true),
];

const SERVER_DOWN: &[(&str, bool)] = &[
    ("S-HTTP Listener X-T --> S-Mux Client X-T", true),
    (
        "S-Mux Client X-T --> [TCP/IP to Node.js Stream Bridge] --> S-Mux Client X-N",
        true,
    ),
    (
        "S-Mux Client X-N --> [Mux Layer] --> S-Mux Singleton-N",
        true,
    ),
    (
        "S-Mux Singleton-N --> [TCP/IP to Node.js Stream Bridge] --> S-Native Singleton-T",
        false,
    ),
    (
        "S-Native Singleton-T --> [TCP/IP to Non-TCP/IP Transport Bridge]",
        false,
    ),
];

#[test]
fn tunnel_hops_of_a_get_are_logged_under_their_names_at_both_ends() {
    let _test =
        Test::begin("Device-Component-Protocol, from the HTTP client to the HTTP server and back.");
    let (ports, seen) = std::sync::mpsc::channel();
    let upstream = Scripted::start("one response", move |peer| {
        let _ = peer.read_until(b"\r\n\r\n");
        let _ = ports.send(peer.remote().port());
        peer.send(&ok(BODY));
    });
    for (wire, filter) in WIRES
        .into_iter()
        .zip(["info,stage5_mux::tunnel::hops=trace", "trace"])
    {
        let tunnel = Tunnel::logging(filter, upstream.addr(), &["--wire", wire]);
        let client: Client = tunnel.connect();
        let reply = ask(&client, &get("/hops"));
        assert_eq!(reply.body, BODY);
        let (up, down) = (get("/hops").len(), ok(BODY).len());
        let x = client.local().port();
        let client_flow = [flow(CLIENT_UP, x, up), flow(CLIENT_DOWN, x, down)].concat();
        expect_in_order(&tunnel.client, &client_flow);
        let x = seen.recv().expect("the upstream has seen the request");
        let server_flow = [flow(SERVER_UP, x, up), flow(SERVER_DOWN, x, down)].concat();
        expect_in_order(&tunnel.server, &server_flow);
    }
}

#[test]
fn tunnel_hops_are_logged_on_demand_only() {
    let _test = Test::begin("A line for each step costs too much for every day.");
    let upstream = Scripted::echo();
    let tunnel = Tunnel::logging("debug", upstream.addr(), &[]);
    crate::tunnel_ends::echoes(&tunnel.connect());
    for end in [&tunnel.client, &tunnel.server] {
        let log = end.stderr();
        assert!(!log.contains("Mux Singleton"), "{log}");
    }
}
