//! The kernel's queues in the inspector: backpressure and half-close as an operator watches them.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use harness::{Client, Connect, PATIENCE, Peer, Test, eventually, eventually_equal, fail, sockets};
use serde::Deserialize;

use crate::support::{KIB, MIB, Proxy, proxy_and_hand, session, talk, unread};

/// The bytes that the writer adds at a time: fewer than any of the large queues holds.
const PIECE: usize = 256 * KIB;

/// A writer that sends nothing for so long waits for its reader.
const QUIET: Duration = Duration::from_millis(150);

#[derive(Debug, Deserialize)]
struct Routes {
    sessions: Vec<Row>,
}

/// One session: both sockets and both halves.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Row {
    client: Socket,
    upstream: Socket,
    up: Half,
    down: Half,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Socket {
    kernel: Kernel,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
struct Kernel {
    state: Option<String>,
    unread: Option<u64>,
    in_flight: Option<u64>,
    unsent: Option<u64>,
}

impl Kernel {
    /// The bytes in the send queue.
    #[track_caller]
    fn send_queue(&self) -> u64 {
        match (self.in_flight, self.unsent) {
            (Some(in_flight), Some(unsent)) => in_flight + unsent,
            _ => fail(format!("The send queue is not known: {self:?}.")),
        }
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Half {
    state: String,
    pending: u64,
}

/// Returns the only session of a proxy.
#[track_caller]
fn only_row(proxy: &Proxy) -> Row {
    let body = proxy.inspector().body("/routes.json");
    match serde_json::from_str::<Routes>(&body) {
        Ok(Routes { mut sessions }) if sessions.len() == 1 => sessions.remove(0),
        other => fail(format!(
            "not one session with its queues: {other:?}: {body}"
        )),
    }
}

/// The places of the bytes that go down, from the reader's end backwards.
const PLACES: [&str; 4] = [
    "the reader's receive queue",
    "the proxy's send queue",
    "the half",
    "the proxy's receive queue",
];

/// Returns how many bytes each place holds.
#[track_caller]
fn bytes_in_places(proxy: &Proxy, reader: &Peer) -> [u64; 4] {
    let row = only_row(proxy);
    [
        unread(reader),
        row.client.kernel.send_queue(),
        row.down.pending,
        row.upstream.kernel.unread.unwrap_or_default(),
    ]
}

/// Waits until `sent` bytes are in the places and move no more, and returns where they are.
#[track_caller]
fn at_rest(proxy: &Proxy, reader: &Peer, sent: u64) -> [u64; 4] {
    let (mut places, mut before) = ([0; 4], [u64::MAX; 4]);
    eventually("every byte is in its place", PATIENCE, || {
        before = std::mem::replace(&mut places, bytes_in_places(proxy, reader));
        places.iter().sum::<u64>() == sent && places == before
    });
    places
}

/// Sends pieces until every place holds bytes; returns how many bytes that were, and the places in the order in which they
/// have got their first.
#[track_caller]
fn fill(proxy: &Proxy, reader: &Peer, writer: &Peer) -> (usize, Vec<&'static str>) {
    let (mut sent, mut order) = (0, Vec::new());
    while order.len() < PLACES.len() {
        harness::ensure(sent < 64 * MIB, format!("Only {order:?} hold bytes."));
        writer.send(&vec![7; PIECE]);
        sent += PIECE;
        let counts = at_rest(proxy, reader, sent as u64);
        for (place, count) in PLACES.into_iter().zip(counts) {
            if count > 0 && !order.contains(&place) {
                eprintln!("after {sent} bytes: {count} in {place}");
                order.push(place);
            }
        }
    }
    (sent, order)
}

#[test]
fn report_a_reader_that_pauses_fills_the_queues_from_its_own_end_backwards() {
    let _test = Test::begin("Where are the bytes? The inspector shows each queue between them.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let client = Connect::new().receive_buffer(64 * KIB).to(proxy.addr());
    let upstream = hand.next();
    let (sent, order) = fill(&proxy, &client, &upstream);
    assert_eq!(order, PLACES);
    assert_eq!(only_row(&proxy).down.state, "open");

    let rest = 32 * MIB;
    let writing = upstream.send_in_background(vec![7; rest]);
    eventually("the writer's own send queue fills", PATIENCE, || {
        sockets::find(upstream.local(), upstream.remote()).is_some_and(|row| row.unsent > 0)
    });
    assert!(!writing.is_done(), "the writer has to wait");

    assert!(client.read_exact(sent + rest).iter().all(|&byte| byte == 7));
    writing.join();
    assert_eq!(at_rest(&proxy, &client, 0), [0; 4]);
}

#[test]
fn report_a_reader_that_pauses_does_not_fill_the_kernel_s_memory() {
    let _test = Test::begin(
        "The kernel lets a send queue grow to some megabytes, although the peer's window is closed: limit the unsent bytes.",
    );
    // A segment that was begun may be filled: a write looks at the limit only before the next one.
    let most = MIB as u64 + 64 * KIB as u64;
    for up in [false, true] {
        let (proxy, hand) = proxy_and_hand(&[]);
        let client = Connect::new().receive_buffer(64 * KIB).to(proxy.addr());
        let upstream = hand.next();
        let (writer, reader) = if up {
            (&client, &upstream)
        } else {
            (&upstream, &client)
        };
        let sent = writer.send_until_blocked(&[7; 16 * KIB], QUIET, 256 * MIB);
        let row = only_row(&proxy);
        let towards = if up { row.upstream } else { row.client };
        let unsent = towards.kernel.unsent;
        harness::ensure(
            unsent.is_some_and(|unsent| 0 < unsent && unsent <= most),
            format!(
                "A reader pauses, its writer sent {sent} bytes until it had to wait, and of these {unsent:?} wait unsent in the \
                 proxy's socket to the reader (up: {up}). {most} are the most: does the socket have TCP_NOTSENT_LOWAT?"
            ),
        );
        assert_eq!(reader.read_exact(sent).len(), sent);
    }
}

/// Returns the states from the client to the upstream: a socket, the half up, the half down, a socket.
#[track_caller]
fn states(proxy: &Proxy) -> [String; 4] {
    let row = only_row(proxy);
    let tcp = |socket: Socket| socket.kernel.state.unwrap_or_default();
    [
        tcp(row.client),
        row.up.state,
        row.down.state,
        tcp(row.upstream),
    ]
}

#[track_caller]
fn expect_states(proxy: &Proxy, expected: [&str; 4]) {
    let expected = expected.map(str::to_owned);
    eventually_equal("states of a session", &expected, || states(proxy));
}

#[test]
fn report_a_half_closed_session_shows_close_wait_and_fin_wait_2() {
    let _test =
        Test::begin("The side that has ended is in CLOSE-WAIT here, and the other in FIN-WAIT-2.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    expect_states(&proxy, ["ESTABLISHED", "open", "open", "ESTABLISHED"]);
    client.half_close();
    upstream.expect_eof();
    expect_states(&proxy, ["CLOSE-WAIT", "closed", "open", "FIN-WAIT-2"]);
    upstream.half_close();
    client.expect_eof();
    proxy.wait_for_rows(0);

    let (client, upstream) = session(&proxy, &hand);
    upstream.half_close();
    client.expect_eof();
    expect_states(&proxy, ["FIN-WAIT-2", "open", "closed", "CLOSE-WAIT"]);
}

#[test]
fn report_a_unix_socket_shows_what_is_known_of_it() {
    let _test = Test::begin("A Unix socket has a receive queue, and no state of TCP.");
    let folder = tempfile::tempdir().unwrap_or_else(|error| fail(error.to_string()));
    let path = folder.path().join("upstream");
    let listener = UnixListener::bind(&path).unwrap_or_else(|error| fail(error.to_string()));
    let proxy = Proxy::to(format!("unix:{}", path.display()).as_str());
    let _client = Client::connect(proxy.addr());
    let _upstream = harness::in_time("a connection arrives", move || listener.accept());
    proxy.wait_for_phases(&["relay"]);
    let row = only_row(&proxy);
    let known = Kernel {
        unread: Some(0),
        ..Kernel::default()
    };
    assert_eq!(row.upstream.kernel, known);
    assert_eq!(row.client.kernel.state.as_deref(), Some("ESTABLISHED"));
}
