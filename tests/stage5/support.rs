//! Shared by the tests of stage 5: the running queue, and HTTP by hand.

use std::fmt::Display;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) use crate::site::{Site, Then};
use harness::{Client, Hand, Inspector, Peer, Program, Server, eventually_equal, fail};

/// One MiB, in bytes.
pub(crate) const MIB: usize = 1024 * 1024;

/// The program under test.
pub(crate) fn program() -> PathBuf {
    harness::bin!("stage5-mux")
}

/// A running queue with its inspector.
#[derive(Debug)]
pub(crate) struct Mux {
    server: Server,
    /// Found when it is first asked: a program from an empty file need not have one.
    inspector: OnceLock<Inspector>,
}

impl Mux {
    /// Starts a queue in front of `upstream` with further arguments.
    #[track_caller]
    pub(crate) fn start(upstream: impl Display, arguments: &[&str]) -> Self {
        Self::from_program(&Program::new(program()), upstream, arguments)
    }

    /// Starts a queue from a prepared program.
    #[track_caller]
    pub(crate) fn from_program(
        program: &Program,
        upstream: impl Display,
        arguments: &[&str],
    ) -> Self {
        let program = program
            .clone()
            .args(["queue", "--listen", "127.0.0.1:0", "--inspect", "0"])
            .args(["--upstream", &upstream.to_string()])
            .args(arguments);
        let server = program.serve();
        let inspector = OnceLock::new();
        let mux = Self { server, inspector };
        if std::env::var_os("COURSE_BIN").is_none() {
            // At once, while the line is among the first ones of the log.
            mux.inspector();
        }
        mux
    }

    /// Returns the inspector.
    #[track_caller]
    pub(crate) fn inspector(&self) -> Inspector {
        *self.inspector.get_or_init(|| Inspector::of(&self.server))
    }

    /// Returns the content of `/routes.json`.
    #[track_caller]
    pub(crate) fn routes(&self) -> serde_json::Value {
        let body = self.inspector().body("/routes.json");
        serde_json::from_str(&body)
            .unwrap_or_else(|_| fail(format!("/routes.json cannot be read: {body}")))
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

/// Returns the value of a field, by its name in small letters.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Plays the upstream's part of one exchange: reads a head without a body, answers with `body`, returns the head.
#[track_caller]
pub(crate) fn answer(upstream: &Peer, body: &[u8]) -> Vec<u8> {
    let head = upstream.read_until(b"\r\n\r\n");
    upstream.send(&ok(body));
    head
}

/// Serves a client on a new connection of the upstream, with `path` as the body; returns the connection.
#[track_caller]
pub(crate) fn expect_served_by(hand: &Hand, client: &Client, path: &str) -> Peer {
    client.send(&get(path));
    let upstream = hand.next();
    let head = answer(&upstream, path.as_bytes());
    assert!(
        head.starts_with(format!("GET {path} ").as_bytes()),
        "the upstream should get GET {path} next, but it got {:?}",
        String::from_utf8_lossy(&head)
    );
    assert_eq!(
        reply(client).text(),
        path,
        "the body of the response to the client"
    );
    upstream
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
