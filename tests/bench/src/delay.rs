//! A long link: a relay that holds every byte back for a while, and passes on only so many in a second.
//!
//! ```text
//!   sender ──▶ read, note the time ──▶ queue of pieces, bounded in bytes ──▶ wait, write ──▶ receiver
//! ```
//!
//! Each direction has two threads. The kernel has a queueing discipline for this (netem), but not every kernel was
//! built with it. Because the relay acknowledges what it reads, TCP sees no delay at all: the rows show what the
//! windows *above* TCP do on a long link, and a plain relay is limited by the rate alone.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The delay and the rate in one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distance {
    pub(crate) delay: Duration,
    pub(crate) bytes_per_second: u32,
}

/// A relay that runs; dropping it ends its threads.
#[derive(Debug)]
pub(crate) struct DelayRelay {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DelayRelay {
    /// Starts it on a port of its own; its threads stay on the core of their starter.
    pub(crate) fn start(upstream: SocketAddr, distance: Distance) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = thread::Builder::new()
            .name("delay".into())
            .spawn(move || accept(&listener, upstream, distance, &flag))?;
        Ok(Self {
            address,
            is_over,
            thread: Some(thread),
        })
    }

    /// Returns the address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DelayRelay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // One more connection, so that accept(2) returns.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Relays each connection until it is over, then ends all of them.
fn accept(listener: &TcpListener, upstream: SocketAddr, distance: Distance, is_over: &AtomicBool) {
    let mut relayed: Vec<(TcpStream, TcpStream)> = Vec::new();
    let mut threads = Vec::new();
    while let Ok((near, _)) = listener.accept()
        && !is_over.load(Ordering::Relaxed)
    {
        // A connection that cannot be relayed is dropped, and the measurement sees its end.
        if let Ok(far) = TcpStream::connect(upstream)
            && let Ok(started) = relay(&near, &far, distance)
        {
            threads.extend(started);
            relayed.push((near, far));
        }
    }
    for socket in relayed.iter().flat_map(|(near, far)| [near, far]) {
        // It fails if the connection has ended already.
        let _ = socket.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Starts the threads of both directions.
fn relay(near: &TcpStream, far: &TcpStream, distance: Distance) -> io::Result<Vec<JoinHandle<()>>> {
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let mut threads = Vec::new();
    for (from, to) in [(near, far), (far, near)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        let line = Arc::new(Line::new(distance));
        let other_end = Arc::clone(&line);
        threads.push(thread::spawn(move || while line.put_from(&mut from) {}));
        threads.push(thread::spawn(move || {
            while other_end.take_to(&mut to) {}
            // It fails if the connection is broken, and then there is nothing more to end.
            let _ = to.shutdown(Shutdown::Write);
        }));
    }
    Ok(threads)
}

/// The bytes of one direction that are on their way.
#[derive(Debug)]
struct Line {
    distance: Distance,
    /// The bytes that it holds at most: what the rate makes of the delay, and some more.
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// The sender has ended, or the receiver does not take any more.
    is_over: bool,
    /// When the last piece has passed, at this rate.
    free_at: Instant,
}

#[derive(Debug)]
struct Piece {
    arrives_at: Instant,
    bytes: Vec<u8>,
}

impl Line {
    const PIECE: usize = 64 * 1024;
    const SPARE: usize = 1024 * 1024;

    fn new(distance: Distance) -> Self {
        let in_flight = f64::from(distance.bytes_per_second) * distance.delay.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few megabytes"
        )]
        let in_flight = in_flight as usize;
        Self {
            distance,
            capacity: in_flight + Self::SPARE,
            state: Mutex::new(State {
                pieces: VecDeque::new(),
                bytes: 0,
                is_over: false,
                free_at: Instant::now(),
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a condition of the state holds.
    fn wait_until(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while !condition(&state) {
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Reads a piece once there is room for it; returns whether there may be another one.
    fn put_from(&self, from: &mut TcpStream) -> bool {
        drop(self.wait_until(|state| state.bytes < self.capacity || state.is_over));
        let mut bytes = vec![0; Self::PIECE];
        let count = from.read(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        let mut state = self.lock();
        let arrives_at = state.arrival(count, self.distance, Instant::now());
        state.bytes += count;
        state.is_over |= count == 0;
        state.pieces.push_back(Piece { arrives_at, bytes });
        self.changed.notify_all();
        !state.is_over
    }

    /// Writes the next piece when it is time; returns whether there may be another one.
    fn take_to(&self, to: &mut TcpStream) -> bool {
        let mut state = self.wait_until(|state| !state.pieces.is_empty() || state.is_over);
        let Some(piece) = state.pieces.pop_front() else {
            return false;
        };
        drop(state);
        // The point of this relay.
        thread::sleep(piece.arrives_at.saturating_duration_since(Instant::now()));
        let written = to.write_all(&piece.bytes);
        let mut state = self.lock();
        state.bytes -= piece.bytes.len();
        state.is_over |= written.is_err();
        self.changed.notify_all();
        written.is_ok()
    }
}

impl State {
    /// Returns when a piece that was sent now arrives: it has to wait for the ones before it.
    fn arrival(&mut self, bytes: usize, distance: Distance, now: Instant) -> Instant {
        let length = u32::try_from(bytes).unwrap_or(u32::MAX);
        let duration = f64::from(length) / f64::from(distance.bytes_per_second);
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(duration);
        self.free_at + distance.delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_arrive_after_the_delay_and_at_the_rate() {
        let distance = Distance {
            delay: Duration::from_millis(50),
            bytes_per_second: 1_000_000,
        };
        let now = Instant::now();
        let mut state = State {
            pieces: VecDeque::new(),
            bytes: 0,
            is_over: false,
            free_at: now,
        };
        let first = state.arrival(10_000, distance, now);
        assert_eq!(first, now + Duration::from_millis(60));
        let second = state.arrival(10_000, distance, now);
        assert_eq!(second, now + Duration::from_millis(70));
        let later = now + Duration::from_secs(1);
        let third = state.arrival(0, distance, later);
        assert_eq!(third, later + Duration::from_millis(50));
    }

    #[test]
    fn bytes_come_through_both_ways_late_and_the_end_too() {
        let delay = Duration::from_millis(40);
        let distance = Distance {
            delay,
            bytes_per_second: 1_000_000_000,
        };
        let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = DelayRelay::start(upstream.local_addr().unwrap(), distance).unwrap();
        let echo = thread::spawn(move || {
            let (mut socket, _) = upstream.accept().unwrap();
            let mut text = String::new();
            socket.read_to_string(&mut text).unwrap();
            socket.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        let mut client = TcpStream::connect(relay.address()).unwrap();
        let begin = Instant::now();
        client.write_all(b"far away").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        echo.join().unwrap();
        assert_eq!(text, "FAR AWAY");
        assert!(begin.elapsed() >= 2 * delay, "{:?}", begin.elapsed());
    }
}
