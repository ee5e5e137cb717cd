//! Sessions that stay open: idle ones, and ones with a stalled reader.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use nix::sys::epoll::EpollFlags;
use socket2::Socket;

use crate::load::Poll;
use crate::load::dial::Dial;
use crate::stop;
use crate::wait::TICK;

/// Opens sessions that have carried one byte each way and are idle now.
pub(crate) fn open_idle(dial: &Dial, count: usize) -> io::Result<Vec<Socket>> {
    (0..count).map(|_| open_one(dial)).collect()
}

/// Opens sessions that have carried nothing.
pub(crate) fn open_silent(dial: &Dial, count: usize) -> io::Result<Vec<Socket>> {
    let mut sessions = Vec::with_capacity(count);
    for _ in 0..count {
        stop::check()?;
        sessions.push(dial.open()?);
    }
    Ok(sessions)
}

/// Opens one session that has carried one byte each way.
pub(crate) fn open_one(dial: &Dial) -> io::Result<Socket> {
    stop::check()?;
    let socket = dial.open()?;
    (&socket).write_all(b"?")?;
    (&socket).read_exact(&mut [0])?;
    Ok(socket)
}

/// Sessions whose reader has stalled.
#[derive(Debug)]
pub(crate) struct Stalled {
    pub(crate) sockets: Vec<Socket>,
    /// Bytes that all of them have taken in, with those in the senders' own buffers of some 100 KiB each.
    pub(crate) bytes: u64,
}

/// Opens sessions and sends on each until nothing goes through any more.
///
/// The upstream must be one that never reads.
pub(crate) fn open_stalled(dial: &Dial, count: usize) -> io::Result<Stalled> {
    const SMALL_BUFFER: usize = 64 * 1024;
    let poll = Poll::new()?;
    let mut sockets = Vec::with_capacity(count);
    for token in 0..count {
        let socket = dial.open()?;
        socket.set_send_buffer_size(SMALL_BUFFER)?;
        socket.set_nonblocking(true)?;
        poll.add(&socket, token as u64, EpollFlags::EPOLLOUT)?;
        sockets.push(socket);
    }
    let bytes = pour(poll, &sockets)?;
    Ok(Stalled { sockets, bytes })
}

/// Sends until no socket has taken a byte for a while; returns how many bytes were sent.
fn pour(mut poll: Poll, sockets: &[Socket]) -> io::Result<u64> {
    const QUIET: Duration = Duration::from_millis(300);
    const LIMIT: Duration = Duration::from_secs(20);
    let chunk = vec![0x5a; 64 * 1024];
    let start = Instant::now();
    let mut last_progress = start;
    let mut bytes = 0;
    while last_progress.elapsed() < QUIET {
        stop::check()?;
        if start.elapsed() > LIMIT {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the sessions never stalled",
            ));
        }
        for index in 0..poll.wait(Some(TICK))? {
            let token = usize::try_from(poll.token(index)).map_err(io::Error::other)?;
            match (&sockets[token]).write(&chunk) {
                Ok(count) => {
                    bytes += count as u64;
                    last_progress = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bytes)
}
