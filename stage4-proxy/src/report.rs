//! A worker's report on its sessions: log lines, counters, the inspector's snapshot.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::connect_error::ConnectError;
use crate::endpoint::Endpoint;
use crate::inspect::{
    Carried, Collector, EndpointView, Protocol, Question, Section, SessionView, Snapshot, Totals,
};
use crate::quota::Quota;
use crate::route_table::RouteTable;
use crate::session::{Phase, Reason, Session, Timeout};

/// Counts what happens to the sessions of one worker, and logs how they end.
#[derive(Debug)]
pub(crate) struct Reporter {
    ingress: &'static str,
    totals: Totals,
    /// The sessions that end with a warning.
    warnings: Quota,
    /// The clients that may not come.
    denied: Quota,
    /// The pauses of accepting for want of descriptors.
    starved: Quota,
    collector: Collector,
}

impl Reporter {
    /// Creates a reporter for sessions that come in through `ingress`.
    pub(crate) fn new(ingress: &'static str) -> Self {
        Self {
            ingress,
            totals: Totals::default(),
            warnings: Quota::for_events(),
            denied: Quota::for_events(),
            starved: Quota::for_states(),
            collector: Collector::default(),
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
        self.denied.log(now, |suppressed| {
            tracing::warn!(
                suppressed,
                "{ingress}[{peer_addr}]: not allowed: --clients does not have this address"
            );
        });
    }

    /// Counts and logs a pause of accepting for want of descriptors or memory.
    pub(crate) fn accept_starved(&mut self, error: &io::Error, now: Instant) {
        self.accept_pause();
        self.starved.log(now, |suppressed| {
            tracing::warn!(%error, suppressed, "cannot accept, clients wait in the backlog");
        });
    }

    /// Logs how many warnings were not written since the last one, because no further one will say
    /// it.
    pub(crate) fn worker_ends(&mut self) {
        for quota in [&mut self.warnings, &mut self.denied, &mut self.starved] {
            if let Some(suppressed) = quota.take_suppressed() {
                tracing::warn!(suppressed, "some warnings were not written");
            }
        }
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
            | Reason::Unauthorized(_)
            | Reason::TooLong
            | Reason::TimedOut(_)
            | Reason::Stopped => {
                let session = Description(self.ingress, session);
                self.warnings.log(now, |suppressed| {
                    tracing::warn!(suppressed, "{session}: {}", Chain(reason));
                });
            }
        }
    }

    /// Adds what a session has moved to the totals, as it leaves its row.
    pub(crate) fn session_gone(&mut self, row: u32, session: &Session) {
        let carried = carried(session);
        self.totals.bytes_up += carried.up;
        self.totals.bytes_down += carried.down;
        self.collector.session_ended(row, carried);
    }

    /// Takes in a question of the inspector, which [`copy_out`](Self::copy_out) will answer.
    pub(crate) fn ask(&mut self, question: Question) {
        self.collector.ask(question);
    }

    /// Returns whether a question waits, so that the loop must not sleep.
    pub(crate) fn is_asked(&self) -> bool {
        self.collector.has_work()
    }

    /// Copies out some more of the sessions, if the inspector has asked, and the totals with the last.
    /// `names` is the section on names.
    pub(crate) fn copy_out(
        &mut self,
        table: &RouteTable<Session>,
        names: impl FnOnce() -> Section,
        now: Instant,
    ) {
        let view = |_, session: &Session| view(self.ingress, session, now);
        let rest = || Snapshot {
            totals: self.totals.clone(),
            sections: vec![names()],
            ..Snapshot::default()
        };
        self.collector.advance(table, carried, view, rest);
    }
}

/// Counts why a session has ended.
fn count(totals: &mut Totals, reason: &Reason) {
    match reason {
        Reason::Finished | Reason::Reset(..) | Reason::Gone => {}
        Reason::Unreached(error) => totals.failures.count(error),
        Reason::Refused(_) | Reason::TooLong => totals.refusals += 1,
        Reason::Unauthorized(_) => {
            totals.refusals += 1;
            totals.wrong_passwords += 1;
        }
        Reason::TimedOut(timeout) => count_timeout(totals, *timeout),
        Reason::Stopped => totals.timeouts.drain += 1,
    }
}

fn count_timeout(totals: &mut Totals, timeout: Timeout) {
    let timeouts = &mut totals.timeouts;
    match timeout {
        Timeout::Handshake => timeouts.handshake += 1,
        // It ends with another reason: its time is no limit, but the time of its refusal.
        Timeout::WrongPassword => {}
        // The session ends because its upstream was not reached, not because it was silent.
        Timeout::Connect => totals.failures.count(&ConnectError::TimedOut),
        Timeout::Idle => timeouts.idle += 1,
        Timeout::HalfClose => timeouts.half_close += 1,
        Timeout::Linger => timeouts.linger += 1,
    }
}

fn carried(session: &Session) -> Carried {
    Carried {
        up: session.up.half.moved(),
        down: session.down.half.moved(),
    }
}

fn view(ingress: &str, session: &Session, now: Instant) -> SessionView {
    let age = now.saturating_duration_since(session.opened).as_millis();
    let carried = carried(session);
    SessionView {
        protocol: Protocol::Tcp,
        client: endpoint_view(&session.client),
        upstream: session.shown_upstream().map(endpoint_view),
        phase: phase_name(&session.phase),
        description: Description(ingress, session).to_string(),
        bytes_up: carried.up,
        bytes_down: carried.down,
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
        Phase::Delayed(_) => "delayed",
        Phase::Resolving(_) => "resolving",
        Phase::Connecting(_) => "connecting",
        Phase::Chaining(_) => "chaining",
        Phase::Relay => "relay",
        Phase::Forward(_) => "forward",
        Phase::Lingering => "lingering",
        Phase::Aborting(_) => "aborting",
    }
}

/// Writes a session as `fixed[127.0.0.1:50312 -> localhost:3000]`, and its user, if there is one, as
/// `socks5[alice@127.0.0.1:50312 -> localhost:3000]`.
struct Description<'a>(&'a str, &'a Session);

impl std::fmt::Display for Description<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(ingress, session) = self;
        write!(formatter, "{ingress}[")?;
        if let Some(user) = &session.user {
            write!(formatter, "{user}@")?;
        }
        write!(formatter, "{} -> ", session.client.peer_addr())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_every_cause() {
        let cause = io::Error::other("no such host");
        let reason = Reason::Unreached(ConnectError::Resolve(cause));
        let sentence = Chain(&reason).to_string();
        assert_eq!(
            sentence,
            "cannot connect: name resolution failed: no such host"
        );
    }
}
