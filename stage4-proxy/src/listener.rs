//! The listening socket of a worker: accepts clients, and pauses while there is no room.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use nix::sys::socket::SockFlag;
use socket2::Socket;
use stage1_server::AcceptFailure;
use stage3_epoll::{Interest, Poll};

use crate::access::Clients;
use crate::address::PeerAddr;
use crate::slots::Slots;
use crate::token::Token;
use crate::udp::Share;

/// How long accepting pauses if the machine has no descriptor or memory left.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a slot rests that a fruitless session has left while no other slot was free.
///
/// Proxies that point at each other fill their tables with the connections of their own ring. A reset then
/// goes round it without end, because each slot that it frees accepts the next connection of the ring. On
/// plain TCP nothing tells such a connection from a client's, so the ring is not broken but slowed: it takes
/// one step in this time, and not one as soon as the processor allows it.
const REST: Duration = Duration::from_millis(10);

/// A listening socket that can be paused, so that clients wait in its accept queue.
///
/// ```text
///          no slot left                    a session has ended, here or in another worker
///   Open ──────────────────────▶ Full    ─────────────────────────▶ Open
///     │    no descriptor, memory           a session has ended here, or
///     └────────────────────────▶ Starved ─────────────────────────▶ Open
///                                          PAUSE is over
/// ```
///
/// A session that was fruitless (its client left without having got a byte) leaves its slot to rest if all
/// slots are taken. One that rests is given back in each [`REST`], and all of them with the next session that
/// was not fruitless.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    clients: Clients,
    slots: Slots,
    state: State,
    /// A client may be waiting.
    ready: bool,
    resting: Resting,
}

/// The slots that rest.
#[derive(Clone, Copy, Debug, Default)]
struct Resting {
    slots: u32,
    /// When the next one is given back; `None` if none rests.
    until: Option<Instant>,
}

/// What a listener is made of, before it is registered in its worker's poller.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The socket that listens.
    pub(crate) socket: Socket,
    /// Which clients may come.
    pub(crate) clients: Clients,
    /// The worker's access to the slots of all workers.
    pub(crate) slots: Slots,
    /// The socket at the same address that datagrams arrive at; it is not the listener's affair.
    pub(crate) datagrams: Option<Socket>,
    /// The worker's share of the flows of datagrams.
    pub(crate) share: Share,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Full,
    Starved { until: Instant },
}

/// What one accept(2) has brought.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A client, non-blocking.
    Client(Socket, PeerAddr),
    /// Nothing, because the client at this address may not come: it is reset.
    Denied(PeerAddr),
    /// Nothing, but the next accept(2) may bring one: this client has gone already.
    Gone,
    /// Nothing: the accept queue is empty.
    Empty,
    /// Nothing, because the workers have as many sessions as they may have together.
    Full,
    /// Nothing, for want of descriptors or memory.
    Starved(io::Error),
}

impl Listener {
    /// Registers a listening socket, level-triggered, because a turn accepts a bounded number of
    /// clients: the rest of the accept queue is reported again in the next turn.
    ///
    /// # Errors
    ///
    /// Fails if the poller does not take it.
    pub(crate) fn new(parts: Parts, poll: &Poll) -> io::Result<Self> {
        let Parts {
            socket,
            clients,
            slots,
            ..
        } = parts;
        poll.register(&socket, token(), Interest::READABLE)?;
        Ok(Self {
            socket,
            clients,
            slots,
            state: State::Open,
            ready: false,
            resting: Resting::default(),
        })
    }

    /// Remembers that a client may be waiting.
    pub(crate) fn note(&mut self) {
        self.ready = true;
    }

    /// Returns whether accept(2) may bring a client now.
    #[must_use]
    pub(crate) fn is_ready(&self) -> bool {
        self.ready && self.state == State::Open
    }

    /// Takes a slot and accepts one client (`accept4(2)`), non-blocking and close-on-exec, or resets it
    /// if it may not come; the client keeps the slot until [`Listener::session_ended`].
    pub(crate) fn accept(&mut self) -> Accepted {
        if !self.slots.acquire() {
            return Accepted::Full;
        }
        let accepted = self.accept_in_slot();
        match accepted {
            Accepted::Client(..) => {}
            Accepted::Denied(_)
            | Accepted::Gone
            | Accepted::Empty
            | Accepted::Full
            | Accepted::Starved(_) => {
                // It cannot be this worker's turn, because it does not wait.
                self.slots.release();
            }
        }
        accepted
    }

    fn accept_in_slot(&mut self) -> Accepted {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        match self.socket.accept4(flags.bits()) {
            Ok((socket, peer)) => {
                let peer = peer.as_socket().map_or(PeerAddr::Unix, PeerAddr::Internet);
                if self.clients.contains(peer.ip()) {
                    return Accepted::Client(socket, peer);
                }
                reset(&socket);
                Accepted::Denied(peer)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready = false;
                Accepted::Empty
            }
            Err(error) => match AcceptFailure::of(&error) {
                AcceptFailure::Retry => Accepted::Gone,
                // Not even a broken listener ends the worker, because the open sessions go on.
                AcceptFailure::Pause | AcceptFailure::Fatal => Accepted::Starved(error),
            },
        }
    }

    /// Pauses until a slot is free; clients wait in the accept queue.
    pub(crate) fn pause_full(&mut self, poll: &Poll) {
        self.enter(State::Full, poll);
    }

    /// Pauses until a session ends or [`PAUSE`] is over, because descriptors may also be freed
    /// elsewhere on the machine; clients wait in the accept queue.
    pub(crate) fn pause_starved(&mut self, now: Instant, poll: &Poll) {
        self.enter(State::Starved { until: now + PAUSE }, poll);
    }

    /// Gives back the slot of a session that has ended, or leaves it to rest.
    pub(crate) fn session_ended(&mut self, fruitless: bool, now: Instant, poll: &Poll) {
        if fruitless && self.slots.are_all_taken() {
            self.resting.slots += 1;
            self.resting.until.get_or_insert(now + REST);
            return;
        }
        let rested = mem::take(&mut self.resting).slots;
        for _ in 0..=rested {
            self.release_slot(poll);
        }
    }

    /// Gives back a slot, and with it two descriptors: resumes accepting if it is this worker's turn,
    /// or if it had no descriptor.
    fn release_slot(&mut self, poll: &Poll) {
        let our_turn = self.slots.release();
        match self.state {
            State::Starved { .. } => self.resume(poll),
            State::Full if our_turn => self.resume(poll),
            State::Open | State::Full => {}
        }
    }

    /// Resumes accepting.
    pub(crate) fn resume(&mut self, poll: &Poll) {
        match self.state {
            State::Open => {}
            State::Full | State::Starved { .. } => {
                // An open listener has no note: a slot that another worker gives back for it would be lost.
                self.slots.stop_waiting();
                self.enter(State::Open, poll);
            }
        }
    }

    /// Resumes accepting if the pause is over, and gives back the slots that have rested.
    pub(crate) fn tick(&mut self, now: Instant, poll: &Poll) {
        if self.starved_until().is_some_and(|until| until <= now) {
            self.enter(State::Open, poll);
        }
        if self.resting.until.is_some_and(|until| until <= now) {
            self.resting.slots -= 1;
            self.resting.until = (self.resting.slots > 0).then_some(now + REST);
            self.release_slot(poll);
        }
    }

    /// Returns when [`Listener::tick`] has something to do, if it will.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let until = [self.starved_until(), self.resting.until];
        until.into_iter().flatten().min()
    }

    fn starved_until(&self) -> Option<Instant> {
        match self.state {
            State::Open | State::Full => None,
            State::Starved { until } => Some(until),
        }
    }

    fn enter(&mut self, state: State, poll: &Poll) {
        self.state = state;
        // A paused listener has no interest at all: a level-triggered one with clients in its
        // accept queue would end every wait at once.
        let interest = match state {
            State::Open => Interest::READABLE,
            State::Full | State::Starved { .. } => Interest::NONE,
        };
        if let Err(error) = poll.reregister(&self.socket, token(), interest) {
            tracing::error!(%error, "cannot change the interest in the listener");
        }
    }
}

/// Makes the coming close(2) send a reset, so that a client that may not come learns it at once (`socket(7)`, `SO_LINGER`).
fn reset(client: &Socket) {
    // It fails only on a socket that is broken already.
    let _ = client.set_linger(Some(Duration::ZERO));
}

fn token() -> stage3_epoll::Token {
    stage3_epoll::Token(Token::LISTENER.pack())
}
