//! The counters of a worker since its start.

use crate::chain::Status;
use crate::connect_error::ConnectError;
use crate::inspect::histogram::Histogram;

/// Counts what happened since the start; only `sessions_open` ever falls.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Sessions in the route table now.
    pub sessions_open: u64,
    /// Sessions ever accepted.
    pub sessions_total: u64,
    /// Bytes carried from clients to upstreams.
    pub bytes_up: u64,
    /// Bytes carried from upstreams to clients.
    pub bytes_down: u64,
    /// Targets that were not reached, by reason.
    pub failures: Failures,
    /// Those of them that a chain's hop is the cause of, by its number: at 0 this proxy, which has to reach the first
    /// one. Empty without a chain.
    pub hop_failures: Vec<u64>,
    /// Clients closed because of a limit or a policy; [`Totals::refuse`] counts one.
    pub refusals: u64,
    /// The same clients, by reason.
    pub refusals_by_reason: Refusals,
    /// Events, answers and timers for a socket that was closed already.
    pub stale_events: u64,
    /// Times that accepting was paused, because no row or no descriptor was free.
    pub accept_pauses: u64,
    /// Sessions ended by a time limit, by kind.
    pub timeouts: Timeouts,
    /// Time that successful connects to upstreams took.
    pub connect_latency: Histogram,
}

impl Totals {
    /// Counts a client that is closed because of a limit or a policy.
    pub fn refuse(&mut self, why: RefusalReason) {
        self.refusals += 1;
        self.refusals_by_reason.count(why);
    }

    /// Counts a target that was not reached.
    pub fn fail(&mut self, error: &ConnectError) {
        self.failures.count(error);
        if let ConnectError::Hop(failure) = error
            && let Some(counter) = self.hop_failures.get_mut(failure.hop)
        {
            *counter += 1;
        }
    }

    /// Adds another worker's totals.
    pub fn merge(&mut self, other: &Self) {
        self.sessions_open += other.sessions_open;
        self.sessions_total += other.sessions_total;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.failures.merge(other.failures);
        self.merge_hop_failures(&other.hop_failures);
        self.refusals += other.refusals;
        self.refusals_by_reason.merge(other.refusals_by_reason);
        self.stale_events += other.stale_events;
        self.accept_pauses += other.accept_pauses;
        self.timeouts.merge(other.timeouts);
        self.connect_latency.merge(&other.connect_latency);
    }

    fn merge_hop_failures(&mut self, other: &[u64]) {
        let hops = self.hop_failures.len().max(other.len());
        self.hop_failures.resize(hops, 0);
        for (count, more) in self.hop_failures.iter_mut().zip(other) {
            *count += more;
        }
    }
}

/// Counts the targets that were not reached, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Failures {
    /// The name has no address.
    pub resolve: u64,
    /// The proxy's own access rules do not allow the target.
    pub denied: u64,
    /// The target refused the connection.
    pub refused: u64,
    /// The target did not answer in time.
    pub timed_out: u64,
    /// There is no route to the target.
    pub unreachable: u64,
    /// Anything else.
    pub other: u64,
}

impl Failures {
    /// Counts one target that was not reached.
    pub fn count(&mut self, error: &ConnectError) {
        let counter = match Status::from(error) {
            Status::Resolve => &mut self.resolve,
            Status::NotAllowed => &mut self.denied,
            Status::Refused => &mut self.refused,
            Status::TimedOut => &mut self.timed_out,
            Status::Unreachable => &mut self.unreachable,
            Status::Ok | Status::Malformed | Status::LimitReached | Status::Other => {
                &mut self.other
            }
        };
        *counter += 1;
    }

    /// Returns each reason's name with its count.
    pub fn by_reason(self) -> [(&'static str, u64); 6] {
        [
            ("resolve", self.resolve),
            ("denied", self.denied),
            ("refused", self.refused),
            ("timed_out", self.timed_out),
            ("unreachable", self.unreachable),
            ("other", self.other),
        ]
    }

    fn merge(&mut self, other: Self) {
        self.resolve += other.resolve;
        self.denied += other.denied;
        self.refused += other.refused;
        self.timed_out += other.timed_out;
        self.unreachable += other.unreachable;
        self.other += other.other;
    }
}

/// Why a client was closed although nothing had failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// Its address may not come: `--clients` does not have it.
    Client,
    /// Its handshake is none, or asks for something that the proxy does not do.
    Handshake,
    /// Its handshake has more bytes than it may have.
    TooLong,
    /// Its address has as many sessions as it may have: `--max-per-client`.
    OverLimit,
    /// Its name or password is wrong.
    User,
    /// Its request cannot be passed on (the queue of stage 5).
    Request,
}

/// Counts the clients that were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Refusals {
    /// [`RefusalReason::Client`].
    pub client: u64,
    /// [`RefusalReason::Handshake`].
    pub handshake: u64,
    /// [`RefusalReason::TooLong`].
    pub too_long: u64,
    /// [`RefusalReason::OverLimit`].
    pub over_limit: u64,
    /// [`RefusalReason::User`].
    pub user: u64,
    /// [`RefusalReason::Request`].
    pub request: u64,
}

impl Refusals {
    fn count(&mut self, why: RefusalReason) {
        let counter = match why {
            RefusalReason::Client => &mut self.client,
            RefusalReason::Handshake => &mut self.handshake,
            RefusalReason::TooLong => &mut self.too_long,
            RefusalReason::OverLimit => &mut self.over_limit,
            RefusalReason::User => &mut self.user,
            RefusalReason::Request => &mut self.request,
        };
        *counter += 1;
    }

    /// Returns each reason's name with its count.
    pub fn by_reason(self) -> [(&'static str, u64); 6] {
        [
            ("client", self.client),
            ("handshake", self.handshake),
            ("too_long", self.too_long),
            ("over_limit", self.over_limit),
            ("user", self.user),
            ("request", self.request),
        ]
    }

    fn merge(&mut self, other: Self) {
        self.client += other.client;
        self.handshake += other.handshake;
        self.too_long += other.too_long;
        self.over_limit += other.over_limit;
        self.user += other.user;
        self.request += other.request;
    }
}

/// Counts the sessions that a time limit ended, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Timeouts {
    /// The client did not finish its handshake.
    pub handshake: u64,
    /// No byte moved for too long.
    pub idle: u64,
    /// One half was closed and the other stayed silent.
    pub half_close: u64,
    /// The client did not read its last bytes.
    pub linger: u64,
    /// The proxy was stopping and the session did not end by itself.
    pub drain: u64,
}

impl Timeouts {
    /// Returns each kind's name with its count.
    pub fn by_kind(self) -> [(&'static str, u64); 5] {
        [
            ("handshake", self.handshake),
            ("idle", self.idle),
            ("half_close", self.half_close),
            ("linger", self.linger),
            ("drain", self.drain),
        ]
    }

    fn merge(&mut self, other: Self) {
        self.handshake += other.handshake;
        self.idle += other.idle;
        self.half_close += other.half_close;
        self.linger += other.linger;
        self.drain += other.drain;
    }
}
