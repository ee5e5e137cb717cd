//! Whether a connection becomes the link: the sign of life of an old link, and the proof of the secret.

use std::time::Instant;

use crate::endpoint::Endpoint;
use crate::tunnel::link::{Newcomer, PROBE, State};
use crate::tunnel::transport::Carrier;
use crate::tunnel::wire::Wire;
use crate::tunnel::worker::{Via, Worker};

impl<W: Wire + Copy> Worker<W> {
    /// Makes a link of a new connection; if there is one already, the new one waits for a sign of life of the old one.
    pub(super) fn meet(&mut self, endpoint: Endpoint, now: Instant) {
        if self.ends_at.is_some() {
            return refuse(&endpoint, "draining");
        }
        let Some(up) = self.link.up() else {
            return self.start_link(endpoint, now);
        };
        tracing::info!(peer = %endpoint.peer_addr(), "another link waits for a sign of life of this one");
        up.session.ping(now);
        up.carrier.bound_silence(PROBE * 2 / 3);
        let mut until = now + PROBE;
        if let Some(older) = self.link.newcomer.take() {
            until = older.until;
            refuse(&older.endpoint, "a newer one waits");
        }
        self.link.newcomer = Some(Newcomer { endpoint, until });
    }

    /// Ends a stream that holds up all others, and the doubt whether the old link or a new one is alive.
    pub(super) fn expire_up(&mut self, now: Instant) {
        if let Some(key) = self.link.take_stall(now)
            && let Some(up) = self.link.up()
        {
            self.bridge.end_stalled(key, &mut up.session);
        }
        let is_late = |newcomer: &mut Newcomer| now >= newcomer.until;
        if let Some(newcomer) = self.link.newcomer.take_if(is_late) {
            if W::HAS_PINGS {
                self.link.newcomer = Some(newcomer);
                let reason = "timed out: it has given no sign of life, and another link waits";
                self.lose_link(&reason, now);
            } else {
                // The kernel has found its peer, or has not given up yet.
                self.keep_link(&newcomer);
            }
        }
    }

    /// Refuses a new link, because the old one is alive.
    pub(super) fn keep_link(&mut self, newcomer: &Newcomer) {
        refuse(&newcomer.endpoint, "there is a link already");
        if let (Some(up), Some(time)) = (self.link.up(), self.limits.session.keepalive) {
            up.carrier.bound_silence(time);
        }
    }

    /// Starts a link over a connection that is made.
    pub(super) fn start_link(&mut self, carrier: impl Carrier + 'static, now: Instant) {
        match self.register_link(carrier) {
            Ok(carrier) => self.begin(Box::new(carrier), now),
            Err(error) => tracing::warn!(%error, "cannot watch the link"),
        }
    }

    /// Begins the proof of the secret; without one, the link carries streams at once.
    pub(super) fn begin(&mut self, mut carrier: Box<dyn Carrier>, now: Instant) {
        if let Some(time) = self.limits.session.keepalive {
            carrier.bound_silence(time);
        }
        let Some(prover) = &self.link.prover else {
            return self.carry_streams(carrier, Vec::new(), now);
        };
        match prover.begin(carrier, now + self.limits.connect_timeout) {
            Ok(proving) => self.link.state = State::Proving(proving),
            Err(error) => {
                tracing::error!(%error, "cannot prove that this end knows the secret");
                if let Via::Connect(..) | Via::Open(_) = self.via {
                    let retry_at = Some(now + self.link.next_pause());
                    self.link.state = State::Down { retry_at };
                }
            }
        }
    }

    /// Lets the proof of the secret go on, and carries streams once it is complete.
    pub(super) fn prove_link(&mut self, now: Instant) {
        let State::Proving(proving) = &mut self.link.state else {
            return;
        };
        match proving.advance(now) {
            Ok(false) => {}
            Ok(true) => {
                let down = State::Down { retry_at: None };
                if let State::Proving(proving) = std::mem::replace(&mut self.link.state, down) {
                    let (carrier, rest) = proving.into_link();
                    self.carry_streams(carrier, rest, now);
                }
            }
            Err(error) => self.lose_link(&error, now),
        }
    }
}

/// Refuses a connection that should become a link.
fn refuse(endpoint: &Endpoint, why: &str) {
    tracing::warn!(peer = %endpoint.peer_addr(), "refused: {why}");
    endpoint.reset_on_close();
}
