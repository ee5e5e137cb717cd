//! Happy Eyeballs: the addresses of one target, tried beside each other (RFC 8305 section 5).
//!
//! ```text
//!   0                250 ms             500 ms
//!   ├──────────────────┼──────────────────┼─────────────▶ time
//!   first   SYN ······ no answer ················ closed, because the second has won
//!                      second   SYN ──────────▶ connected
//! ```
//!
//! An address whose packets are lost costs its clients a quarter of a second instead of the whole
//! time limit: the next address is tried while the first attempt goes on, and the attempt that
//! connects first wins.
//!
//! ```text
//!            the next is due: DELAY has passed, or an attempt has failed
//!           ┌───────────────────────────────────────────────────────────────┐
//!           ▼                                                               │
//!   new ──▶ Dial ──▶ up to MAX_ATTEMPTS are in progress ──▶ Wait ───────────┤
//!                                                           │               │ none is in progress
//!                                     one of them connects, │               │ and no address left
//!                                   and the owner takes it  ▼               ▼
//!                                                          won             Over
//! ```
//!
//! A race is free of I/O and of clocks: it says which address to try when, and keeps the sockets,
//! whatever they are. Dropping it closes the attempts that have not won.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::connect_error::ConnectError;

/// The time that an attempt has before the next address is tried beside it (RFC 8305 section 5:
/// the "Connection Attempt Delay").
pub const DELAY: Duration = Duration::from_millis(250);

/// The most attempts of one race at the same time.
///
/// The families alternate, so three attempts reach both of them, and the second host of the
/// preferred one. More would let a single client hold descriptors that other sessions need.
pub const MAX_ATTEMPTS: usize = 3;

/// What the owner of a race does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Begin to connect to this address, then call [`Race::dialled`], [`Race::dialled_or_put_off`] or
    /// [`Race::put_off`].
    Dial(SocketAddr),
    /// Wait for an event of an attempt, or until [`Race::deadline`].
    Wait,
    /// Give up: no attempt is in progress and no address is left.
    Over,
}

/// An attempt to connect to one address.
#[derive(Debug)]
pub struct Attempt<S> {
    /// The socket whose connect(2) is in progress.
    pub socket: S,
    /// When it began.
    pub since: Instant,
}

/// The attempts that are in progress, and the addresses that are left.
#[derive(Debug)]
pub struct Race<S> {
    /// The addresses that were not tried yet.
    rest: VecDeque<SocketAddr>,
    /// The attempts in progress, the oldest first.
    attempts: Vec<Attempt<S>>,
    /// When the next address is to be tried, at the latest.
    due: Instant,
    /// The time that each attempt has.
    limit: Duration,
}

impl<S> Race<S> {
    /// Creates a race between `addresses`, of which the first is to be tried at once; each attempt
    /// may take as long as `limit`.
    ///
    /// The first address stays the first, and the others follow with the families alternating.
    #[must_use]
    pub fn new(addresses: &[SocketAddr], limit: Duration, now: Instant) -> Self {
        Self {
            rest: interleave(addresses),
            attempts: Vec::new(),
            due: now,
            limit,
        }
    }

    /// Moves an address to the front that is known to work, if it is one of those left.
    pub fn favour(&mut self, address: SocketAddr) {
        let place = self.rest.iter().position(|&other| other == address);
        if let Some(found) = place.and_then(|place| self.rest.remove(place)) {
            self.rest.push_front(found);
        }
    }

    /// Ends the attempts whose time is over, and returns what to do next.
    ///
    /// Call it when the race begins, after each attempt that has failed, and at the
    /// [deadline](Race::deadline); and again until the step is no [`Step::Dial`].
    #[must_use]
    pub fn step(&mut self, now: Instant) -> Step {
        let before = self.attempts.len();
        let limit = self.limit;
        self.attempts.retain(|attempt| attempt.since + limit > now);
        if self.attempts.len() < before {
            self.due = now;
        }
        match self.rest.front() {
            Some(&address) if self.has_place() && self.due <= now => Step::Dial(address),
            None if self.attempts.is_empty() => Step::Over,
            Some(_) | None => Step::Wait,
        }
    }

    /// Notes how the connect to the address of [`Step::Dial`] has begun: its socket, or the reason
    /// why it has failed at once.
    ///
    /// # Errors
    ///
    /// Fails with that reason; the next address is due at once.
    pub fn dialled<E>(&mut self, begun: Result<S, E>, now: Instant) -> Result<(), E> {
        self.rest.pop_front();
        self.due = now;
        let socket = begun?;
        self.attempts.push(Attempt { socket, since: now });
        self.due = now + DELAY;
        Ok(())
    }

    /// Notes the same, but puts the address off if there was no descriptor for it and another attempt is in
    /// progress, because that one gives its descriptor back.
    ///
    /// # Errors
    ///
    /// Fails with the reason of an address that is not put off; the next address is due at once.
    pub fn dialled_or_put_off(
        &mut self,
        begun: Result<S, ConnectError>,
        now: Instant,
    ) -> Result<(), ConnectError> {
        let waits = self.is_running()
            && begun
                .as_ref()
                .is_err_and(ConnectError::is_without_descriptor);
        if waits {
            self.put_off(now);
            return Ok(());
        }
        self.dialled(begun, now)
    }

    /// Notes that the address of [`Step::Dial`] has to wait, because there is no descriptor for
    /// another attempt.
    ///
    /// # Panics
    ///
    /// Panics if no attempt is in progress: then nothing would ever end the wait.
    pub fn put_off(&mut self, now: Instant) {
        assert!(self.is_running(), "the first attempt needs no permit");
        self.due = now + DELAY;
    }

    /// Takes an attempt out that is connected or has failed; the next address is due at once.
    pub fn end(
        &mut self,
        is_it: impl FnMut(&Attempt<S>) -> bool,
        now: Instant,
    ) -> Option<Attempt<S>> {
        let place = self.attempts.iter().position(is_it)?;
        self.due = now;
        Some(self.attempts.remove(place))
    }

    /// Returns when [`Race::step`] is to be called, if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        // The oldest attempt is the first, and all have the same time.
        let expiry = self
            .attempts
            .first()
            .map(|oldest| oldest.since + self.limit);
        let is_next_due = self.has_place() && !self.rest.is_empty();
        let due = is_next_due.then_some(self.due);
        [expiry, due].into_iter().flatten().min()
    }

    /// Returns whether an attempt is in progress.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// Iterates over the sockets of the attempts in progress, the oldest first.
    pub fn sockets_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.attempts.iter_mut().map(|attempt| &mut attempt.socket)
    }

    /// Returns the socket of the newest attempt.
    #[must_use]
    pub fn newest(&self) -> Option<&S> {
        self.attempts.last().map(|attempt| &attempt.socket)
    }

    fn has_place(&self) -> bool {
        self.attempts.len() < MAX_ATTEMPTS
    }
}

/// Lets the families alternate and keeps the order within each (RFC 8305 section 4, with a "First
/// Address Family Count" of 1): if one family has no way to the target, every second address has.
fn interleave(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let first = addresses.first().map(SocketAddr::is_ipv4);
    let of_first = |address: &&SocketAddr| Some(address.is_ipv4()) == first;
    let mut preferred = addresses.iter().filter(of_first);
    let mut others = addresses.iter().filter(|address| !of_first(address));
    let mut mixed = VecDeque::with_capacity(addresses.len());
    while mixed.len() < addresses.len() {
        mixed.extend(preferred.next());
        mixed.extend(others.next());
    }
    mixed
}

#[cfg(test)]
mod tests;
