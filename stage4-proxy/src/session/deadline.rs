//! The time limits of a session, phase by phase.

use std::time::{Duration, Instant};

use crate::egress::attempts::Attempts;
use crate::half::HalfState;
use crate::limits::Limits;
use crate::session::{Phase, Session, Timeout};

impl Session {
    /// Returns the present phase's deadline, and the limit that it comes from.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<(Instant, Timeout)> {
        match &self.phase {
            Phase::Handshake if self.waits_for_next() => {
                Some((self.active + limits.handshake_timeout, Timeout::NextRequest))
            }
            // Counted from the beginning, because otherwise a byte now and then would buy time.
            Phase::Handshake => Some((self.active + limits.handshake_timeout, Timeout::Handshake)),
            Phase::Delayed(_) => Some((
                self.active + limits.wrong_password_delay,
                Timeout::WrongPassword,
            )),
            Phase::Resolving(_) => Some((self.active + limits.connect_timeout, Timeout::Connect)),
            Phase::Connecting(Attempts::Only { since }) => {
                Some((*since + limits.connect_timeout, Timeout::Connect))
            }
            Phase::Connecting(Attempts::Race(race)) => {
                race.deadline().map(|due| (due, Timeout::Connect))
            }
            // For each response anew. A hop has half of it for each address of the next one, so its own
            // answer mostly comes before this.
            Phase::Chaining(_) => {
                Some((self.active + 2 * limits.connect_timeout, Timeout::Connect))
            }
            // Behind a request nothing is read, so that the client's FIN is known from its event only.
            Phase::Forward(_) if self.client.is_ending() => {
                silence(true, limits).map(|(limit, timeout)| (self.active + limit, timeout))
            }
            Phase::Relay | Phase::Forward(_) => {
                let halves = [&self.up.half, &self.down.half];
                let half_closed = halves.iter().any(|half| half.state() != HalfState::Open);
                silence(half_closed, limits).map(|(limit, timeout)| (self.active + limit, timeout))
            }
            Phase::Lingering | Phase::Aborting(_) => {
                Some((self.active + limits.linger_timeout, Timeout::Linger))
            }
            // A client that only sends datagrams is silent here; the kernel's keepalive finds out whether it is there.
            Phase::Associated => None,
        }
    }
}

/// Returns how long a session may relay nothing, and which limit that is.
fn silence(half_closed: bool, limits: &Limits) -> Option<(Duration, Timeout)> {
    let half_close = half_closed.then_some((limits.half_close_timeout, Timeout::HalfClose));
    let idle = limits.idle_timeout.map(|limit| (limit, Timeout::Idle));
    let both = [half_close, idle].into_iter().flatten();
    both.min_by_key(|&(limit, _)| limit)
}
