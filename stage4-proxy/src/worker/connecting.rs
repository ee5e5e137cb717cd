//! The way to the upstream: from a target to a connected socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::{Target, finish_connect};

use crate::connect_error::ConnectError;
use crate::mailbox::Message;
use crate::resolve::{Answer, Resolution};
use crate::session::{Attempt, Next, Phase};
use crate::token::{Side, Token};
use crate::worker::Worker;

impl Worker {
    /// Begins to reach a target: the egress says which addresses to dial, now or later.
    pub(super) fn connect(&mut self, row: u32, target: &Arc<Target>, now: Instant) -> Next {
        let token = self.table.token(row, Side::Client);
        let (Some(session), Some(token)) = (self.table.row_mut(row), token) else {
            return Next::Wait;
        };
        session.target = Some(Arc::clone(target));
        let mailbox = self.inbox.mailbox().clone();
        let deliver = move |answer| mailbox.send(Message::Resolved(token, answer));
        match self.egress.resolve(target, now, deliver) {
            Ok(Resolution::Known(addresses)) => self.begin_attempt(row, addresses, now),
            Ok(Resolution::Asked(ticket)) => {
                session.enter(Phase::Resolving(Some(ticket)), now);
                Next::Wait
            }
            Err(error) => Next::Refuse(error.into()),
        }
    }

    /// Takes a resolver's answer for the client that the token names; returns `None` if that client
    /// is gone or no longer waits for it.
    pub(super) fn on_resolved(
        &mut self,
        token: Token,
        addresses: Answer,
        now: Instant,
    ) -> Option<Next> {
        let session = self.table.get_mut(token);
        if !session.is_some_and(|session| matches!(session.phase, Phase::Resolving(_))) {
            self.reporter.stale_event();
            return None;
        }
        match addresses {
            Ok(addresses) => Some(self.begin_attempt(token.row(), addresses, now)),
            Err(error) => Some(Next::Refuse(error.into())),
        }
    }

    fn begin_attempt(&mut self, row: u32, addresses: Vec<SocketAddr>, now: Instant) -> Next {
        if let Some(session) = self.table.row_mut(row) {
            let rest = addresses.into_iter();
            session.enter(Phase::Connecting(Attempt { rest, since: now }), now);
        }
        let nothing = ConnectError::Resolve(io::Error::other("the name has no address"));
        self.try_next_address(row, nothing, now)
    }

    /// Begins to connect to the next address; without one, refuses with the last `error`.
    fn try_next_address(&mut self, row: u32, mut error: ConnectError, now: Instant) -> Next {
        // An event of the last address's socket must not be taken for one of the next.
        self.table.vacate(row, Side::Upstream);
        let Some(session) = self.table.row_mut(row) else {
            return Next::Wait;
        };
        session.upstream = None;
        let Phase::Connecting(attempt) = &mut session.phase else {
            return Next::Wait;
        };
        attempt.since = now;
        for address in attempt.rest.by_ref() {
            match self.egress.dial(address, session.target.as_deref()) {
                Ok(upstream) => {
                    session.upstream = Some(upstream);
                    let watched = self.watch(row, Side::Upstream);
                    return watched.map_or_else(Next::Close, |()| Next::Wait);
                }
                Err(failure) => error = failure,
            }
        }
        Next::Refuse(error.into())
    }

    /// Asks the kernel how a connect(2) has ended, now that an event hints that it has.
    pub(super) fn conclude_connect(&mut self, row: u32, now: Instant) -> Next {
        let Some(session) = self.table.row_mut(row) else {
            return Next::Wait;
        };
        let (Phase::Connecting(attempt), Some(upstream)) = (&session.phase, &session.upstream)
        else {
            return Next::Wait;
        };
        if !upstream.writable {
            return Next::Wait;
        }
        match finish_connect(upstream.socket()) {
            Ok(()) => {
                self.reporter.connected(now - attempt.since);
                session.connected(now);
                session.advance(&mut self.scratch, &self.limits, now)
            }
            Err(error) => self.try_next_address(row, error.into(), now),
        }
    }

    /// Ends the wait for a resolver or for one address: its time limit has passed.
    pub(super) fn give_up_waiting(&mut self, row: u32, now: Instant) -> Next {
        match self.table.row_mut(row).map(|session| &session.phase) {
            Some(Phase::Connecting(_)) => self.try_next_address(row, ConnectError::TimedOut, now),
            Some(Phase::Resolving(_)) => {
                let error = io::Error::from(io::ErrorKind::TimedOut);
                Next::Refuse(ConnectError::Resolve(error).into())
            }
            Some(Phase::Handshake | Phase::Relay | Phase::Lingering | Phase::Aborting(_))
            | None => Next::Wait,
        }
    }
}
