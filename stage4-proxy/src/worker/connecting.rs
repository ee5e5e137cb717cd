//! The way to the upstream: from a target to a socket that can be relayed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::{Host, Target, finish_connect, start_connect};

use crate::connect_error::ConnectError;
use crate::endpoint::Endpoint;
use crate::session::{Attempt, Phase, Reason};
use crate::token::{Side, Token};
use crate::worker::Worker;

impl Worker {
    /// Reaches for a target: looks its name up first, where it has one.
    pub(super) fn connect(&mut self, row: u32, target: &Arc<Target>, now: Instant) {
        let token = self.table.token(row, Side::Client);
        let (Some(session), Some(token)) = (self.table.row_mut(row), token) else {
            return;
        };
        session.target = Some(Arc::clone(target));
        match target.host {
            Host::Address(address) => {
                self.begin_attempt(row, vec![(address, target.port).into()], now);
            }
            Host::Name(_) => {
                let answer = session.take_answer();
                session.enter(Phase::Resolving(answer), now);
                let (resolver, reply_to) = &self.resolver;
                match resolver.ask(target, token, reply_to) {
                    Ok(()) => self.set_timer(row),
                    Err(error) => self.refuse(row, &error.into(), now),
                }
            }
        }
    }

    /// Takes a resolver's answer for the client that the token means, if it is still there.
    pub(super) fn on_resolved(
        &mut self,
        token: Token,
        addresses: Result<Vec<SocketAddr>, ConnectError>,
        now: Instant,
    ) {
        let session = self.table.get_mut(token);
        if !session.is_some_and(|session| matches!(session.phase, Phase::Resolving(_))) {
            return self.reporter.stale_event();
        }
        match addresses {
            Ok(addresses) => self.begin_attempt(token.row(), addresses, now),
            Err(error) => self.refuse(token.row(), &error.into(), now),
        }
    }

    fn begin_attempt(&mut self, row: u32, addresses: Vec<SocketAddr>, now: Instant) {
        if let Some(session) = self.table.row_mut(row) {
            let answer = session.take_answer();
            let rest = addresses.into_iter();
            session.enter(Phase::Connecting(answer, Attempt { rest, since: now }), now);
            let nothing = ConnectError::Resolve(io::Error::other("the name has no address"));
            self.try_next_address(row, nothing, now);
        }
    }

    /// Begins to connect to the next address; without one, refuses with the last `error`.
    fn try_next_address(&mut self, row: u32, mut error: ConnectError, now: Instant) {
        self.table.vacate(row, Side::Upstream);
        while let Some(session) = self.table.row_mut(row) {
            session.upstream = None;
            let Phase::Connecting(_, attempt) = &mut session.phase else {
                return;
            };
            attempt.since = now;
            let Some(address) = attempt.rest.next() else {
                return self.refuse(row, &error.into(), now);
            };
            match begin_connect(address) {
                Ok(upstream) => {
                    session.upstream = Some(upstream);
                    return self.watch(row, Side::Upstream, now);
                }
                Err(failure) => error = failure.into(),
            }
        }
    }

    /// Mints the token of a socket that was put into a cell of the table, and registers it.
    pub(super) fn watch(&mut self, row: u32, side: Side, now: Instant) {
        let token = stage3_epoll::Token(self.table.mint(row, side).pack());
        let session = self.table.row_mut(row);
        let Some(endpoint) = session.and_then(|session| session.endpoint_mut(side)) else {
            return;
        };
        match self.poll.register(&*endpoint, token, endpoint.interest()) {
            Ok(()) => self.set_timer(row),
            Err(error) => self.close(row, &Reason::Reset(side, error), now),
        }
    }

    /// Asks the kernel how a connect(2) has ended, now that an event hints that it has.
    pub(super) fn conclude_connect(&mut self, row: u32, now: Instant) {
        let Some(session) = self.table.row_mut(row) else {
            return;
        };
        let (Phase::Connecting(_, attempt), Some(upstream)) = (&session.phase, &session.upstream)
        else {
            return;
        };
        if !upstream.writable {
            return;
        }
        match finish_connect(upstream.socket()) {
            Ok(()) => {
                self.reporter.connected(now - attempt.since);
                session.connected(now);
                self.drive(row, now);
            }
            Err(error) => self.try_next_address(row, error.into(), now),
        }
    }

    /// Ends the wait for a resolver or for one address: its time limit has passed.
    pub(super) fn give_up_waiting(&mut self, row: u32, now: Instant) {
        match self.table.row_mut(row).map(|session| &session.phase) {
            Some(Phase::Connecting(..)) => {
                self.try_next_address(row, ConnectError::TimedOut, now);
            }
            Some(Phase::Resolving(_)) => {
                let error = io::Error::from(io::ErrorKind::TimedOut);
                self.refuse(row, &ConnectError::Resolve(error).into(), now);
            }
            Some(Phase::Handshake(..) | Phase::Relay | Phase::Farewell | Phase::Parting(..))
            | None => {}
        }
    }
}

/// Begins a non-blocking connect(2).
///
/// `TCP_NODELAY` is on, as on the client's side: a relay passes on at once what it was given at
/// once, and must not wait for an acknowledgement to do it (`tcp(7)`).
fn begin_connect(address: SocketAddr) -> io::Result<Endpoint> {
    let socket = start_connect(address)?;
    socket.set_tcp_nodelay(true)?;
    Ok(Endpoint::connecting(socket, address))
}
