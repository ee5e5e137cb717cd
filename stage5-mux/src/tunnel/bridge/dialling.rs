//! The server's end of the bridge: each stream of the peer gets a connection to the upstream.

use std::time::Instant;

use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::resolve::{Answer, Resolution};

use crate::tunnel::bridge::{Bridge, Front, WAITING};
use crate::tunnel::dial::Dial;
use crate::tunnel::key::StreamKey;
use crate::tunnel::local::Phase;
use crate::tunnel::message::Message;
use crate::tunnel::session::Session;
use crate::tunnel::wire::Wire;

impl Bridge {
    /// Looks up the upstream for a new stream of the peer.
    pub(super) fn find_upstream<W: Wire>(
        &mut self,
        key: StreamKey,
        session: &mut Session<W>,
        now: Instant,
    ) {
        let Front::Upstream(route) = &self.front else {
            // Only the client opens streams.
            return session.reset(key);
        };
        let Some(row) = self.locals.insert(key, WAITING) else {
            return session.reset(key);
        };
        let token = self.locals.mint(row);
        let mailbox = self.mailbox.clone();
        let deliver = move |answer| mailbox.send(Message::Resolved(token, answer));
        match route.resolver.resolve(&route.target, now, deliver) {
            Ok(Resolution::Known(addresses)) => self.dial(row, Ok(addresses), Some(session), now),
            Ok(Resolution::Asked(ticket)) => {
                let _ticket = Some(ticket);
                self.set_phase(row, Phase::Resolving { _ticket });
            }
            Err(error) => self.dial_failed(row, &error, Some(session)),
        }
    }

    /// Takes the addresses of the upstream and begins to connect.
    pub(in crate::tunnel) fn dial<W: Wire>(
        &mut self,
        row: u32,
        answer: Answer,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        match answer {
            Ok(addresses) => {
                let dial = Dial::new(addresses, self.limits.connect_timeout, now);
                self.dial_next(row, dial, session, now);
            }
            Err(error) => self.dial_failed(row, &error, session),
        }
    }

    fn dial_next<W: Wire>(
        &mut self,
        row: u32,
        mut dial: Dial,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let begun = dial.next(self.limits.keepalive, now);
        let begun = begun.and_then(|mut endpoint| {
            self.register(row, &mut endpoint)?;
            Ok(endpoint)
        });
        match begun {
            Ok(endpoint) => {
                self.locals.timers.set(row, Some(dial.until()));
                self.set_phase(row, Phase::Connecting { dial, endpoint });
            }
            Err(error) => self.dial_failed(row, &error, session),
        }
    }

    fn dial_failed<W: Wire>(
        &mut self,
        row: u32,
        error: &ConnectError,
        session: Option<&mut Session<W>>,
    ) {
        tracing::warn!(%error, "the upstream is not reached: the stream is reset");
        self.give_up(row, session);
    }

    /// Ends an attempt that has failed or taken too long, and tries the next address.
    pub(in crate::tunnel) fn try_further<W: Wire>(
        &mut self,
        row: u32,
        error: ConnectError,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        match std::mem::replace(&mut local.phase, WAITING) {
            Phase::Connecting { mut dial, .. } => {
                dial.failed(error);
                self.dial_next(row, dial, session, now);
            }
            phase @ (Phase::Resolving { .. } | Phase::Open(_)) => local.phase = phase,
        }
    }

    /// Asks the kernel how a connect(2) has ended, if an event hints that it has.
    pub(super) fn conclude<W: Wire>(
        &mut self,
        row: u32,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let Phase::Connecting { endpoint, .. } = &local.phase else {
            return;
        };
        if !endpoint.is_writable() {
            return;
        }
        if let Err(error) = endpoint.take_error() {
            return self.try_further(row, error.into(), session, now);
        }
        if let Phase::Connecting { endpoint, .. } = std::mem::replace(&mut local.phase, WAITING) {
            local.phase = Phase::Open(endpoint);
        }
        if let (Some(session), Some(key)) = (session, local.key) {
            session.accept(key);
        }
        self.locals.timers.set(row, None);
    }
}
