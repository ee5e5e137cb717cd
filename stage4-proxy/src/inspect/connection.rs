//! One exchange with one client of the inspector, every wait of it bounded.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::inspect::request::{self, Hosts, MAX_HEAD, Request};
use crate::inspect::response::Response;
use crate::inspect::snapshot::Snapshot;

/// The longest time that a thread waits for one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientTimeouts {
    /// For the whole head of the request.
    pub(super) head: Duration,
    /// For sending the response. Only a large table can need that long, because the kernel's send buffer
    /// takes anything smaller at once.
    pub(super) response: Duration,
    /// For the lingering close after the response.
    pub(super) close: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(2),
            response: Duration::from_secs(5),
            close: Duration::from_millis(500),
        }
    }
}

/// Bytes that a client may send after its head; more of them end the connection with a reset.
const DRAIN_BYTES: usize = 64 * 1024;

/// Reads one request, answers it, and waits until the client has read the response.
///
/// # Errors
///
/// Fails if the socket does, which concerns this client only: with `TimedOut` or `WouldBlock` if the client
/// is too slow, with `UnexpectedEof` if it closes in the middle of its head.
pub(super) fn serve(
    stream: &TcpStream,
    hosts: Hosts,
    timeouts: ClientTimeouts,
    source: impl Fn() -> Snapshot,
) -> io::Result<()> {
    let Some(request) = read_request(stream, hosts, timeouts.head)? else {
        return Ok(());
    };
    let response = match request.verdict {
        Ok(page) => Response::page(page, source),
        Err(refusal) => Response::refusal(refusal),
    };
    send(
        stream,
        &response.into_bytes(request.method),
        timeouts.response,
    )?;
    close(stream, timeouts.close)
}

/// Reads until the head is complete or refused; returns `None` for a client that closes without sending a
/// byte, as browsers do with spare connections.
fn read_request(
    mut stream: &TcpStream,
    hosts: Hosts,
    time: Duration,
) -> io::Result<Option<Request>> {
    let deadline = Instant::now() + time;
    let mut head = [0; MAX_HEAD];
    let mut filled = 0;
    loop {
        // The buffer is never full here: parse refuses a head that reaches its bound without an end.
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut head[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if let Some(request) = request::parse(&head[..filled], hosts) {
            return Ok(Some(request));
        }
    }
}

fn send(mut stream: &TcpStream, mut bytes: &[u8], time: Duration) -> io::Result<()> {
    let deadline = Instant::now() + time;
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Lingering close: sends our FIN first, then reads the rest of the client's bytes, because closing a
/// socket with unread input sends a reset, which can overtake the response.
fn close(mut stream: &TcpStream, time: Duration) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + time;
    let mut rest = [0; 4096];
    let mut drained = 0;
    while drained < DRAIN_BYTES {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut rest)? {
            0 => break,
            count => drained += count,
        }
    }
    Ok(())
}

/// Returns the time until `deadline`, which is never zero: for the socket option, zero would mean to wait forever.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(io::ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}
