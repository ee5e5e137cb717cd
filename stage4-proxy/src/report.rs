//! A worker's report on its sessions: log lines, counters, the inspector's snapshot.

mod description;
mod end;
mod view;

use std::io;
use std::time::{Duration, Instant};

use stage2_client::Target;

use crate::address::PeerAddr;
use crate::connect_error::ConnectError;
use crate::deadline::Timeout;
use crate::inspect::{Collector, FlowView, Question, RefusalReason, Section, Snapshot, Totals};
use crate::quota::Quota;
use crate::report::end::End;
use crate::report::view::{carried, view};
use crate::route_table::RouteTable;
use crate::session::{Reason, Session};

/// What other parts of a worker add to a snapshot.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Flows of datagrams.
    pub(crate) flows: Vec<FlowView>,
    /// Sections.
    pub(crate) sections: Vec<Section>,
}

/// Counts what happens to the sessions of one worker, and logs how they end.
#[derive(Debug)]
pub(crate) struct Reporter {
    ingress: &'static str,
    /// The hops that every session goes through.
    hops: Vec<Target>,
    totals: Totals,
    ends: Ends,
    /// The clients that may not come.
    denied: Quota,
    /// The pauses of accepting for want of descriptors.
    starved: Quota,
    collector: Collector,
}

impl Reporter {
    /// Creates a reporter for sessions that come in through `ingress` and go out through `hops`.
    pub(crate) fn new(ingress: &'static str, hops: &[Target]) -> Self {
        Self {
            ingress,
            hops: hops.to_vec(),
            totals: Totals {
                hop_failures: match hops {
                    [] => Vec::new(),
                    // The first one is for this proxy.
                    hops => vec![0; hops.len() + 1],
                },
                ..Totals::default()
            },
            ends: Ends::default(),
            denied: Quota::for_events(),
            starved: Quota::for_states(),
            collector: Collector::default(),
        }
    }

    /// Counts an event, an answer or a timer for a socket that was closed already.
    pub(crate) fn stale_event(&mut self) {
        self.totals.stale_events += 1;
    }

    /// Counts a pause of accepting, in which clients wait in the accept queue.
    pub(crate) fn accept_pause(&mut self) {
        self.totals.accept_pauses += 1;
    }

    /// Counts and logs a client that may not come.
    pub(crate) fn client_denied(&mut self, peer_addr: PeerAddr, now: Instant) {
        count(&mut self.totals, &Reason::NotAdmitted);
        let ingress = self.ingress;
        self.denied.log(now, |suppressed| {
            tracing::warn!(
                suppressed,
                "{ingress}[{peer_addr}]: {}",
                Reason::NotAdmitted
            );
        });
    }

    /// Counts and logs a client whose address has as many sessions as it may have.
    pub(crate) fn client_over_limit(&mut self, peer_addr: PeerAddr, now: Instant) {
        count(&mut self.totals, &Reason::OverLimit);
        let ingress = self.ingress;
        self.denied.log(now, |suppressed| {
            tracing::warn!(suppressed, "{ingress}[{peer_addr}]: {}", Reason::OverLimit);
        });
    }

    /// Counts and logs a pause of accepting for want of descriptors or memory.
    pub(crate) fn accept_starved(&mut self, error: &io::Error, now: Instant) {
        self.accept_pause();
        self.starved.log(now, |suppressed| {
            tracing::warn!(%error, suppressed, "cannot accept, clients wait in the accept queue");
        });
    }

    /// Logs how many warnings were not written since the last one, because no further one will say
    /// it.
    pub(crate) fn worker_ends(&mut self) {
        let others = [&mut self.denied, &mut self.starved];
        for quota in self.ends.quotas().into_iter().chain(others) {
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
        if is_told_already(session, reason) {
            return;
        }
        let end = End {
            ingress: self.ingress,
            hops: &self.hops,
            session,
            reason,
            now,
        };
        match self.ends.quota(reason) {
            Some(quota) => quota.log(now, |suppressed| end.warn(suppressed)),
            None => end.debug(),
        }
    }

    /// Logs a request that was answered, of a client that may send the next one: nothing is known of that yet.
    pub(crate) fn request_answered(&mut self, session: &mut Session, now: Instant) {
        let end = End {
            ingress: self.ingress,
            hops: &self.hops,
            session,
            reason: &Reason::Finished,
            now,
        };
        end.debug();
        if session.upstream.is_none() {
            session.target = None;
        }
        let moved = carried(session);
        session.facts.next_request(now - session.opened, moved);
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
    /// `parts` are the flows, and the sections on names and datagrams.
    pub(crate) fn copy_out(
        &mut self,
        table: &RouteTable<Session>,
        parts: impl FnOnce() -> Parts,
        now: Instant,
    ) {
        let view = |_, session: &Session| view(self.ingress, &self.hops, session, now);
        let rest = || {
            let Parts { flows, sections } = parts();
            Snapshot {
                totals: self.totals.clone(),
                flows,
                sections,
                ..Snapshot::default()
            }
        };
        self.collector.advance(table, carried, view, rest);
    }
}

/// The quotas for the sessions that end with a warning: one for each actor, so that a flood that one of them
/// causes does not keep the lines about the others from being written.
#[derive(Debug)]
struct Ends {
    /// The client is to blame: its handshake, or its slowness.
    refused: Quota,
    /// The target is, or the way to it.
    unreached: Quota,
    /// Both may be: a time limit, or the end of the proxy.
    ended: Quota,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            refused: Quota::for_events(),
            unreached: Quota::for_events(),
            ended: Quota::for_events(),
        }
    }
}

impl Ends {
    /// Returns the quota for the warning of a session that ends for `reason`, or `None` if that is in order.
    fn quota(&mut self, reason: &Reason) -> Option<&mut Quota> {
        match reason {
            Reason::Finished | Reason::Gone | Reason::Reset(..) => None,
            Reason::Refused(_)
            | Reason::OverLimit
            | Reason::NotAdmitted
            | Reason::Unauthorized(_)
            | Reason::TooLong
            | Reason::BadRequest(_)
            | Reason::TimedOut(Timeout::Handshake | Timeout::WrongPassword) => {
                Some(&mut self.refused)
            }
            Reason::Unreached(_) | Reason::BadResponse(_) | Reason::TimedOut(Timeout::Connect) => {
                Some(&mut self.unreached)
            }
            Reason::TimedOut(
                Timeout::NextRequest | Timeout::Idle | Timeout::HalfClose | Timeout::Linger,
            )
            | Reason::Stopped => Some(&mut self.ended),
        }
    }

    fn quotas(&mut self) -> [&mut Quota; 3] {
        [&mut self.refused, &mut self.unreached, &mut self.ended]
    }
}

/// Returns whether the log has the line of this end: the session was refused, or has no request under way.
fn is_told_already(session: &Session, reason: &Reason) -> bool {
    let is_in_order = matches!(reason, Reason::Finished | Reason::Gone);
    let waits = session.facts.has_answered() && session.target.is_none();
    session.facts.refusal().is_some() || is_in_order && waits
}

/// Counts why a session has ended.
fn count(totals: &mut Totals, reason: &Reason) {
    match reason {
        Reason::Finished | Reason::Reset(..) | Reason::Gone => {}
        Reason::Unreached(error) => totals.fail(error),
        Reason::BadResponse(_) => totals.failures.other += 1,
        Reason::Refused(_) | Reason::BadRequest(_) => totals.refuse(RefusalReason::Handshake),
        Reason::OverLimit => totals.refuse(RefusalReason::OverLimit),
        Reason::NotAdmitted => totals.refuse(RefusalReason::Client),
        Reason::Unauthorized(_) => totals.refuse(RefusalReason::User),
        Reason::TooLong => totals.refuse(RefusalReason::TooLong),
        Reason::TimedOut(timeout) => count_timeout(totals, *timeout),
        Reason::Stopped => totals.timeouts.drain += 1,
    }
}

fn count_timeout(totals: &mut Totals, timeout: Timeout) {
    let timeouts = &mut totals.timeouts;
    match timeout {
        Timeout::Handshake => timeouts.handshake += 1,
        // It ends in order, because it was served.
        Timeout::NextRequest => {}
        // It ends with another reason: its time is no limit, but the time of its refusal.
        Timeout::WrongPassword => {}
        // The session ends because its upstream was not reached, not because it was silent.
        Timeout::Connect => totals.fail(&ConnectError::TimedOut),
        Timeout::Idle => timeouts.idle += 1,
        Timeout::HalfClose => timeouts.half_close += 1,
        Timeout::Linger => timeouts.linger += 1,
    }
}
