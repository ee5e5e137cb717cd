//! Link to transport: the link is made, read, filled and lost.

use std::fmt::Display;
use std::io::{self, IoSlice};
use std::time::Instant;

use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::resolve::{Answer, Resolution};

use crate::endpoint::Endpoint;
use crate::listener::Accepted;
use crate::tokens;
use crate::tunnel::dial::Dial;
use crate::tunnel::event::LinkError;
use crate::tunnel::hops::Device;
use crate::tunnel::link::{State, Up};
use crate::tunnel::locals::Locals;
use crate::tunnel::message::Message;
use crate::tunnel::reception::may_come;
use crate::tunnel::secret;
use crate::tunnel::session::{Session, State as SessionState};
use crate::tunnel::transport::Carrier;
use crate::tunnel::wire::Wire;
use crate::tunnel::worker::{Lifetime, Via, Worker};

/// Reads from the link in one turn of the loop.
const READS_PER_TURN: usize = 8;
/// Writes to the link in one turn of the loop.
const WRITES_PER_TURN: usize = 16;

/// Why a link is of no use if the other end has a secret.
const DEMANDED: &str =
    "permission denied: the peer wants to see that this end knows a secret: give it --secret-file";

/// Pieces of one writev(2); the kernel takes 1024 (`IOV_MAX`).
const MAX_SLICES: usize = 256;

impl<W: Wire + Copy> Worker<W> {
    /// Returns whether the link has work that no event will announce.
    pub(super) fn has_link_work(&mut self) -> bool {
        let Some(up) = self.link.up() else {
            return false;
        };
        let is_stalled = up.session.stalled_by().is_some();
        let has_input = up.carrier.is_readable() || !up.carry.is_empty();
        let has_output = up.carrier.is_writable() && up.session.wants_transmit();
        has_input && !is_stalled || has_output
    }

    /// Accepts the link, if there is none.
    pub(super) fn accept_link(&mut self, now: Instant) {
        let Via::Listen(listener) = &mut self.via else {
            return;
        };
        match listener.accept() {
            Accepted::Client(socket, peer) => {
                let endpoint = Endpoint::new(socket, peer);
                if may_come(&self.link_peers, peer) {
                    self.meet(endpoint, now);
                } else {
                    tracing::warn!(%peer, "refused: --clients does not admit it");
                    endpoint.reset_on_close();
                }
            }
            Accepted::Gone | Accepted::Empty => {}
            Accepted::Starved(error) => {
                tracing::warn!(%error, "cannot accept a link");
                listener.pause_starved(now);
            }
        }
    }

    /// Tries to make the link, or ends an attempt, or lets the session act on its deadline.
    pub(super) fn expire_link(&mut self, now: Instant) {
        if self.link.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match &mut self.link.state {
            State::Down { .. } if self.ends_at.is_some() => {
                self.link.state = State::Down { retry_at: None };
            }
            State::Down { .. } => self.find_peer(now),
            State::Resolving { .. } => {}
            State::Connecting { dial, .. } => {
                dial.failed(ConnectError::TimedOut);
                self.next_address(now);
            }
            State::Proving(_) => self.prove_link(now),
            State::Up(up) => match up.session.handle_timeout(now) {
                Ok(()) => self.expire_up(now),
                Err(error) => self.lose_link(&error, now),
            },
        }
    }

    fn find_peer(&mut self, now: Instant) {
        let route = match &mut self.via {
            Via::Connect(route, _) => route,
            Via::Open(opener) => {
                let opened = opener.open();
                return self.take_opened(opened, now);
            }
            Via::Listen(_) => return,
        };
        let token = self.link.mint();
        let mailbox = self.mailbox.clone();
        let deliver = move |answer| mailbox.send(Message::Resolved(token, answer));
        match route.resolver.resolve(&route.target, now, deliver) {
            Ok(Resolution::Known(addresses)) => self.dial_link(Ok(addresses), now),
            Ok(Resolution::Asked(ticket)) => {
                self.link.state = State::Resolving { _ticket: ticket };
            }
            Err(error) => self.lose_link(&error, now),
        }
    }

    fn take_opened(&mut self, opened: io::Result<Box<dyn Carrier>>, now: Instant) {
        let token = tokens::pack(self.link.mint());
        let registered = opened.and_then(|mut carrier| {
            carrier.register(self.poll.registry(), token)?;
            Ok(carrier)
        });
        match registered {
            Ok(carrier) => self.begin(carrier, now),
            Err(error) => self.lose_link(&error, now),
        }
    }

    /// Takes the addresses of the peer and begins to connect.
    pub(super) fn dial_link(&mut self, answer: Answer, now: Instant) {
        match answer {
            Ok(addresses) => {
                let protocol = match &self.via {
                    Via::Connect(_, protocol) => *protocol,
                    Via::Open(_) | Via::Listen(_) => return,
                };
                let dial = Dial::new(addresses, self.limits.connect_timeout, now);
                let mut dial = dial.over(protocol);
                let begun = dial.next(self.limits.keepalive, now);
                self.begin_link(dial, begun, now);
            }
            Err(error) => self.lose_link(&error, now),
        }
    }

    fn next_address(&mut self, now: Instant) {
        let state = std::mem::replace(&mut self.link.state, State::Down { retry_at: None });
        if let State::Connecting { mut dial, endpoint } = state {
            drop(endpoint);
            let begun = dial.next(self.limits.keepalive, now);
            self.begin_link(dial, begun, now);
        }
    }

    fn begin_link(&mut self, dial: Dial, begun: Result<Endpoint, ConnectError>, now: Instant) {
        let registered = begun.and_then(|endpoint| Ok(self.register_link(endpoint)?));
        match registered {
            Ok(endpoint) => self.link.state = State::Connecting { dial, endpoint },
            Err(error) => self.lose_link(&error, now),
        }
    }

    pub(super) fn register_link<C: Carrier>(&mut self, mut carrier: C) -> io::Result<C> {
        let token = tokens::pack(self.link.mint());
        carrier.register(self.poll.registry(), token)?;
        Ok(carrier)
    }

    /// Asks the kernel whether a connect(2) has ended, after an event of the link.
    pub(super) fn conclude_link(&mut self, now: Instant) {
        let State::Connecting { dial, endpoint } = &mut self.link.state else {
            return;
        };
        if !endpoint.is_writable() {
            return;
        }
        if let Err(error) = endpoint.take_error() {
            dial.failed(error.into());
            return self.next_address(now);
        }
        let state = std::mem::replace(&mut self.link.state, State::Down { retry_at: None });
        if let State::Connecting { endpoint, .. } = state {
            self.begin(Box::new(endpoint), now);
        }
    }

    /// Carries streams; `carry` has arrived already.
    pub(super) fn carry_streams(
        &mut self,
        carrier: Box<dyn Carrier>,
        carry: Vec<u8>,
        now: Instant,
    ) {
        tracing::info!(peer = %carrier.peer(), wire = W::NAME, "the link is up");
        self.link.history.made(now);
        if let Lifetime::OneLink {
            waiting: Some(waiting),
            ..
        } = &self.lifetime
        {
            // It fails if the thread has given up waiting.
            let _ = waiting.send(());
        }
        let session = Session::new(self.wire, self.limits.session.clone(), now);
        self.link.state = State::Up(Box::new(Up {
            carrier,
            session,
            carry,
            unsent_bound: 0,
            was_heard: false,
            stall: None,
        }));
    }

    /// Reads the link and acts on what has arrived, within bounds.
    pub(super) fn receive(&mut self, now: Instant) {
        self.prove_link(now);
        self.read_link(now);
        if let Some(up) = self.link.up() {
            up.note_stall(now);
        }
    }

    fn read_link(&mut self, now: Instant) {
        for _ in 0..READS_PER_TURN {
            let Some(up) = self.link.up() else {
                return;
            };
            if up.session.stalled_by().is_some() {
                return;
            }
            up.stall = None;
            if !up.carry.is_empty() {
                let carry = std::mem::take(&mut up.carry);
                if let Err(error) = self.take_input(&carry, now) {
                    return self.lose_link(&error, now);
                }
                continue;
            }
            match up.carrier.read(&mut self.scratch) {
                Ok(None) => return,
                Ok(Some(0)) => return self.end_link("the peer has closed it", now),
                Ok(Some(count)) => {
                    if !std::mem::replace(&mut up.was_heard, true)
                        && secret::is_hello(&self.scratch[..count])
                    {
                        return self.lose_link(&DEMANDED, now);
                    }
                    if let Some(newcomer) = self.link.was_of_use() {
                        self.keep_link(&newcomer);
                    }
                    if Device::is_logged() {
                        self.bridge.locals.device().log_received(count);
                    }
                    let scratch = std::mem::take(&mut self.scratch);
                    let result = self.take_input(&scratch[..count], now);
                    self.scratch = scratch;
                    if let Err(error) = result {
                        return self.lose_link(&error, now);
                    }
                }
                Err(error) => return self.lose_link(&error, now),
            }
        }
    }

    fn take_input(&mut self, bytes: &[u8], now: Instant) -> Result<(), LinkError> {
        let mut rest = bytes;
        while let Some(up) = self.link.up() {
            match up.session.handle_input(&mut rest, now)? {
                Some(event) => self.bridge.on_event(event, &mut up.session, now),
                None => {
                    up.carry = rest.to_vec();
                    break;
                }
            }
        }
        Ok(())
    }

    /// Fills the link from the local sides, within bounds.
    pub(super) fn transmit(&mut self, now: Instant) {
        for _ in 0..WRITES_PER_TURN {
            let Some(up) = self.link.up() else {
                return;
            };
            if !up.carrier.is_writable() || !up.session.wants_transmit() {
                break;
            }
            let written = write_once(up, &mut self.bridge.locals, now);
            self.bridge.settle_changed(&mut up.session, now);
            if let Err(error) = written {
                return self.lose_link(&error, now);
            }
        }
        // A drain that waits for the last frame looks here, too.
        if let Some(up) = self.link.up()
            && up.session.is_over()
            && self.ends_at.is_none()
        {
            self.end_link("the peer leaves", now);
        }
    }

    /// Returns whether a lost link is made anew.
    fn makes_links(&self) -> bool {
        matches!(self.lifetime, Lifetime::ManyLinks) && self.ends_at.is_none()
    }

    /// Acts on the orderly end of the link.
    fn end_link(&mut self, reason: &str, now: Instant) {
        self.close_link(&reason, now);
        self.end_with_link(now);
    }

    /// Gives the link up because it is broken, or was never made.
    pub(super) fn lose_link(&mut self, reason: &dyn Display, now: Instant) {
        let is_draining = self.ends_at.is_some();
        self.close_link(reason, now);
        if let Lifetime::OneLink { fault, .. } = &mut self.lifetime
            && !is_draining
        {
            fault.get_or_insert_with(|| format!("the link is lost: {reason}"));
        }
        self.end_with_link(now);
    }

    /// Ends the tunnel if there is no other link; local sides still get the bytes that have arrived for them.
    fn end_with_link(&mut self, now: Instant) {
        match self.lifetime {
            Lifetime::OneLink { .. } if self.ends_at.is_none() => self.drain(now),
            Lifetime::OneLink { .. } | Lifetime::ManyLinks => {}
        }
    }

    /// Closes the link, tells every stream, and plans the next attempt.
    fn close_link(&mut self, reason: &dyn Display, now: Instant) {
        let pause = self.link.next_pause();
        let retry_at = match self.via {
            Via::Connect(..) | Via::Open(_) if self.makes_links() => Some(now + pause),
            Via::Connect(..) | Via::Open(_) | Via::Listen(_) => None,
        };
        let state = std::mem::replace(&mut self.link.state, State::Down { retry_at });
        let was_up = matches!(state, State::Up(_));
        self.link.history.lost(was_up, reason.to_string(), now);
        self.link.mint();
        tracing::warn!(%reason, retry_in = ?retry_at.map(|_| pause), "the link is down");
        if let State::Up(mut up) = state {
            if up.session.state() == SessionState::Failed {
                // The peer is told why, as far as the link takes it at once.
                let _ = write_once(&mut up, &mut self.bridge.locals, now);
            }
            let fates = up.session.handle_lost_link();
            self.bridge.end_streams(&fates, now);
        }
        if let Some(newcomer) = self.link.newcomer.take() {
            self.start_link(newcomer.endpoint, now);
        }
    }
}

/// Plans one write and makes it.
fn write_once<W: Wire>(up: &mut Up<W>, locals: &mut Locals, now: Instant) -> io::Result<()> {
    let bound = up.session.unsent_bound();
    if bound != up.unsent_bound {
        up.carrier.bound_unsent(bound);
        up.unsent_bound = bound;
    }
    if !up.session.poll_transmit(locals) {
        return Ok(());
    }
    let slices = up.session.slices().take(MAX_SLICES).map(IoSlice::new);
    let slices: Vec<_> = slices.collect();
    let written = up.carrier.write(&slices)?;
    if written > 0 && Device::is_logged() {
        locals.device().log_written(written);
    }
    up.session.handle_written(written, now);
    Ok(())
}
