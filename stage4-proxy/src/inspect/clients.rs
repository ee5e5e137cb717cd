//! All clients of the inspector, and the bounds on their number and their memory.

use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Instant;

use nix::poll::PollFd;
use nix::sys::resource::{Resource, getrlimit};
use socket2::Socket;

use crate::inspect::collector::Scope;
use crate::inspect::connection::{ClientTimeouts, Connection};
use crate::inspect::hosts::Hosts;
use crate::inspect::request::{Page, Refusal};
use crate::inspect::response::Response;
use crate::inspect::snapshot::Snapshot;

/// Clients at the same time, if the process may open enough descriptors. A mute one costs 16 KiB at most.
const MAX_CLIENTS: u64 = 64;

/// Clients at the same time in a process that may open few descriptors: two browsers, each with a spare
/// connection.
const MIN_CLIENTS: u64 = 4;

/// Answers that are kept for clients that do not read them. One of a large table has megabytes.
pub(super) const MAX_ANSWERS: usize = 4;

/// The clients, in the order of their arrival.
#[derive(Debug)]
pub(super) struct Clients {
    connections: Vec<Connection>,
    hosts: Hosts,
    timeouts: ClientTimeouts,
    /// The most connections.
    capacity: usize,
    /// Counts the answers.
    round: u64,
}

impl Clients {
    /// Creates an empty list.
    pub(super) fn new(hosts: Hosts, timeouts: ClientTimeouts) -> Self {
        let fds = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        Self {
            connections: Vec::new(),
            hosts,
            timeouts,
            capacity: usize::try_from(capacity(fds)).unwrap_or(usize::MAX),
            round: 0,
        }
    }

    /// Returns whether one more client can be admitted, perhaps in the place of one that is mute.
    pub(super) fn has_room(&self) -> bool {
        self.connections.len() < self.capacity || self.oldest_mute().is_some()
    }

    /// Adds a client; if there are too many, the one that has been mute longest is closed for it.
    ///
    /// Otherwise a few clients that send nothing could keep all others out, each of them for its time limit.
    pub(super) fn admit(&mut self, socket: Socket, now: Instant) {
        if let Err(error) = socket.set_nonblocking(true) {
            tracing::debug!(%error, "inspector client");
            return;
        }
        if self.connections.len() >= self.capacity
            && let Some(place) = self.oldest_mute()
        {
            self.connections.remove(place);
        }
        let mut client = Connection::new(TcpStream::from(socket), self.timeouts, now);
        // Read at once, because one whose request has arrived already must not be closed for the next ones.
        if client.advance(self.hosts, now) {
            self.connections.push(client);
        }
    }

    /// Returns the place of the client that has been mute longest.
    ///
    /// A client that does not read its answer is closed only if no other is mute, because it may be slow.
    fn oldest_mute(&self) -> Option<usize> {
        let place_of = |found: fn(&Connection) -> bool| self.connections.iter().position(found);
        place_of(Connection::is_mute).or_else(|| place_of(|client| client.round().is_some()))
    }

    /// Does what the sockets allow now, and closes the clients whose time is over.
    pub(super) fn advance(&mut self, now: Instant) {
        // Each one tries, because a call that only says "not yet" costs less than to find out.
        let hosts = self.hosts;
        self.connections
            .retain_mut(|client| client.advance(hosts, now));
    }

    /// Returns the sockets and the events to wait for.
    pub(super) fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        // One that waits for its answer is left out: poll(2) would report its reset again and again.
        let waiting = self.connections.iter().filter(|it| it.asks().is_none());
        waiting.map(|client| PollFd::new(client.as_fd(), client.interest()))
    }

    /// Returns the first time limit of a client.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines = self.connections.iter().filter_map(Connection::deadline);
        deadlines.min()
    }

    /// Returns the scope of the snapshot that the clients wait for, or `None` if none does.
    pub(super) fn scope(&self) -> Option<Scope> {
        let pages = self.connections.iter().filter_map(Connection::asks);
        pages.map(Page::scope).max()
    }

    /// Answers all clients that wait for a snapshot.
    pub(super) fn answer(&mut self, snapshot: Option<&Snapshot>, now: Instant) {
        self.round += 1;
        for page in Page::ALL {
            self.answer_with(page, snapshot, now);
        }
        self.drop_unread_answers();
    }

    /// Encodes a page once, for all clients that wait for it.
    fn answer_with(&mut self, page: Page, snapshot: Option<&Snapshot>, now: Instant) {
        let asking = self.connections.iter_mut();
        let mut asking = asking.filter(|it| it.asks() == Some(page)).peekable();
        if asking.peek().is_none() {
            return;
        }
        let response = match snapshot {
            Some(snapshot) => Response::page(page, snapshot),
            None => Response::refusal(Refusal::Unavailable),
        };
        let response = Arc::new(response.encode());
        for client in asking {
            client.respond(&response, self.round, now);
        }
    }

    /// Closes the clients that have not read the oldest answer, if there are too many different ones.
    fn drop_unread_answers(&mut self) {
        let rounds = self.connections.iter().filter_map(Connection::round);
        let mut rounds: Vec<u64> = rounds.collect();
        rounds.sort_unstable();
        rounds.dedup();
        if rounds.len() > MAX_ANSWERS {
            let oldest = Some(rounds[0]);
            self.connections.retain(|client| client.round() != oldest);
        }
    }
}

/// Returns how many clients an inspector has at most, each with one descriptor, in a process that may open
/// `fds` descriptors: one for each 64 of them, because the relay needs them more.
#[must_use]
pub fn capacity(fds: u64) -> u64 {
    (fds / 64).clamp(MIN_CLIENTS, MAX_CLIENTS)
}
