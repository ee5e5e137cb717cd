//! The server's end of the bridge: each stream of the peer gets a connection to the upstream, or to the target that its
//! request header names.
//!
//! ```text
//!   Request ── a header ──▶ Resolving ── addresses ──▶ Connecting ── the first that answers ──▶ Open
//!      │                        │                          │
//!      └──── not valid ─────────┴────────── failed ────────┴──▶ Parting: the response header says why
//! ```
//!
//! Without headers, a failure resets the stream. Either way the link lives, and no other stream waits.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::Target;
use stage4_proxy::chain::{Request, Response, Status};
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::resolve::{Answer, Resolution};

use crate::tunnel::bridge::relaying::give_credit;
use crate::tunnel::bridge::{Bridge, Front};
use crate::tunnel::key::StreamKey;
use crate::tunnel::local::{Delivery, Local, Phase, Resolving};
use crate::tunnel::message::Message;
use crate::tunnel::racing::Egress;
use crate::tunnel::session::Session;
use crate::tunnel::wire::Wire;

impl Bridge {
    pub(super) fn egress(&self) -> Option<&Egress> {
        match &self.front {
            Front::Upstream(egress) => Some(egress),
            Front::Clients(_) => None,
        }
    }

    /// Returns whether the streams have no headers, because the operator has named their target.
    fn is_raw(&self) -> bool {
        let egress = self.egress();
        egress.is_some_and(|egress| egress.upstream.is_some())
    }

    /// Begins the local side of a new stream of the peer.
    pub(super) fn open_local<W: Wire>(
        &mut self,
        key: StreamKey,
        session: &mut Session<W>,
        now: Instant,
    ) {
        let Front::Upstream(egress) = &self.front else {
            // Only the client opens streams.
            return session.reset(key);
        };
        let upstream = egress.upstream.clone();
        let Some(row) = self.locals.insert(Local::new(Phase::Request, None)) else {
            tracing::warn!("a stream is refused: there are as many connections as allowed");
            return session.reset(key);
        };
        self.locals.attach(row, key);
        match upstream {
            Some(target) => self.reach(row, &target, Some(session), now),
            None => {
                let until = now + self.limits.handshake_timeout;
                self.locals.timers.set(row, Some(until));
            }
        }
    }

    /// Reads the request header of a stream, as far as it has come.
    pub(super) fn read_request<W: Wire>(
        &mut self,
        row: u32,
        session: &mut Session<W>,
        now: Instant,
    ) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        match Request::parse(local.held.pending()) {
            // At most as long as the longest header, so that it needs no bound of its own.
            Request::Incomplete => {}
            Request::Malformed(why) => {
                self.refuse_stream(row, &malformed(why), Some(session), now);
            }
            Request::Connect { next, length } => {
                local.held.consume(length);
                let (key, credit) = (local.key, local.credit(length));
                if let Some(key) = key {
                    give_credit(session, key, credit, now);
                }
                self.reach(row, &Arc::new(next), Some(session), now);
            }
        }
    }

    /// The peer has ended a stream within its request header.
    pub(super) fn incomplete_request<W: Wire>(
        &mut self,
        row: u32,
        session: &mut Session<W>,
        now: Instant,
    ) {
        self.owe(row, Delivery::FinOwed);
        let refusal = malformed("the request header is not complete");
        self.refuse_stream(row, &refusal, Some(session), now);
    }

    /// Looks a target up.
    fn reach<W: Wire>(
        &mut self,
        row: u32,
        target: &Arc<Target>,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let token = self.locals.mint(row);
        let mailbox = self.mailbox.clone();
        let deliver = move |answer| mailbox.send(Message::Resolved(token, answer));
        let Some(egress) = self.egress() else {
            return;
        };
        match egress.resolver.resolve(target, now, deliver) {
            Ok(Resolution::Known(addresses)) => {
                self.race(row, target, &addresses, now);
                self.go_on(row, no_address(), session, now);
            }
            Ok(Resolution::Asked(ticket)) => {
                let (target, _ticket) = (Arc::clone(target), ticket);
                let resolving = Resolving { target, _ticket };
                self.set_phase(row, Phase::Resolving(Box::new(resolving)));
                let until = now + self.limits.connect_timeout;
                self.locals.timers.set(row, Some(until));
            }
            Err(error) => {
                let refusal = self.unreached(target, &error);
                self.refuse_stream(row, &refusal, session, now);
            }
        }
    }

    /// Takes the addresses of a target and begins to connect.
    pub(in crate::tunnel) fn dial<W: Wire>(
        &mut self,
        row: u32,
        answer: Answer,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Some(Phase::Resolving(resolving)) = self.locals.get_mut(row).map(|local| &local.phase)
        else {
            return;
        };
        let target = Arc::clone(&resolving.target);
        match answer {
            Ok(addresses) => {
                self.race(row, &target, &addresses, now);
                self.go_on(row, no_address(), session, now);
            }
            Err(error) => {
                let refusal = self.unreached(&target, &error);
                self.refuse_stream(row, &refusal, session, now);
            }
        }
    }

    /// Logs why a target is not reached, and returns what the peer is told.
    pub(super) fn unreached(&mut self, target: &Target, error: &ConnectError) -> Response {
        let outcome = match self.is_raw() {
            true => "the stream is reset",
            false => "the stream says so and ends",
        };
        tracing::warn!("{target} is not reached: {}: {outcome}", sentence(error));
        self.report.totals.fail(error);
        Response {
            status: error.into(),
            text: error.to_string(),
        }
    }

    /// Says on a stream why it is not connected, and ends it; a stream without headers is reset.
    pub(super) fn refuse_stream<W: Wire>(
        &mut self,
        row: u32,
        refusal: &Response,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        if self.is_raw() {
            return self.give_up(row, session);
        }
        let key = self.locals.get_mut(row).and_then(|local| local.key);
        let (Some(session), Some(key)) = (session, key) else {
            return self.abort(row);
        };
        if refusal.status == Status::Malformed {
            tracing::warn!("a stream is refused: {}", refusal.text);
        }
        if let Some(local) = self.locals.get_mut(row) {
            local.lead.append(&refusal.encode());
            local.phase = Phase::Parting;
            local.held.clear();
            give_credit(session, key, local.credit(0), now);
        }
        let until = now + self.limits.linger_timeout;
        self.locals.timers.set(row, Some(until));
        session.accept(key);
        session.readable(key);
    }

    /// Acts on a request, a lookup or a race whose time is over.
    pub(super) fn expire_dial<W: Wire>(
        &mut self,
        row: u32,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        match self.locals.get_mut(row).map(|local| &local.phase) {
            Some(Phase::Connecting(_)) => self.go_on(row, ConnectError::TimedOut, session, now),
            Some(Phase::Resolving(resolving)) => {
                let (target, error) = (Arc::clone(&resolving.target), ConnectError::TimedOut);
                let refusal = self.unreached(&target, &error);
                self.refuse_stream(row, &refusal, session, now);
            }
            Some(
                Phase::Handshake
                | Phase::Delayed
                | Phase::Request
                | Phase::Open
                | Phase::Forward(_)
                | Phase::Lingering { .. }
                | Phase::Parting,
            )
            | None => {
                let refusal = malformed("the request header was not complete in time");
                self.refuse_stream(row, &refusal, session, now);
            }
        }
    }
}

/// Writes an error with everything that it comes from, for the log.
fn sentence(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", sentence(source)),
        None => error.to_string(),
    }
}

fn malformed(why: &str) -> Response {
    let (status, text) = (Status::Malformed, why.to_owned());
    Response { status, text }
}

/// Returns why a race without addresses has no winner.
fn no_address() -> ConnectError {
    ConnectError::Resolve(io::Error::other("the name has no address"))
}
