use super::*;

use std::collections::VecDeque;
use std::io::ErrorKind::{ConnectionReset, Interrupted, WouldBlock};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use stage1_server::{ListenOptions, listen, local_addr};
use stage2_client::start_connect;
use stage3_epoll::{Event, Events, Poll, Readiness, Token};

use crate::bulk::BULK_AFTER;
use crate::limits::Limits;

mod carrying;
mod copying;
mod counting;
mod ending;
mod flushing;
mod gathering;

/// The longest wait of a test.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of one read in these tests.
const CHUNK: usize = 4096;

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A connected pair of non-blocking sockets: the proxy's end and the far one.
fn unix() -> (Socket, Socket) {
    Socket::pair(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap()
}

fn tcp() -> (Socket, Socket) {
    let listener = listen(anywhere(), &ListenOptions::default()).unwrap();
    let far = start_connect(local_addr(&listener).unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (near, far)
}

/// Shrinks the buffers to the least that the kernel allows.
fn shrink(socket: &Socket) {
    socket.set_send_buffer_size(1).unwrap();
    socket.set_recv_buffer_size(1).unwrap();
}

fn limits() -> Limits {
    Limits {
        chunk: CHUNK,
        bytes_per_turn: CHUNK,
        pipes: 1,
        pipe_size: 4 * CHUNK,
        ..Limits::default()
    }
}

/// One direction between two sockets, driven as a worker drives it: by edge-triggered events.
struct Rig {
    flow: Flow,
    source: Endpoint,
    sink: Endpoint,
    /// The far ends.
    sender: Socket,
    reader: Socket,
    scratch: Scratch,
    poll: Poll,
    /// The state of the other direction.
    opposite: HalfState,
}

impl Rig {
    fn new(pair: fn() -> (Socket, Socket), limits: &Limits) -> Self {
        let ((source, sender), (sink, reader)) = (pair(), pair());
        let poll = Poll::new().unwrap();
        // Like connected sockets, so that neither is ready before its first event.
        let [source, sink] = [source, sink].map(|near| Endpoint::connecting(near, anywhere()));
        for (endpoint, token) in [(&source, Token(0)), (&sink, Token(1))] {
            poll.register(endpoint, token, endpoint.interest()).unwrap();
        }
        Self {
            flow: Flow::default(),
            source,
            sink,
            sender,
            reader,
            scratch: Scratch::new(limits),
            poll,
            opposite: HalfState::Open,
        }
    }

    /// Notes the next events, after at most `wait`, and returns whether there were any.
    fn note_events(&mut self, wait: Duration) -> bool {
        let mut events = Events::with_capacity(8);
        self.poll.poll(&mut events, Some(wait)).unwrap();
        for event in events.iter() {
            match event.token() {
                Token(0) => self.source.note(event),
                _ => self.sink.note(event),
            }
        }
        !events.is_empty()
    }

    /// Gives the direction one turn with the readiness that was noted.
    fn pump(&mut self) -> Result<Progress, Fault> {
        let (source, sink) = (&mut self.source, &mut self.sink);
        self.flow
            .pump(source, sink, self.opposite, &mut self.scratch)
    }

    /// Waits for events, turn by turn, until `done`, which `what` names.
    fn pump_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < end,
                "{what}: still not after {PATIENCE:?}, with {:?}",
                self.flow
            );
            self.note_events(Duration::from_millis(5));
            self.pump().unwrap();
        }
    }

    /// Does the same until a side is broken.
    fn pump_until_fault(&mut self) -> Fault {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(
                Instant::now() < end,
                "a side is broken, and pump has not said so within {PATIENCE:?}, with {:?}",
                self.flow
            );
            self.note_events(Duration::from_millis(5));
            if let Err(fault) = self.pump() {
                return fault;
            }
        }
    }

    fn send(&self, bytes: &[u8]) {
        assert_eq!((&self.sender).write(bytes).unwrap(), bytes.len());
    }

    /// Sends bytes and waits until the source is readable.
    fn deliver(&mut self, bytes: &[u8]) {
        self.send(bytes);
        while !self.source.readable {
            assert!(self.note_events(PATIENCE), "nothing came");
        }
    }

    /// Delivers just enough bytes to count as bulk, and stops the sink before the last part, which
    /// is not copied any more; so that part is pending.
    fn stall_in_bulk(&mut self) {
        self.deliver(&vec![7; CHUNK * (usize::from(BULK_AFTER) + 1)]);
        for _ in 0..BULK_AFTER {
            assert_eq!(self.pump().unwrap(), Progress::Unfinished);
        }
        self.stall();
    }

    /// Stops the sink, so that the delivered bytes are pending.
    fn stall(&mut self) {
        self.sink.writable = false;
        assert_eq!(self.pump().unwrap(), Progress::Idle);
    }

    /// Returns the number of pending bytes: in memory, in a pipe.
    fn pending(&self) -> (usize, usize) {
        (self.flow.half.pending().len(), self.flow.half.piped())
    }

    /// Lets the pending bytes pass.
    fn resume(&mut self) {
        self.sink.writable = true;
        self.pump().unwrap();
        assert_eq!(self.pending(), (0, 0));
    }

    /// Returns what the far reader gets: bytes, the end (0), or an error such as `WouldBlock`.
    fn read(&self) -> Result<usize, io::ErrorKind> {
        let room = &mut [0; 64 * 1024];
        (&self.reader).read(room).map_err(|error| error.kind())
    }

    /// Returns whether the pool has a pipe to lend.
    fn pool_has_a_pipe(&mut self) -> bool {
        let pipe = self.scratch.pipes.lend();
        let has = pipe.is_some();
        pipe.into_iter()
            .for_each(|pipe| self.scratch.pipes.give_back(pipe));
        has
    }
}

/// Closes a far end with a reset, or, for a Unix socket, so that its other end cannot write.
fn reset(far: &mut Socket) {
    far.set_linger(Some(Duration::ZERO)).unwrap();
    *far = unix().0;
}

fn shut(socket: &Socket) {
    socket.shutdown(std::net::Shutdown::Write).unwrap();
}

#[test]
fn the_last_fin_is_left_to_close() {
    let mut rig = Rig::new(tcp, &limits());
    rig.opposite = HalfState::Closed;
    shut(&rig.sender);
    rig.pump_until("the direction owes only its FIN", |rig| {
        rig.flow.half.owes_fin()
    });
    assert!(rig.sink.socket().send(b"!").is_ok(), "no shutdown was done");
}

#[test]
fn bulk_is_spliced_and_small_transfers_are_copied_again() {
    let mut rig = Rig::new(unix, &limits());
    rig.stall_in_bulk();
    assert_eq!(rig.pending(), (0, CHUNK));
    rig.resume();
    rig.deliver(b"less");
    rig.pump().unwrap();
    rig.deliver(&[7; CHUNK]);
    rig.stall();
    assert_eq!(rig.pending(), (CHUNK, 0));
}

/// Returns a pair of sockets in the place of a pipe, which the kernel refuses to splice, and the end
/// that fills it.
fn refused_pipe() -> (Pipe, Socket) {
    let (read, fill) = unix();
    let (write, _) = unix();
    (Pipe::of_sockets(read.into(), write.into()), fill)
}

#[test]
fn a_refused_splice_is_copied_and_not_tried_again() {
    let mut rig = Rig::new(unix, &limits());
    let (pipe, _fill) = refused_pipe();
    rig.scratch.pipes.give_back(pipe);
    rig.stall_in_bulk();
    assert_eq!(rig.pending(), (CHUNK, 0));
    rig.resume();
    assert!(!rig.pool_has_a_pipe());
    assert_eq!(rig.read(), Ok(CHUNK * (usize::from(BULK_AFTER) + 1)));
}

#[test]
fn bytes_in_a_refused_pipe_are_written_from_memory() {
    let mut rig = Rig::new(unix, &limits());
    let (pipe, fill) = refused_pipe();
    (&fill).write_all(b"in the pipe").unwrap();
    rig.flow.half.entered_pipe(11);
    rig.flow.pipe = Some(pipe);
    rig.sink.writable = true;
    rig.flow.flush(&mut rig.sink).unwrap();
    assert_eq!(rig.pending(), (0, 0));
    assert_eq!(rig.read(), Ok(11));
    rig.pump().unwrap();
    assert!(!rig.pool_has_a_pipe());
}

#[test]
fn bulk_whose_source_was_empty_is_spliced_on() {
    let mut rig = Rig::new(unix, &limits());
    rig.stall_in_bulk();
    rig.resume();
    rig.pump().unwrap();
    assert!(!rig.source.readable, "the source is empty");
    rig.deliver(&[7; CHUNK]);
    rig.stall();
    assert_eq!(rig.pending(), (0, CHUNK));
}

#[test]
fn small_transfers_never_count_as_bulk() {
    let mut rig = Rig::new(unix, &limits());
    for _ in 0..BULK_AFTER {
        rig.deliver(&[7; CHUNK + 4]);
        assert_eq!(rig.pump().unwrap(), Progress::Unfinished);
        rig.pump().unwrap();
    }
    rig.deliver(&[7; CHUNK]);
    rig.stall();
    assert_eq!(rig.pending(), (CHUNK, 0));
}

#[test]
fn a_pipe_is_held_only_while_bytes_are_in_it() {
    let mut rig = Rig::new(unix, &limits());
    rig.stall_in_bulk();
    assert!(!rig.pool_has_a_pipe());
    rig.resume();
    assert!(rig.pool_has_a_pipe());
}

#[test]
fn a_pipe_with_the_bytes_of_a_closed_session_is_not_lent_again() {
    let mut rig = Rig::new(unix, &limits());
    rig.stall_in_bulk();
    assert_eq!(rig.pending(), (0, CHUNK));
    rig.flow.abandon(&mut rig.scratch.pipes);
    let pipe = rig.scratch.pipes.lend().expect("another pipe in its place");
    let error = pipe.empty_into(&rig.sink, CHUNK).unwrap_err();
    assert_eq!(error.kind(), WouldBlock, "it is empty");
}

#[test]
fn without_a_pipe_bulk_is_copied() {
    let mut rig = Rig::new(
        unix,
        &Limits {
            pipes: 0,
            ..limits()
        },
    );
    rig.stall_in_bulk();
    assert_eq!(rig.pending(), (CHUNK, 0));
}

#[test]
fn a_turn_ends_before_the_work_does() {
    let limits = limits();
    let total = 30 * limits.bytes_per_turn;
    let mut rig = Rig::new(unix, &limits);
    rig.deliver(&vec![7; total]);
    let mut turns = 1;
    while rig.pump().unwrap() == Progress::Unfinished {
        let most = turns * (limits.bytes_per_turn + limits.pipe_size) as u64;
        assert!(
            rig.flow.half.moved() <= most,
            "{:?} in {turns} turns",
            rig.flow
        );
        turns += 1;
        while rig.read().is_ok() {}
        rig.note_events(Duration::ZERO);
    }
    assert_eq!(rig.flow.half.moved(), total as u64);
    assert!(turns >= 3, "only {turns} turns");
}

#[test]
fn a_broken_sink_closes_the_direction_and_frees_the_pipe() {
    for pair in [unix, tcp] {
        let mut rig = Rig::new(pair, &limits());
        rig.stall_in_bulk();
        assert!(!rig.pool_has_a_pipe());
        reset(&mut rig.reader);
        assert!(matches!(rig.pump_until_fault(), Fault::Sink(_)));
        assert_eq!(rig.flow.half.state(), HalfState::Closed);
        assert!(rig.pool_has_a_pipe());
    }
}

#[test]
fn a_reset_of_the_source_is_not_an_end() {
    for bulk in [false, true] {
        let mut rig = Rig::new(tcp, &limits());
        if bulk {
            rig.stall_in_bulk();
            rig.resume();
        }
        reset(&mut rig.sender);
        let fault = rig.pump_until_fault();
        assert!(matches!(fault, Fault::Source(error) if error.kind() == ConnectionReset));
        assert_eq!(rig.flow.half.state(), HalfState::Open);
    }
}

/// A read stops in front of urgent data (`tcp(7)`), so it is short although bytes are left.
#[test]
fn urgent_data_does_not_hold_up_the_bytes_behind_it() {
    let mut rig = Rig::new(tcp, &limits());
    rig.send(b"before");
    rig.sender.send_out_of_band(b"!").unwrap();
    rig.send(b"behind");
    rig.pump_until("12 bytes have moved", |rig| rig.flow.half.moved() == 12);
}
