//! Whether a connection becomes the link: the sign of life of an old link, and the proof of the secret.

use std::time::Instant;

use crate::endpoint::Endpoint;
use crate::tunnel::link::{Newcomer, PROBE, State, Up};
use crate::tunnel::linker::{Lifetime, Linker, Via};
use crate::tunnel::session::Session;
use crate::tunnel::transport::Carrier;
use crate::tunnel::wire::Wire;

impl<W: Wire + Copy> Linker<W> {
    /// Makes a link of a new connection; if there is one already, the new one waits for a sign of life of the old one.
    pub(super) fn meet(&mut self, endpoint: Endpoint, now: Instant) {
        if self.is_leaving {
            return refuse(&endpoint, "draining");
        }
        let Some(up) = self.link.up() else {
            return self.start(endpoint, now);
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

    /// Refuses a new link, because the old one is alive.
    pub(in crate::tunnel) fn keep(&mut self, newcomer: &Newcomer) {
        refuse(&newcomer.endpoint, "there is a link already");
        if let (Some(up), Some(time)) = (self.link.up(), self.limits.session.keepalive) {
            up.carrier.bound_silence(time);
        }
    }

    /// Starts a link over a connection that is made.
    pub(in crate::tunnel) fn start(&mut self, carrier: impl Carrier + 'static, now: Instant) {
        match self.register(carrier) {
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
    ///
    /// # Errors
    ///
    /// Fails with the reason if the peer has not proved it.
    pub(in crate::tunnel) fn prove(&mut self, now: Instant) -> Result<(), String> {
        let State::Proving(proving) = &mut self.link.state else {
            return Ok(());
        };
        if !proving.advance(now).map_err(|error| error.to_string())? {
            return Ok(());
        }
        let down = State::Down { retry_at: None };
        if let State::Proving(proving) = std::mem::replace(&mut self.link.state, down) {
            let (carrier, rest) = proving.into_link();
            self.carry_streams(carrier, rest, now);
        }
        Ok(())
    }

    /// Carries streams; `carry` has arrived already.
    fn carry_streams(&mut self, carrier: Box<dyn Carrier>, carry: Vec<u8>, now: Instant) {
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
}

/// Refuses a connection that should become a link.
fn refuse(endpoint: &Endpoint, why: &str) {
    tracing::warn!(peer = %endpoint.peer_addr(), "refused: {why}");
    endpoint.reset_on_close();
}
