//! What the tests of stage 5 share: the queue, an HTTP upstream that watches the queue's promise, and HTTP by hand.

use std::fmt::Display;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use harness::{Client, Deadline, Peer, Program, Scripted, Server, eventually_equal, fail};

/// One MiB, in bytes.
pub(crate) const MIB: usize = 1024 * 1024;

/// The program under test.
pub(crate) fn program() -> PathBuf {
    harness::bin!("stage5-mux")
}

/// A running queue whose inspector can be asked.
#[derive(Debug)]
pub(crate) struct Mux {
    server: Server,
    inspector: SocketAddr,
}

impl Mux {
    /// Starts a queue in front of `upstream` with further arguments.
    #[track_caller]
    pub(crate) fn start(upstream: impl Display, arguments: &[&str]) -> Self {
        let program = Program::new(program())
            .args(["queue", "--listen", "127.0.0.1:0", "--inspect", "0"])
            .args(["--upstream", &upstream.to_string()])
            .args(arguments);
        let server = program.serve();
        let line = server.wait_for_stderr("inspector on http://");
        let (_, rest) = line.split_once("http://").unwrap_or_default();
        let Ok(inspector) = rest.trim_end_matches('/').parse() else {
            fail(format!("no address of the inspector in {line:?}"))
        };
        Self { server, inspector }
    }

    /// Returns what `/routes.json` says.
    #[track_caller]
    pub(crate) fn routes(&self) -> serde_json::Value {
        let body = self.page("/routes.json");
        serde_json::from_str(&body)
            .unwrap_or_else(|_| fail(format!("/routes.json cannot be read: {body}")))
    }

    /// Returns what `/metrics` says.
    #[track_caller]
    pub(crate) fn metrics(&self) -> String {
        self.page("/metrics")
    }

    #[track_caller]
    fn page(&self, path: &str) -> String {
        let client = Client::connect(self.inspector);
        let host = self.inspector;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.send(head.as_bytes());
        let answer = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        match answer.split_once("\r\n\r\n") {
            Some((_, body)) => body.to_owned(),
            None => fail(format!("{path} is no response: {answer}")),
        }
    }

    /// Waits until this many clients are in a phase.
    #[track_caller]
    pub(crate) fn wait_for(&self, phase: &str, count: usize) {
        eventually_equal(&format!("clients that are {phase}"), &count, || {
            let routes = self.routes();
            let sessions = routes["sessions"].as_array().cloned().unwrap_or_default();
            sessions.iter().filter(|row| row["phase"] == phase).count()
        });
    }

    /// Connects a client.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.addr())
    }
}

impl Deref for Mux {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// A request as the upstream has received it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Which request of its connection it was, counted from 0.
    pub(crate) number: usize,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// Returns the target of the request line.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// What the upstream does after a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Then {
    Next,
    Close,
}

/// An HTTP upstream that checks, for every request, that nothing else is in flight.
#[derive(Debug)]
pub(crate) struct Site {
    scripted: Scripted,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    asked: Mutex<Vec<Asked>>,
    in_flight: AtomicUsize,
}

impl Site {
    /// Starts an upstream that answers each request with `respond`.
    #[track_caller]
    pub(crate) fn start(respond: impl Fn(&Peer, &Asked) -> Then + Send + Sync + 'static) -> Self {
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let scripted = Scripted::start("upstream", move |peer| {
            serve(&peer, &shared, &respond);
        });
        Self { scripted, log }
    }

    /// Starts an upstream that answers every request with its path and its body.
    #[track_caller]
    pub(crate) fn echo() -> Self {
        Self::start(|peer, asked| {
            let body = [asked.path().as_bytes(), b" ", &asked.body].concat();
            peer.send(&ok(&body));
            Then::Next
        })
    }

    /// Returns what was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = self.log.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the paths that were asked for, in their order.
    pub(crate) fn paths(&self) -> Vec<String> {
        let asked = self.asked();
        asked.iter().map(|asked| asked.path().to_owned()).collect()
    }
}

impl Deref for Site {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.scripted
    }
}

fn serve(peer: &Peer, log: &Log, respond: &dyn Fn(&Peer, &Asked) -> Then) {
    let mut kept = Vec::new();
    let mut number = 0;
    while let Some((head, body)) = read_request(peer.stream(), &mut kept) {
        let asked = Asked { number, head, body };
        number += 1;
        let before = log.in_flight.fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "two requests in flight");
        assert!(kept.is_empty(), "a second request before the first answer");
        let guard = log.asked.lock();
        guard
            .unwrap_or_else(PoisonError::into_inner)
            .push(asked.clone());
        // Before the answer: once it has left, the next request may come at once.
        expect_nothing_yet(peer.stream());
        log.in_flight.fetch_sub(1, Ordering::SeqCst);
        if respond(peer, &asked) == Then::Close {
            return;
        }
    }
}

fn expect_nothing_yet(stream: &TcpStream) {
    stream.set_nonblocking(true).expect("a non-blocking stream");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a blocking stream");
    assert!(
        !matches!(peeked, Ok(1)),
        "a second request before the first answer"
    );
}

/// Reads a request with its body; `None` at the end of the connection.
fn read_request(stream: &TcpStream, kept: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let end = loop {
        if let Some(place) = find(kept, b"\r\n\r\n") {
            break place + 4;
        }
        read_more(stream, kept)?;
    };
    let head = String::from_utf8_lossy(&kept[..end]).into_owned();
    kept.drain(..end);
    if field(&head, "transfer-encoding").is_some() {
        return Some((head, read_chunks(stream, kept)?));
    }
    let length = field(&head, "content-length").map_or(0, |value| value.parse().expect("a length"));
    while kept.len() < length {
        read_more(stream, kept)?;
    }
    Some((head, kept.drain(..length).collect()))
}

fn read_chunks(stream: &TcpStream, kept: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(place) = find(kept, b"\r\n") {
                break kept.drain(..place + 2).collect::<Vec<u8>>();
            }
            read_more(stream, kept)?;
        };
        let size = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
        let size = usize::from_str_radix(&size, 16).expect("a plain chunk size");
        while kept.len() < size + 2 {
            read_more(stream, kept)?;
        }
        body.extend(kept.drain(..size + 2).take(size));
        if size == 0 {
            return Some(body);
        }
    }
}

fn read_more(stream: &TcpStream, kept: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 65_536];
    let mut stream = stream;
    // Whatever ends the connection ends the script: the test sees it from the other side.
    let count = stream.read(&mut chunk).ok()?;
    kept.extend_from_slice(&chunk[..count]);
    (count > 0).then_some(())
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}

/// Returns the value of a field, by its name in small letters.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// An upstream whose connections the test plays itself, in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Hand {
    scripted: Scripted,
    arrivals: Receiver<Peer>,
}

impl Hand {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let (arrive, arrivals) = mpsc::channel();
        let scripted = Scripted::start("upstream", move |peer| {
            // A test that is over no longer wants its connections.
            drop(arrive.send(peer));
        });
        Self { scripted, arrivals }
    }

    /// Waits for the next connection.
    #[track_caller]
    pub(crate) fn next(&self) -> Peer {
        let arrival = Deadline::patience().receive(&self.arrivals);
        arrival.unwrap_or_else(|_| fail("The queue did not connect to the upstream."))
    }
}

impl Deref for Hand {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.scripted
    }
}

/// Writes a response with a body.
pub(crate) fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Writes a GET.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes()
}

/// Writes a POST with a body.
pub(crate) fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A response as a client has received it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Returns the status code.
    pub(crate) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Returns the body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads a response that has a Content-Length.
#[track_caller]
pub(crate) fn reply(client: &Client) -> Reply {
    let head = String::from_utf8_lossy(&client.read_until(b"\r\n\r\n")).into_owned();
    let length = field(&head, "content-length").and_then(|value| value.parse().ok());
    let Some(length) = length else {
        fail(format!("a response without Content-Length: {head:?}"))
    };
    let body = client.read_exact(length);
    Reply { head, body }
}

/// Sends a request and reads its response.
#[track_caller]
pub(crate) fn ask(client: &Client, request: &[u8]) -> Reply {
    client.send(request);
    reply(client)
}

/// Checks that a new client is served.
#[track_caller]
pub(crate) fn expect_service(mux: &Mux) {
    let reply = ask(&mux.client(), &get("/still-served"));
    assert_eq!(reply.status(), "200", "{}", reply.head);
}

/// Keeps a scripted upstream busy for a while.
pub(crate) fn be_busy(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::thread::yield_now();
    }
}
