//! The deadline of a session, phase by phase.

use std::time::Instant;

use crate::deadline::{Awaited, Timeout};
use crate::egress::attempts::Attempts;
use crate::half::HalfState;
use crate::limits::Limits;
use crate::session::{Phase, Session};

impl Session {
    /// Returns the present phase's deadline, and the limit that it comes from.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<(Instant, Timeout)> {
        if let Phase::Connecting(Attempts::Race(race)) = &self.phase {
            return race.deadline().map(|due| (due, Timeout::Connect));
        }
        let (limit, timeout) = awaited(self).limit(limits)?;
        Some((since(self) + limit, timeout))
    }
}

/// Returns what a session waits for.
fn awaited(session: &Session) -> Awaited {
    match &session.phase {
        Phase::Handshake if session.waits_for_next() => Awaited::NextRequest,
        Phase::Handshake => Awaited::Handshake,
        Phase::Delayed(_) => Awaited::Delay,
        Phase::Resolving(_) | Phase::Connecting(_) => Awaited::Connect,
        Phase::Chaining(_) => Awaited::Hop,
        // Behind a request nothing is read, so that the client's FIN is known from its event only.
        Phase::Forward(_) if session.client.is_ending() => {
            Awaited::Bytes([HalfState::Draining, session.down.half.state()])
        }
        Phase::Relay | Phase::Forward(_) => {
            Awaited::Bytes([session.up.half.state(), session.down.half.state()])
        }
        Phase::Lingering | Phase::Aborting(_) => Awaited::Departure,
        Phase::Associated => Awaited::Datagrams,
    }
}

/// Returns since when a session waits. In most phases that is their beginning, because otherwise a byte now and then would buy
/// time; only where bytes are what a session lives for, they restart the clock.
fn since(session: &Session) -> Instant {
    match &session.phase {
        Phase::Connecting(Attempts::Only { since }) => *since,
        Phase::Handshake
        | Phase::Delayed(_)
        | Phase::Resolving(_)
        | Phase::Connecting(Attempts::Race(_))
        | Phase::Chaining(_)
        | Phase::Relay
        | Phase::Forward(_)
        | Phase::Lingering
        | Phase::Aborting(_)
        | Phase::Associated => session.active,
    }
}
