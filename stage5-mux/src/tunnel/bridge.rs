//! The border between TCP and streams: clients get streams, streams get upstreams, and bytes are delivered.
//!
//! ```text
//!   client's end:   Listener ── a client ──▶ Session::open        bytes of the link ──▶ Local ──▶ socket
//!   server's end:   Event::Opened ─▶ resolve ─▶ connect ─▶ Session::accept       (rest: held)
//! ```
//!
//! The session is lent for each call; without one, the link is down.

mod dialling;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::Registry;
use stage2_client::Target;
use stage4_proxy::resolve::Resolver;
use stage4_proxy::token::Side;

use crate::endpoint::Endpoint;
use crate::listener::{Accepted, Listener};
use crate::mailbox::Mailbox;
use crate::tokens;
use crate::tunnel::event::{Event, Pulled};
use crate::tunnel::hops::Device;
use crate::tunnel::key::StreamKey;
use crate::tunnel::limits::TunnelLimits;
use crate::tunnel::local::{Delivery, Next, Phase};
use crate::tunnel::locals::Locals;
use crate::tunnel::message::Message;
use crate::tunnel::session::Session;
use crate::tunnel::stream::Fate;
use crate::tunnel::wire::Wire;

/// A name, and the threads that look it up.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) target: Arc<Target>,
    pub(super) resolver: Resolver,
}

/// Where the local sides come from.
#[derive(Debug)]
pub(super) enum Front {
    /// Clients are accepted, and each gets a stream; `None` in a drain.
    Clients(Option<Listener>),
    /// The peer opens streams, and each gets a connection to the upstream.
    Upstream(Route),
}

impl Front {
    /// Returns the listener for clients, if there is one.
    pub(super) fn listener_mut(&mut self) -> Option<&mut Listener> {
        match self {
            Self::Clients(listener) => listener.as_mut(),
            Self::Upstream(_) => None,
        }
    }
}

/// All local sides, and where they come from.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) locals: Locals,
    pub(super) front: Front,
    registry: Registry,
    mailbox: Mailbox<Message>,
    limits: TunnelLimits,
}

/// The phase of a local side whose socket is somewhere else for a moment.
const WAITING: Phase = Phase::Resolving { _ticket: None };

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
            registry,
            mailbox,
            limits,
        }
    }

    /// Accepts one client, if there is room for it.
    pub(super) fn accept_client<W: Wire>(
        &mut self,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let is_full = self.locals.is_full();
        let Some(listener) = self.front.listener_mut() else {
            return;
        };
        if is_full {
            return listener.pause_full();
        }
        match listener.accept() {
            Accepted::Client(socket, peer) => {
                self.admit(Endpoint::new(socket, peer), session);
            }
            Accepted::Gone | Accepted::Empty => {}
            Accepted::Starved(error) => {
                tracing::warn!(%error, "cannot accept a client");
                listener.pause_starved(now);
            }
        }
    }

    /// Opens a stream for a new client; without a link, the client is reset at once.
    fn admit<W: Wire>(&mut self, mut endpoint: Endpoint, session: Option<&mut Session<W>>) {
        let peer = endpoint.peer_addr();
        let Some(session) = session else {
            tracing::debug!(%peer, "refused: there is no link");
            return endpoint.reset_on_close();
        };
        let key = match session.open() {
            Ok(key) => key,
            Err(error) => {
                tracing::debug!(%peer, %error, "refused");
                return endpoint.reset_on_close();
            }
        };
        // The table has room: the caller has checked.
        let Some(row) = self.locals.insert(key, WAITING) else {
            return session.reset(key);
        };
        match self.register(row, &mut endpoint) {
            Ok(()) => self.set_phase(row, Phase::Open(endpoint)),
            Err(error) => {
                tracing::warn!(%peer, %error, "cannot watch a client");
                self.give_up(row, Some(session));
            }
        }
    }

    fn register(&mut self, row: u32, endpoint: &mut Endpoint) -> io::Result<()> {
        let token = tokens::pack(self.locals.mint(row));
        endpoint.register(&self.registry, token)
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
            Event::Opened(key) => self.find_upstream(key, session, now),
            Event::Payload { stream, bytes } => self.deliver(stream, bytes, session, now),
            Event::Ended(key) => {
                if let Some(row) = self.locals.row_of(key) {
                    self.owe(row, Delivery::FinOwed);
                    self.drive(row, Some(session), now);
                }
            }
            Event::Reset(key) => {
                if let Some(row) = self.locals.row_of(key) {
                    self.abort(row);
                }
            }
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
        self.conclude(row, session.as_deref_mut(), now);
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let Phase::Open(endpoint) = &local.phase else {
            return;
        };
        let is_readable = endpoint.is_readable();
        // A read would find that, too, but none is made while the window is empty, or without a stream.
        let is_broken = endpoint.is_broken() || local.key.is_none() && endpoint.ending();
        let (key, flushed) = (local.key, local.flush());
        self.log_taken(row, &flushed);
        if let (Some(session), Some(key)) = (session.as_deref_mut(), key) {
            if let Ok(taken @ 1..) = flushed {
                session.consumed(key, u32::try_from(taken).unwrap_or(u32::MAX), now);
            }
            if is_readable {
                session.readable(key);
            }
        }
        match flushed {
            Ok(_) if !is_broken => self.settle(row),
            Ok(_) | Err(_) => self.give_up(row, session),
        }
    }

    /// Gives bytes of the link to a local side.
    fn deliver<W: Wire>(
        &mut self,
        key: StreamKey,
        bytes: &[u8],
        session: &mut Session<W>,
        now: Instant,
    ) {
        let Some(row) = self.locals.row_of(key) else {
            return;
        };
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let delivered = local.deliver(bytes);
        if Device::is_logged() {
            let (device, port) = (self.locals.device(), self.locals.port(row));
            device.log_delivered(port, bytes.len());
            self.log_taken(row, &delivered);
        }
        match delivered {
            Ok(taken) => session.consumed(key, u32::try_from(taken).unwrap_or(u32::MAX), now),
            Err(_) => self.give_up(row, Some(session)),
        }
    }

    /// Logs the last step of bytes that a local side has taken.
    fn log_taken(&self, row: u32, taken: &io::Result<usize>) {
        if let Ok(taken @ 1..) = *taken
            && Device::is_logged()
        {
            let port = self.locals.port(row);
            self.locals.device().log_taken(port, taken);
        }
    }

    /// Resets a stream whose local side takes nothing while all others wait for it.
    pub(super) fn end_stalled<W: Wire>(&mut self, key: StreamKey, session: &mut Session<W>) {
        let Some(row) = self.locals.row_of(key) else {
            return session.reset(key);
        };
        let port = self.locals.port(row);
        tracing::warn!(
            port,
            "timed out: a connection that takes nothing has held up all others, and is reset"
        );
        self.give_up(row, Some(session));
    }

    fn owe(&mut self, row: u32, delivery: Delivery) {
        if let Some(local) = self.locals.get_mut(row) {
            local.delivery = delivery;
        }
    }

    /// Acts on local sides whose end, or error, was read while the link was filled.
    pub(super) fn settle_changed(&mut self) {
        while let Some((row, pulled)) = self.locals.take_changed() {
            match pulled {
                // The session has reset the stream already.
                Pulled::Failed => self.abort(row),
                Pulled::End | Pulled::Bytes(_) | Pulled::Last(_) | Pulled::Blocked => {
                    self.settle(row);
                }
            }
        }
    }

    /// Closes a local side that is complete.
    fn settle(&mut self, row: u32) {
        let next = self.locals.get_mut(row).map(|local| local.next());
        match next {
            Some(Next::Close) => self.remove(row),
            Some(Next::Abort) => self.abort(row),
            Some(Next::Wait) | None => {}
        }
    }

    /// Gives a stream up because its local side is broken, or was never there.
    fn give_up<W: Wire>(&mut self, row: u32, session: Option<&mut Session<W>>) {
        let key = self.locals.get_mut(row).and_then(|local| local.key);
        if let (Some(session), Some(key)) = (session, key) {
            session.reset(key);
        }
        self.abort(row);
    }

    /// Resets a local side, so that its program does not take the end for a regular one.
    fn abort(&mut self, row: u32) {
        let local = self.locals.get_mut(row);
        if let Some(endpoint) = local.and_then(|local| local.endpoint_mut()) {
            endpoint.reset_on_close();
        }
        self.remove(row);
    }

    fn remove(&mut self, row: u32) {
        self.locals.remove(row);
        if let Some(listener) = self.front.listener_mut() {
            listener.resume();
        }
    }

    /// Tells every local side what the loss of the link means for it.
    pub(super) fn end_streams(&mut self, fates: &[(StreamKey, Fate)]) {
        let row_of = |&(key, fate): &(StreamKey, Fate)| Some((self.locals.row_of(key)?, fate));
        let fates: Vec<_> = fates.iter().filter_map(row_of).collect();
        self.locals.detach_all();
        for (row, fate) in fates {
            match fate {
                Fate::Complete => {}
                Fate::Truncated => self.abort(row),
                Fate::Unsent => {
                    self.owe(row, Delivery::AbortOwed);
                    self.settle(row);
                }
            }
        }
    }

    /// Resets all local sides, because the worker ends.
    pub(super) fn abort_all(&mut self) {
        for row in self.locals.detach_all() {
            self.abort(row);
        }
    }
}
