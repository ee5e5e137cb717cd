//! The server against raw sockets, polite ones and others.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::inspect::clients::MAX_ANSWERS;
use crate::inspect::view::{EndpointView, Protocol, SessionView};

/// No test waits longer than this for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A limit of the server that a test waits for.
const SHORT: Duration = Duration::from_millis(100);

/// Limits of the server that no test reaches, however busy the machine is.
const UNHURRIED: ClientTimeouts = ClientTimeouts {
    head: Duration::from_secs(3600),
    response: PATIENCE,
    close: PATIENCE,
};

const GET_METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn start(source: impl FnMut(Scope) -> Option<Snapshot> + Send + 'static) -> Inspector {
    start_with(UNHURRIED, source)
}

/// A source without any session.
fn empty(_: Scope) -> Option<Snapshot> {
    Some(Snapshot::default())
}

fn start_with(
    timeouts: ClientTimeouts,
    source: impl FnMut(Scope) -> Option<Snapshot> + Send + 'static,
) -> Inspector {
    Inspector::with_timeouts((Ipv4Addr::LOCALHOST, 0).into(), timeouts, source).unwrap()
}

fn connect(inspector: &Inspector) -> TcpStream {
    let stream = TcpStream::connect_timeout(&inspector.local_addr(), PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `bytes` and returns everything that comes back, up to a clean end.
fn exchange(inspector: &Inspector, bytes: &[u8]) -> String {
    let mut stream = connect(inspector);
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(inspector: &Inspector, path: &str) -> String {
    exchange(
        inspector,
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes(),
    )
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

fn assert_serves(inspector: &Inspector) {
    assert_eq!(status(&exchange(inspector, GET_METRICS)), "200");
}

/// About 250 bytes of JSON for each session.
fn large(_: Scope) -> Option<Snapshot> {
    let endpoint = EndpointView {
        fd: 1,
        local: None,
        peer: None,
        unix: None,
        kernel: None,
    };
    let session = SessionView {
        protocol: Protocol::Tcp,
        client: endpoint.clone(),
        upstream: Some(endpoint),
        ingress: "fixed",
        target: None,
        dialled: None,
        hops: Vec::new(),
        phase: "relay",
        description: "x".repeat(100),
        bytes_up: 1,
        bytes_down: 2,
        age_ms: 3,
        up: None,
        down: None,
    };
    Some(Snapshot {
        sessions: vec![session; 30_000],
        ..Snapshot::default()
    })
}

#[test]
fn the_pages_are_served_and_the_source_is_asked_each_time() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let inspector = start(move |_| {
        let mut snapshot = Snapshot::default();
        snapshot.totals.sessions_total = count.fetch_add(1, Ordering::Relaxed) + 1;
        Some(snapshot)
    });
    assert!(get(&inspector, "/").contains("<!doctype html>"));
    assert_eq!(
        asked.load(Ordering::Relaxed),
        1,
        "the page asks for its sections, once"
    );
    for number in 2..5 {
        let answer = get(&inspector, "/routes.json");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains("Content-Type: application/json\r\n"),
            "{head}"
        );
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(json["totals"]["sessions_total"], number);
    }
    assert!(get(&inspector, "/metrics").contains("\nproxy_sessions_total 5\n"));
}

#[test]
fn what_is_not_a_request_for_a_page_is_refused() {
    let inspector = start(empty);
    let cases: [(&[u8], &str); 6] = [
        (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        (
            b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
            "405",
        ),
        (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "421"),
        (b"GET / HTTP/1.1\r\n\r\n", "400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
        (b"HEAD /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "200"),
    ];
    for (request, expected) in cases {
        let answer = exchange(&inspector, request);
        assert_eq!(
            status(&answer),
            expected,
            "{}",
            String::from_utf8_lossy(request)
        );
    }
}

#[test]
fn a_refusal_arrives_although_the_client_sends_more() {
    let inspector = start(empty);
    let mut head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec();
    head.resize(40_000, b'x');
    assert_eq!(status(&exchange(&inspector, &head)), "431");
    let mut early = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    early.resize(40_000, b'x');
    assert_eq!(status(&exchange(&inspector, &early)), "404");
}

#[test]
fn a_client_that_is_still_sending_is_not_reset() {
    let inspector = start(empty);
    let mut stream = connect(&inspector);
    stream.write_all(GET_METRICS).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    // A closed peer answers the first of these with a reset, and then the next one fails.
    for _ in 0..32 {
        stream.write_all(&[b'x'; 1024]).unwrap();
    }
    assert_eq!(status(&answer), "200");
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let inspector = start(empty);
    let mut stream = connect(&inspector);
    stream.set_nodelay(true).unwrap();
    for byte in GET_METRICS {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "200");
}

#[test]
fn silent_clients_delay_no_other() {
    let inspector = start(empty);
    let _silent: Vec<_> = (0..10 * BACKLOG).map(|_| connect(&inspector)).collect();
    assert_serves(&inspector);
}

#[test]
fn the_oldest_silent_client_is_closed_for_a_new_one() {
    let inspector = start(empty);
    let mut oldest = connect(&inspector);
    let mut half = Vec::new();
    let begun = thread::scope(|scope| {
        let closed = scope.spawn(move || oldest.read(&mut [0]));
        while !closed.is_finished() {
            let mut client = connect(&inspector);
            client.write_all(&GET_METRICS[..9]).unwrap();
            half.push(client);
        }
        closed.join().unwrap()
    });
    assert!(begun.is_err() || begun.is_ok_and(|count| count == 0));
    // The last that came are still there: they need only send the rest.
    let mut latest = half.pop().unwrap();
    latest.write_all(&GET_METRICS[9..]).unwrap();
    let mut answer = String::new();
    latest.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "200");
}

#[test]
fn a_silent_client_is_closed_after_its_time() {
    let timeouts = ClientTimeouts {
        head: SHORT,
        ..UNHURRIED
    };
    let inspector = start_with(timeouts, empty);
    let mut silent = connect(&inspector);
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert_serves(&inspector);
}

const GET_ROUTES: &[u8] = b"GET /routes.json HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn clients_that_do_not_read_delay_no_other_and_hold_few_answers() {
    let inspector = start(large);
    let mut lazy = Vec::new();
    for _ in 0..3 * MAX_ANSWERS {
        let mut stream = connect(&inspector);
        stream.write_all(GET_ROUTES).unwrap();
        // One answer for each of them, because the next one asks after the first byte.
        stream.read_exact(&mut [0]).unwrap();
        lazy.push(stream);
        assert_serves(&inspector);
    }
    let whole = |mut stream: TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).is_ok() && answer.ends_with("}}")
    };
    let read = lazy.into_iter().map(whole).filter(|whole| *whole).count();
    assert!((1..=MAX_ANSWERS).contains(&read), "{read} answers");
}

#[test]
fn all_that_ask_while_an_answer_is_made_share_the_next() {
    let (asked, questions) = mpsc::channel();
    let (give, answers) = mpsc::channel();
    let inspector = start(move |scope| {
        asked.send(scope).unwrap();
        answers.recv().unwrap();
        Some(Snapshot::default())
    });
    let mut clients: Vec<_> = (0..10).map(|_| connect(&inspector)).collect();
    clients[0].write_all(GET_METRICS).unwrap();
    assert_eq!(questions.recv(), Ok(Scope::Totals));
    for client in &mut clients[1..] {
        client.write_all(GET_METRICS).unwrap();
    }
    connect_and_send(&inspector, GET_ROUTES, &mut clients);
    give.send(()).unwrap();
    assert_eq!(questions.recv(), Ok(Scope::Sessions));
    give.send(()).unwrap();
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(status(&answer), "200");
    }
    assert!(
        questions.try_recv().is_err(),
        "two answers are enough for all"
    );
}

fn connect_and_send(inspector: &Inspector, bytes: &[u8], clients: &mut Vec<TcpStream>) {
    let mut client = connect(inspector);
    client.write_all(bytes).unwrap();
    clients.push(client);
}

#[test]
fn the_pause_between_two_snapshots_leaves_the_workers_most_of_their_time() {
    let pause_ms = |took: u64| pause(Duration::from_millis(took)).as_millis();
    assert_eq!([0, 1, 2, 10, 2000].map(pause_ms), [5, 5, 8, 40, 100]);
}

#[test]
fn without_a_snapshot_the_answer_is_503_and_may_be_repeated() {
    let mut answers = [None, Some(Snapshot::default())].into_iter();
    let inspector = start(move |_| answers.next().unwrap());
    let answer = exchange(&inspector, GET_METRICS);
    assert_eq!(status(&answer), "503");
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
    assert_eq!(status(&exchange(&inspector, GET_METRICS)), "200");
}

#[test]
fn a_large_table_arrives_whole() {
    let inspector = start(large);
    let answer = get(&inspector, "/routes.json");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{head}"
    );
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(json["sessions"].as_array().unwrap().len(), 30_000);
}

#[test]
fn clients_that_reset_or_leave_half_way_end_nothing() {
    let inspector = start(empty);
    for length in 0..GET_METRICS.len() {
        let mut stream = connect(&inspector);
        stream.write_all(&GET_METRICS[..length]).unwrap();
        if length % 2 == 0 {
            let socket = Socket::from(stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    assert_serves(&inspector);
}

#[test]
fn random_bytes_end_nothing() {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let mut random = u64::from(now.subsec_nanos()) << 16 | 1;
    println!("seed {random}");
    let inspector = start(empty);
    for _ in 0..200 {
        let mut bytes = GET_METRICS.to_vec();
        for _ in 0..4 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let [place, byte, ..] = random.to_be_bytes();
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        let mut stream = connect(&inspector);
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        assert!(
            end.is_ok() && (answer.is_empty() || answer.starts_with(b"HTTP/1.1 ")),
            "{end:?}"
        );
    }
    assert_serves(&inspector);
}

#[test]
fn dropping_ends_at_once_although_clients_are_silent() {
    let inspector = start(empty);
    let address = inspector.local_addr();
    let mut silent: Vec<_> = (0..10).map(|_| connect(&inspector)).collect();
    let (sender, receiver) = mpsc::channel();
    let stopper = thread::spawn(move || {
        drop(inspector);
        sender.send(()).unwrap();
    });
    receiver.recv_timeout(PATIENCE).unwrap();
    stopper.join().unwrap();
    for stream in &mut silent {
        let mut rest = Vec::new();
        // A reset is as good an end as a close here.
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
    assert!(
        TcpStream::connect_timeout(&address, PATIENCE).is_err(),
        "nobody listens"
    );
    drop(Inspector::start(address, empty).unwrap());
}

#[test]
fn an_address_in_use_is_an_error() {
    let first = start(empty);
    let second = Inspector::start(first.local_addr(), empty);
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}
