//! The session against the Rust crate `yamux`, in both roles, over pipes in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::io::{AsyncRead, AsyncWrite};
use futures::task::noop_waker;
use yamux::{Config, Connection, Mode};

use super::pair::End;
use super::sides::content_at;
use crate::tunnel::limits::SessionLimits;
use crate::tunnel::role::Role;
use crate::tunnel::yamux::Yamux;

/// Bytes of one direction that have not been read; more do not fit in.
const CAPACITY: usize = 20_000;

/// A direction of the link.
type Wire = Rc<RefCell<VecDeque<u8>>>;

/// The crate's end of the link. It wakes no task, because it is polled all the time.
struct Socket {
    input: Wire,
    output: Wire,
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut input = self.input.borrow_mut();
        if input.is_empty() {
            return Poll::Pending;
        }
        let length = buffer.len().min(input.len());
        for (to, from) in buffer.iter_mut().zip(input.drain(..length)) {
            *to = from;
        }
        Poll::Ready(Ok(length))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut output = self.output.borrow_mut();
        let length = bytes.len().min(CAPACITY - output.len());
        if length == 0 {
            return Poll::Pending;
        }
        output.extend(&bytes[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A stream of the crate that sends back what it gets, or sends by itself.
struct Stream {
    stream: yamux::Stream,
    pending: VecDeque<u8>,
    /// What it still sends by itself.
    own: Option<u64>,
    sent: u64,
    got: Vec<u8>,
    has_end: bool,
    is_closed: bool,
}

impl Stream {
    fn new(stream: yamux::Stream, own: Option<u64>) -> Self {
        Self {
            stream,
            pending: VecDeque::new(),
            own,
            sent: 0,
            got: Vec::new(),
            has_end: false,
            is_closed: false,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        let mut buffer = [0; 3000];
        while !self.has_end
            && let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, &mut buffer)
        {
            let length = read.unwrap();
            self.has_end = length == 0;
            self.got.extend(&buffer[..length]);
            if self.own.is_none() {
                self.pending.extend(&buffer[..length]);
            }
        }
        if let Some(own) = self.own {
            let length = usize::try_from(own - self.sent).unwrap().min(5000);
            if self.pending.is_empty() {
                self.pending.extend(content_at(1, self.sent, length));
                self.sent += length as u64;
            }
        }
        self.write(context);
    }

    fn write(&mut self, context: &mut Context<'_>) {
        while !self.pending.is_empty() {
            let (front, _) = self.pending.as_slices();
            let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(context, front) else {
                return;
            };
            self.pending.drain(..written.unwrap());
        }
        let is_done = self.own.map_or(self.has_end, |own| own == self.sent);
        if is_done && !self.is_closed {
            self.is_closed = Pin::new(&mut self.stream).poll_close(context).is_ready();
        }
    }
}

/// The crate at one end of the link, and our session at the other.
struct Mixed {
    ours: End<Yamux>,
    theirs: Connection<Socket>,
    streams: Vec<Stream>,
    to_us: Wire,
    to_them: Wire,
    now: Instant,
}

impl Mixed {
    fn new(ours: Role) -> Self {
        let (to_us, to_them) = (Wire::default(), Wire::default());
        let socket = Socket {
            input: Rc::clone(&to_them),
            output: Rc::clone(&to_us),
        };
        let mode = match ours {
            Role::Client => Mode::Server,
            Role::Server => Mode::Client,
        };
        let now = Instant::now();
        Self {
            ours: End::new(Yamux::new(ours), ours, SessionLimits::default(), now),
            theirs: Connection::new(socket, Config::default(), mode),
            streams: Vec::new(),
            to_us,
            to_them,
            now,
        }
    }

    /// Lets both ends do something.
    fn step(&mut self) {
        self.now += Duration::from_millis(1);
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        if let Poll::Ready(stream) = self.theirs.poll_next_inbound(&mut context) {
            let stream = stream.expect("the link goes on").unwrap();
            self.streams.push(Stream::new(stream, None));
        }
        self.streams
            .iter_mut()
            .for_each(|stream| stream.poll(&mut context));
        let bytes: Vec<_> = self.to_us.borrow_mut().drain(..).collect();
        self.ours.receive(&bytes, self.now);
        assert_eq!(self.ours.error, None);
        let room = CAPACITY - self.to_them.borrow().len();
        let bytes = self.ours.transmit(room, self.now);
        self.to_them.borrow_mut().extend(bytes);
    }

    fn run_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        for _ in 0..200_000 {
            if is_done(self) {
                return;
            }
            self.step();
        }
        panic!("nothing moves any more: {:?}", self.ours.sides);
    }
}

#[test]
fn the_crate_yamux_sends_back_what_our_client_sends() {
    const LENGTH: u64 = 700_000;
    let mut mixed = Mixed::new(Role::Client);
    let keys: Vec<_> = (0..5).map(|_| mixed.ours.open()).collect();
    for &key in &keys {
        mixed.ours.side(key).mirror();
        mixed.ours.feed(key, LENGTH, true);
    }
    mixed.run_until(|mixed| mixed.ours.sides.0.values().all(|side| side.got_end));
    for key in keys {
        assert_eq!(mixed.ours.side(key).received, LENGTH);
    }
    mixed.run_until(|mixed| mixed.ours.session.streams() == 0);
}

#[test]
fn our_server_sends_back_what_the_crate_yamux_sends() {
    const LENGTH: u64 = 700_000;
    let mut mixed = Mixed::new(Role::Server);
    mixed.ours.peer_seed = Some(1);
    let waker = noop_waker();
    for _ in 0..5 {
        let mut context = Context::from_waker(&waker);
        let Poll::Ready(stream) = mixed.theirs.poll_new_outbound(&mut context) else {
            panic!("a stream can be opened");
        };
        mixed
            .streams
            .push(Stream::new(stream.unwrap(), Some(LENGTH)));
    }
    for _ in 0..200_000 {
        mixed.step();
        mixed.ours.send_back(1);
        if mixed.streams.iter().all(|stream| stream.has_end) {
            break;
        }
    }
    for stream in &mixed.streams {
        assert!(stream.has_end && stream.is_closed);
        let expected: Vec<u8> = (0..LENGTH)
            .step_by(50_000)
            .flat_map(|offset| content_at(1, offset, 50_000))
            .copied()
            .collect();
        assert!(
            stream.got == expected,
            "{} bytes have come back",
            stream.got.len()
        );
    }
    mixed.run_until(|mixed| mixed.ours.session.streams() == 0);
}

#[test]
fn the_crate_yamux_sees_a_reset_and_ours_sees_its() {
    let mut mixed = Mixed::new(Role::Client);
    let (first, second) = (mixed.ours.open(), mixed.ours.open());
    mixed.ours.feed(first, 10, false);
    mixed.ours.feed(second, 10, false);
    for key in [first, second] {
        mixed.ours.side(key).mirror();
    }
    mixed.run_until(|mixed| mixed.ours.sides.0.values().all(|side| side.received == 10));
    mixed.ours.give_up(first);
    mixed.run_until(|mixed| mixed.streams.iter().any(|stream| stream.has_end));
    // A stream that is dropped before its end is reset.
    mixed.streams.retain(|stream| stream.has_end);
    mixed.run_until(|mixed| mixed.ours.sides.0.values().any(|side| side.got_reset));
    assert!(mixed.ours.side(second).got_reset);
    assert_eq!(mixed.ours.session.streams(), 0);
}

#[test]
fn the_crate_yamux_answers_a_ping() {
    let mut mixed = Mixed::new(Role::Client);
    for _ in 0..10 {
        mixed.step();
    }
    mixed.now += Duration::from_secs(20);
    mixed.ours.session.handle_timeout(mixed.now).unwrap();
    mixed.run_until(|mixed| mixed.ours.session.round_trip().is_some());
}
