//! The way to the upstream: from a target to a connected socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::{Target, finish_connect};

use crate::chain::Fault;
use crate::connect_error::ConnectError;
use crate::endpoint::Endpoint;
use crate::mailbox::Message;
use crate::resolve::{Answer, Resolution};
use crate::session::keeping::reuse;
use crate::session::{Next, Phase};
use crate::token::{Side, Token};
use crate::worker::Worker;
use crate::worker::dialler::Dialler;

impl Worker {
    /// Begins to reach a target: the egress says which addresses to dial, now or later.
    pub(super) fn connect(&mut self, row: u32, target: &Arc<Target>, now: Instant) -> Next {
        let token = self.table.token(row, Side::Client);
        let (Some(session), Some(token)) = (self.table.row_mut(row), token) else {
            return Next::Wait;
        };
        if reuse(session, target, self.limits.connect_timeout, now) {
            return self.advance(row, now);
        }
        session.target = Some(Arc::clone(target));
        session.facts.asked(now - session.opened);
        let mailbox = self.inbox.mailbox().clone();
        let deliver = move |answer| mailbox.send(Message::Resolved(token, answer));
        match self.egress.resolve(target, now, deliver) {
            Ok(Resolution::Known(addresses)) => self.begin_attempts(row, &addresses, now),
            Ok(Resolution::Asked(ticket)) => {
                session.facts.looks_up();
                session.enter(Phase::Resolving(Some(Box::new(ticket))), now);
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
            Ok(addresses) => Some(self.begin_attempts(token.row(), &addresses, now)),
            Err(error) => Some(Next::Refuse(error.into())),
        }
    }

    /// Begins to connect to the addresses of the session's target.
    fn begin_attempts(&mut self, row: u32, addresses: &[SocketAddr], now: Instant) -> Next {
        if let Some(session) = self.table.row_mut(row) {
            session.facts.resolved(now - session.opened);
        }
        let limit = self.limits.connect_timeout;
        let dialler = Dialler::new(&mut self.egress, &self.poll, &mut self.table, row);
        let begun = dialler.begin(addresses, limit, now);
        begun.map_or_else(|error| Next::Refuse(error.into()), |()| Next::Wait)
    }

    /// Goes on to the next address, because an attempt has failed, has had its time or is waited for
    /// no longer; without an address and an attempt left, refuses with `error`.
    fn try_next_address(&mut self, row: u32, error: ConnectError, now: Instant) -> Next {
        if let Some(session) = self.table.row_mut(row)
            && let Some(waited) = session.shown_upstream().map(Endpoint::peer_addr)
        {
            session.facts.tried(waited);
        }
        let dialler = Dialler::new(&mut self.egress, &self.poll, &mut self.table, row);
        let begun = dialler.go_on(error, now);
        begun.map_or_else(|error| Next::Refuse(error.into()), |()| Next::Wait)
    }

    /// Asks the kernel how a connect(2) has ended, now that an event hints that it has.
    pub(super) fn conclude_connect(&mut self, row: u32, now: Instant) -> Next {
        let session = self.table.row_mut(row);
        let Some(attempt) = session.and_then(|session| session.take_concluded(now)) else {
            return Next::Wait;
        };
        match finish_connect(attempt.endpoint.socket()) {
            Ok(()) => {
                self.reporter.connected(now - attempt.since);
                let dialler = Dialler::new(&mut self.egress, &self.poll, &mut self.table, row);
                dialler.settle(attempt, now);
                self.prober.connected(now);
                self.advance(row, now)
            }
            Err(error) => {
                if let Some(session) = self.table.row_mut(row) {
                    session.facts.tried(attempt.endpoint.peer_addr());
                }
                self.try_next_address(row, error.into(), now)
            }
        }
    }

    /// Ends the wait for a resolver, an attempt or a hop, because its time is over.
    ///
    /// After an attempt the next address gets its turn. A name that is not resolved, or a hop of a chain that stays
    /// silent (`TooSlow`), leaves no address to try, so the client is refused.
    pub(super) fn give_up_waiting(&mut self, row: u32, now: Instant) -> Next {
        match self.table.row_mut(row).map(|session| &session.phase) {
            Some(Phase::Connecting(_)) => self.try_next_address(row, ConnectError::TimedOut, now),
            Some(Phase::Resolving(_)) => {
                let error = io::Error::from(io::ErrorKind::TimedOut);
                Next::Refuse(ConnectError::Resolve(error).into())
            }
            Some(Phase::Chaining(passage)) => {
                Next::Refuse(ConnectError::Hop(passage.failed(Fault::TooSlow)).into())
            }
            Some(
                Phase::Handshake
                | Phase::Delayed(_)
                | Phase::Relay
                | Phase::Associated
                | Phase::Forward(_)
                | Phase::Lingering
                | Phase::Aborting(_),
            )
            | None => Next::Wait,
        }
    }
}
