//! The border between TCP and streams: clients get streams, streams get upstreams, and bytes are delivered.
//!
//! ```text
//!   client's end:   Reception ── a client ──▶ handshake ──▶ Session::open      bytes of the link ──▶ Local ──▶ socket
//!   server's end:   Event::Opened ─▶ request ─▶ resolve ─▶ connect ─▶ Session::accept    (rest: held)
//! ```
//!
//! | file | part |
//! |---|---|
//! | `bridge/clients.rs` | the client's end: handshakes, and streams for those that are complete |
//! | `bridge/relaying.rs` | both ends: bytes between sockets and streams |
//! | `bridge/refusing.rs` | the client's end: failures, in the words of the client's protocol |
//! | `bridge/dialling.rs` | the server's end: request headers, names, response headers |
//! | `bridge/connecting.rs` | the server's end: the race between the addresses of a target |
//! | `bridge/ending.rs` | how local sides end, with their streams or without |
//! | `bridge/silence.rs` | local sides that are quiet for too long, or hold up all others |
//!
//! The session is lent for each call; without one, the link is down.

mod clients;
mod connecting;
mod dialling;
mod ending;
mod refusing;
mod relaying;
mod silence;

use std::time::Instant;

use mio::Registry;
use stage4_proxy::token::Side;

use crate::mailbox::Mailbox;
use crate::tunnel::event::Event;
use crate::tunnel::limits::TunnelLimits;
use crate::tunnel::local::{Delivery, Phase};
use crate::tunnel::locals::Locals;
use crate::tunnel::message::Message;
use crate::tunnel::racing::Egress;
use crate::tunnel::reception::Reception;
use crate::tunnel::report::Report;
use crate::tunnel::session::Session;
use crate::tunnel::wire::Wire;

/// Where the local sides come from.
#[derive(Debug)]
pub(super) enum Front {
    /// Clients are accepted, and each gets a stream.
    Clients(Reception),
    /// The peer opens streams, and each gets a connection.
    Upstream(Egress),
}

impl Front {
    /// Returns the reception of clients, if there is one.
    pub(super) fn reception_mut(&mut self) -> Option<&mut Reception> {
        match self {
            Self::Clients(reception) => Some(reception),
            Self::Upstream(_) => None,
        }
    }
}

/// All local sides, and where they come from.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) locals: Locals,
    pub(super) front: Front,
    pub(super) report: Report,
    registry: Registry,
    mailbox: Mailbox<Message>,
    limits: TunnelLimits,
}

impl Bridge {
    /// Creates a bridge without local sides.
    pub(super) fn new(
        front: Front,
        limits: TunnelLimits,
        registry: Registry,
        mailbox: Mailbox<Message>,
    ) -> Self {
        let side = match front {
            Front::Clients(_) => Side::Client,
            Front::Upstream(_) => Side::Upstream,
        };
        Self {
            locals: Locals::new(limits.max_connections, side),
            front,
            report: Report::default(),
            registry,
            mailbox,
            limits,
        }
    }

    fn set_phase(&mut self, row: u32, phase: Phase) {
        if let Some(local) = self.locals.get_mut(row) {
            local.phase = phase;
        }
    }

    /// Acts on what the peer has done.
    pub(super) fn on_event<W: Wire>(
        &mut self,
        event: Event<'_>,
        session: &mut Session<W>,
        now: Instant,
    ) {
        match event {
            Event::Opened(key) => self.open_local(key, session, now),
            Event::Payload { stream, bytes } => self.deliver(stream, bytes, session, now),
            Event::Ended(key) => self.end_of_stream(key, session, now),
            Event::Reset(key) => self.reset_of_stream(key, now),
            Event::Leaves => tracing::info!("the peer takes no new streams"),
        }
    }

    /// Lets a local side do what it can after an event, or after something was owed to it.
    pub(super) fn drive<W: Wire>(
        &mut self,
        row: u32,
        mut session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        loop {
            let Some(local) = self.locals.get_mut(row) else {
                return;
            };
            match &local.phase {
                Phase::Handshake => self.converse(row, session.as_deref_mut(), now),
                Phase::Connecting(_) => self.conclude(row, session.as_deref_mut(), now),
                Phase::Lingering { .. } => self.linger(row, now),
                Phase::Delayed
                | Phase::Request
                | Phase::Resolving(_)
                | Phase::Open
                | Phase::Forward(_)
                | Phase::Parting => {}
            }
            self.relay(row, session.as_deref_mut(), now);
            if !self.settle(row, session.as_deref_mut(), now) {
                return;
            }
        }
    }

    /// Does what is due for a local side whose time is over.
    pub(super) fn expire<W: Wire>(
        &mut self,
        row: u32,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        match &local.phase {
            Phase::Handshake | Phase::Delayed => self.end_handshake(row, session, now),
            Phase::Request | Phase::Resolving(_) | Phase::Connecting(_) => {
                self.expire_dial(row, session, now);
            }
            Phase::Open | Phase::Forward(_) if local.is_awaiting() => {
                self.no_answer(row, session, now);
            }
            Phase::Open | Phase::Forward(_) => self.look_for_silence(row, session, now),
            // Its unwanted bytes did not end in one turn.
            &Phase::Lingering { until } if now < until => {
                self.locals.timers.set(row, Some(until));
                self.drive(row, session, now);
            }
            Phase::Lingering { .. } => self.remove(row),
            Phase::Parting => self.give_up(row, session),
        }
    }

    fn owe(&mut self, row: u32, delivery: Delivery) {
        if let Some(local) = self.locals.get_mut(row) {
            local.delivery = delivery;
        }
    }

    fn remove(&mut self, row: u32) {
        let side = self.locals.side();
        if let Some(local) = self.locals.remove(row) {
            self.report.ended(row, local.carried(side));
        }
        if let Some(reception) = self.front.reception_mut() {
            reception.resume();
        }
    }
}
