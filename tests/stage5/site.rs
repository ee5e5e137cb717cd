//! An HTTP upstream that checks the queue's promise: one request at a time.

use std::io::Read;
use std::net::TcpStream;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use harness::{Peer, Scripted};

use crate::support::{field, ok};

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

/// The next step of the upstream after a response.
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

    /// Returns the requests so far.
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
        // Before the response, because the next request may arrive as soon as it has left.
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
    // Any end of the connection ends the script: the test sees it from the other side.
    let count = stream.read(&mut chunk).ok()?;
    kept.extend_from_slice(&chunk[..count]);
    (count > 0).then_some(())
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
