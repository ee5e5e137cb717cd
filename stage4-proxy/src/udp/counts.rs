//! What became of the datagrams.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::chain::Status;

/// Why a datagram goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Its sender may not come (`--clients`), or is not the client of the association.
    Client,
    /// Its header is none, or not one that is carried out.
    Malformed,
    /// It is a fragment of a datagram to an association, which no client needs.
    Fragment,
    /// It is longer than a datagram can be, or than its way allows.
    TooLong,
    /// The access rules do not allow its target.
    Denied,
    /// The name of its target has no address.
    Unresolved,
    /// Too many wait for the address of a target, or no descriptor is left for a flow.
    Limit,
    /// Its client has as many flows as it may have (`--max-per-client`).
    PerClient,
    /// It would begin a flow, and the proxy is about to end.
    Draining,
    /// An answer of a sender that may not answer (`--udp-filter`).
    Stranger,
    /// The kernel has no room, because datagrams come faster than they leave.
    Full,
    /// The kernel cannot send it: there is no route, for example.
    Unreachable,
    /// The target's port is closed: an ICMP message has said so about an earlier datagram.
    Refused,
    /// A hop of the chain answers with an error, or with bytes that are none of the chain's.
    Hop,
}

impl Dropped {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Client,
        Self::Malformed,
        Self::Fragment,
        Self::TooLong,
        Self::Denied,
        Self::Unresolved,
        Self::Limit,
        Self::PerClient,
        Self::Draining,
        Self::Stranger,
        Self::Full,
        Self::Unreachable,
        Self::Refused,
        Self::Hop,
    ];

    /// Returns the reason's name in the metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Malformed => "malformed",
            Self::Fragment => "fragment",
            Self::TooLong => "too_long",
            Self::Denied => "denied",
            Self::Unresolved => "unresolved",
            Self::Limit => "limit",
            Self::PerClient => "per_client",
            Self::Draining => "draining",
            Self::Stranger => "stranger",
            Self::Full => "full",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Hop => "hop",
        }
    }

    /// Returns what a hop answers to a client whose datagram it drops; `None` for silence, because the sender may
    /// not know that there is a proxy, or the answer would be dropped as well.
    #[must_use]
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Malformed => Some(Status::Malformed),
            Self::Denied => Some(Status::NotAllowed),
            Self::Unresolved => Some(Status::Resolve),
            Self::Limit | Self::PerClient | Self::Draining => Some(Status::LimitReached),
            Self::Unreachable => Some(Status::Unreachable),
            Self::Refused => Some(Status::Refused),
            Self::Client
            | Self::Fragment
            | Self::TooLong
            | Self::Stranger
            | Self::Full
            | Self::Hop => None,
        }
    }
}

/// Counts datagrams and flows since the start, for all workers together; only the open flows ever fall.
///
/// The inspector shows one section of a name, and so all workers count in the same place. They add once for each
/// batch and not for each datagram, so that the sharing costs little.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    open: AtomicU64,
    flows: AtomicU64,
    evictions: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    runs_received: AtomicU64,
    runs_sent: AtomicU64,
    runs_refused: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Flows now.
    pub(crate) open: u64,
    /// Flows since the start.
    pub(crate) flows: u64,
    /// Flows that had to make room for others.
    pub(crate) evictions: u64,
    /// Datagrams passed on from clients to upstreams.
    pub(crate) up: u64,
    /// Datagrams passed on from upstreams to clients.
    pub(crate) down: u64,
    /// Runs received: datagrams that the kernel has joined.
    pub(crate) runs_received: u64,
    /// Runs sent: datagrams that the kernel cuts apart.
    pub(crate) runs_sent: u64,
    /// Runs that the kernel has not cut, and sockets for which it joins none.
    pub(crate) runs_refused: u64,
    /// Datagrams and errors that went no further, by reason.
    pub(crate) dropped: [u64; Dropped::ALL.len()],
}

impl Counts {
    /// Counts a flow that begins.
    pub(super) fn begin(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.flows.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts flows that have ended.
    pub(super) fn end(&self, count: usize) {
        self.open.fetch_sub(count as u64, Ordering::Relaxed);
    }

    /// Counts a flow that makes room.
    pub(super) fn evict(&self) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts datagrams that are passed on to an upstream.
    pub(super) fn pass_up(&self, count: usize) {
        add(&self.up, count);
    }

    /// Counts datagrams that are passed on to a client.
    pub(super) fn pass_down(&self, count: usize) {
        add(&self.down, count);
    }

    /// Counts runs that were received.
    pub(super) fn join_received(&self, count: usize) {
        add(&self.runs_received, count);
    }

    /// Counts runs that were sent.
    pub(super) fn join_sent(&self, count: usize) {
        add(&self.runs_sent, count);
    }

    /// Counts refusals of runs by the kernel.
    pub(super) fn refuse_runs(&self, count: usize) {
        add(&self.runs_refused, count);
    }

    /// Counts datagrams that go no further.
    pub(super) fn lose(&self, reason: Dropped, count: usize) {
        add(&self.dropped[reason as usize], count);
    }

    /// Returns the counters as they are now.
    pub(super) fn now(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            open: read(&self.open),
            flows: read(&self.flows),
            evictions: read(&self.evictions),
            up: read(&self.up),
            down: read(&self.down),
            runs_received: read(&self.runs_received),
            runs_sent: read(&self.runs_sent),
            runs_refused: read(&self.runs_refused),
            dropped: self.dropped.each_ref().map(read),
        }
    }
}

impl Counted {
    /// Returns each reason's name with its count.
    pub(super) fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Dropped::ALL
            .into_iter()
            .map(Dropped::name)
            .zip(self.dropped)
    }
}

/// Adds to a counter, unless there is nothing to add: mostly nothing is dropped.
fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter() {
        let counts = Counts::default();
        for (number, reason) in Dropped::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            counts.lose(reason, number + 1);
        }
        let counted = counts.now();
        let names: std::collections::BTreeSet<_> =
            counted.by_reason().map(|(name, _)| name).collect();
        assert_eq!(names.len(), Dropped::ALL.len());
        for (number, (_, count)) in counted.by_reason().enumerate() {
            assert_eq!(count, number as u64 + 1);
        }
    }
}
