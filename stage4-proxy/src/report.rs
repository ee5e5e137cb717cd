//! A worker's report on its sessions: log lines, counters, the inspector's snapshot.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::connect_error::ConnectError;
use crate::endpoint::Endpoint;
use crate::inspect::{EndpointView, Protocol, SessionView, Snapshot, Totals};
use crate::route_table::RouteTable;
use crate::session::{Phase, Reason, Session, Timeout};

/// Warnings that are written in a second; the rest is only counted, because an upstream that is
/// down must not fill the disk, nor slow the loop down with writes to standard error.
const WARNINGS_PER_SECOND: u32 = 10;

/// Counts what happens to the sessions of one worker, and logs how they end.
#[derive(Debug)]
pub(crate) struct Reporter {
    ingress: &'static str,
    totals: Totals,
    quota: Quota,
}

impl Reporter {
    /// Creates a reporter for sessions that come in through `ingress`.
    pub(crate) fn new(ingress: &'static str) -> Self {
        Self {
            ingress,
            totals: Totals::default(),
            quota: Quota::default(),
        }
    }

    /// Counts an event, an answer or a timer for a socket that was closed already.
    pub(crate) fn stale_event(&mut self) {
        self.totals.stale_events += 1;
    }

    /// Counts a pause of accepting, in which clients wait in the backlog.
    pub(crate) fn accept_pause(&mut self) {
        self.totals.accept_pauses += 1;
    }

    /// Counts and logs a client that may not come.
    pub(crate) fn client_denied(&mut self, peer_addr: SocketAddr, now: Instant) {
        self.totals.refusals += 1;
        let ingress = self.ingress;
        self.warn(now, || {
            tracing::warn!(
                "{ingress}[{peer_addr}]: not allowed: --clients does not have this address"
            )
        });
    }

    /// Counts a session.
    pub(crate) fn session_begins(&mut self) {
        self.totals.sessions_total += 1;
    }

    /// Records how long a connect to an upstream took.
    pub(crate) fn connected(&mut self, latency: Duration) {
        self.totals.connect_latency.record(latency);
    }

    /// Counts and logs why a session ends: as a warning if an operator can act upon it.
    pub(crate) fn session_ends(&mut self, session: &Session, reason: &Reason, now: Instant) {
        count(&mut self.totals, reason);
        match reason {
            Reason::Finished | Reason::Gone | Reason::Reset(..) => {
                let session = Description(self.ingress, session);
                tracing::debug!("{session}: {}", Chain(reason));
            }
            Reason::Unreached(_)
            | Reason::Refused(_)
            | Reason::TooLong
            | Reason::TimedOut(_)
            | Reason::Stopped => {
                let session = Description(self.ingress, session);
                self.warn(now, || tracing::warn!("{session}: {}", Chain(reason)));
            }
        }
    }

    /// Adds what a session has moved to the totals.
    pub(crate) fn session_gone(&mut self, session: &Session) {
        self.totals.bytes_up += session.up.half.moved();
        self.totals.bytes_down += session.down.half.moved();
    }

    /// Copies sessions and totals out for the inspector.
    pub(crate) fn snapshot(&self, table: &RouteTable<Session>, now: Instant) -> Snapshot {
        let view = |(_, session)| view(self.ingress, session, now);
        let sessions: Vec<SessionView> = table.iter().map(view).collect();
        let mut totals = self.totals.clone();
        totals.sessions_open = sessions.len() as u64;
        totals.bytes_up += sessions.iter().map(|session| session.bytes_up).sum::<u64>();
        totals.bytes_down += sessions
            .iter()
            .map(|session| session.bytes_down)
            .sum::<u64>();
        Snapshot {
            sessions,
            totals,
            sections: Vec::new(),
        }
    }

    /// Writes a warning, if this second's quota allows it.
    fn warn(&mut self, now: Instant, write: impl FnOnce()) {
        match self.quota.take(now) {
            Permit::Denied => return,
            Permit::Granted { missed: 0 } => {}
            Permit::Granted { missed } => {
                tracing::warn!("{missed} more warnings were not written");
            }
        }
        write();
    }
}

/// Counts why a session has ended.
fn count(totals: &mut Totals, reason: &Reason) {
    match reason {
        Reason::Finished | Reason::Reset(..) | Reason::Gone => {}
        Reason::Unreached(error) => totals.failures.count(error),
        Reason::Refused(_) | Reason::TooLong => totals.refusals += 1,
        Reason::TimedOut(timeout) => count_timeout(totals, *timeout),
        Reason::Stopped => totals.timeouts.drain += 1,
    }
}

fn count_timeout(totals: &mut Totals, timeout: Timeout) {
    let timeouts = &mut totals.timeouts;
    match timeout {
        Timeout::Handshake => timeouts.handshake += 1,
        // The session ends because its upstream was not reached, not because it was silent.
        Timeout::Connect => totals.failures.count(&ConnectError::TimedOut),
        Timeout::Idle => timeouts.idle += 1,
        Timeout::HalfClose => timeouts.half_close += 1,
        Timeout::Linger => timeouts.linger += 1,
    }
}

fn view(ingress: &str, session: &Session, now: Instant) -> SessionView {
    let age = now.saturating_duration_since(session.opened).as_millis();
    SessionView {
        protocol: Protocol::Tcp,
        client: endpoint_view(&session.client),
        upstream: session.upstream.as_ref().map(endpoint_view),
        phase: phase_name(&session.phase),
        description: Description(ingress, session).to_string(),
        bytes_up: session.up.half.moved(),
        bytes_down: session.down.half.moved(),
        age_ms: u64::try_from(age).unwrap_or(u64::MAX),
    }
}

fn endpoint_view(endpoint: &Endpoint) -> EndpointView {
    EndpointView {
        fd: endpoint.socket().as_raw_fd(),
        local: endpoint.local_addr(),
        peer: Some(endpoint.peer_addr()),
    }
}

fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Handshake => "handshake",
        Phase::Resolving(_) => "resolving",
        Phase::Connecting(_) => "connecting",
        Phase::Relay => "relay",
        Phase::Lingering => "lingering",
        Phase::Aborting(_) => "aborting",
    }
}

/// Writes a session as `fixed[127.0.0.1:50312 -> localhost:3000]`.
struct Description<'a>(&'a str, &'a Session);

impl std::fmt::Display for Description<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(ingress, session) = self;
        write!(formatter, "{ingress}[{} -> ", session.client.peer_addr())?;
        match &session.target {
            Some(target) => write!(formatter, "{target}]"),
            None => write!(formatter, "?]"),
        }
    }
}

/// Writes an error and all its sources in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// The warnings that may still be written in this second.
#[derive(Debug, Default)]
struct Quota {
    second: Option<Instant>,
    written: u32,
    missed: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Permit {
    /// Write this one; `missed` earlier ones were not written.
    Granted { missed: u64 },
    /// Count this one only.
    Denied,
}

impl Quota {
    fn take(&mut self, now: Instant) -> Permit {
        let begun = *self.second.get_or_insert(now);
        if now.saturating_duration_since(begun) >= Duration::from_secs(1) {
            self.second = Some(now);
            self.written = 0;
        }
        if self.written == WARNINGS_PER_SECOND {
            self.missed += 1;
            return Permit::Denied;
        }
        self.written += 1;
        let missed = std::mem::take(&mut self.missed);
        Permit::Granted { missed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_beyond_the_quota_are_counted_and_told_later() {
        let start = Instant::now();
        let mut quota = Quota::default();
        for _ in 0..WARNINGS_PER_SECOND {
            assert_eq!(quota.take(start), Permit::Granted { missed: 0 });
        }
        for _ in 0..5 {
            assert_eq!(quota.take(start), Permit::Denied);
        }
        let later = start + Duration::from_secs(1);
        assert_eq!(quota.take(later), Permit::Granted { missed: 5 });
        assert_eq!(quota.take(later), Permit::Granted { missed: 0 });
    }

    #[test]
    fn a_sentence_names_every_cause() {
        let cause = std::io::Error::other("no such host");
        let reason = Reason::Unreached(ConnectError::Resolve(cause));
        let sentence = Chain(&reason).to_string();
        assert_eq!(
            sentence,
            "cannot connect: name resolution failed: no such host"
        );
    }
}
