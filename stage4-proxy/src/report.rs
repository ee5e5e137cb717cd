//! What the proxy says of its sessions: log lines, counters, the inspector's snapshot.

use std::os::fd::AsRawFd;
use std::time::Instant;

use crate::connect::FailureReason;
use crate::endpoint::Endpoint;
use crate::inspect::{EndpointView, SessionView, Snapshot, Totals};
use crate::route_table::RouteTable;
use crate::session::{Phase, Reason, Session, Timeout};

/// Counts why a session has ended.
pub(crate) fn count(totals: &mut Totals, reason: &Reason) {
    match reason {
        Reason::Finished | Reason::Reset(..) | Reason::Gone => {}
        Reason::Unreached(error) => {
            let failures = &mut totals.failures;
            *match error.reason() {
                FailureReason::Resolve => &mut failures.resolve,
                FailureReason::Refused => &mut failures.refused,
                FailureReason::TimedOut => &mut failures.timed_out,
                FailureReason::Unreachable => &mut failures.unreachable,
                FailureReason::Other => &mut failures.other,
            } += 1;
        }
        Reason::Refused(_) => totals.refusals += 1,
        Reason::TimedOut(timeout) => match timeout {
            Timeout::Handshake => totals.timeouts.handshake += 1,
            Timeout::Connect => totals.failures.timed_out += 1,
            Timeout::Idle => totals.timeouts.idle += 1,
            Timeout::HalfClose => totals.timeouts.half_close += 1,
        },
        Reason::Stopped => totals.timeouts.drain += 1,
    }
}

/// Logs why a session has ended: loudly only what an operator can do something about.
pub(crate) fn log(ingress: &str, session: &Session, reason: &Reason) {
    match reason {
        Reason::Finished | Reason::Gone | Reason::Reset(..) => {
            tracing::debug!(session = describe(ingress, session), "{}", sentence(reason));
        }
        Reason::Unreached(_) | Reason::Refused(_) | Reason::TimedOut(_) | Reason::Stopped => {
            tracing::warn!(session = describe(ingress, session), "{}", sentence(reason));
        }
    }
}

/// Says an error with all its sources in one line.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Describes a session, such as `fixed[127.0.0.1:50312 -> localhost:3000]`.
pub(crate) fn describe(ingress: &str, session: &Session) -> String {
    let client = session.client.peer();
    match &session.target {
        Some(target) => format!("{ingress}[{client} -> {target}]"),
        None => format!("{ingress}[{client} -> ?]"),
    }
}

/// Copies out what the inspector shows.
pub(crate) fn snapshot(
    ingress: &str,
    table: &RouteTable<Session>,
    totals: &Totals,
    now: Instant,
) -> Snapshot {
    let sessions = table.iter().map(|(_, session)| view(ingress, session, now));
    let mut snapshot = Snapshot {
        sessions: sessions.collect(),
        totals: totals.clone(),
    };
    snapshot.totals.sessions_open = snapshot.sessions.len() as u64;
    for session in &snapshot.sessions {
        snapshot.totals.bytes_up += session.bytes_up;
        snapshot.totals.bytes_down += session.bytes_down;
    }
    snapshot
}

fn view(ingress: &str, session: &Session, now: Instant) -> SessionView {
    let age = now.saturating_duration_since(session.opened).as_millis();
    SessionView {
        client: endpoint_view(&session.client),
        upstream: session.upstream.as_ref().map(endpoint_view),
        phase: match session.phase {
            Phase::Handshake(_) => "handshake",
            Phase::Resolving(_) => "resolving",
            Phase::Connecting(..) => "connecting",
            Phase::Relay => "relay",
            Phase::Farewell => "farewell",
        },
        description: describe(ingress, session),
        bytes_up: session.up.half.moved(),
        bytes_down: session.down.half.moved(),
        age_ms: u64::try_from(age).unwrap_or(u64::MAX),
    }
}

fn endpoint_view(endpoint: &Endpoint) -> EndpointView {
    EndpointView {
        fd: endpoint.socket().as_raw_fd(),
        local: endpoint.local(),
        peer: Some(endpoint.peer()),
    }
}
