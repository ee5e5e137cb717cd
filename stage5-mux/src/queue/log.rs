//! The lines that the queue writes to its log, each kind within a quota.
//!
//! The kinds are apart, so that a client with a thousand bad requests cannot hide that the upstream
//! is down. Lines for debugging have no quota.

use std::fmt::Display;
use std::io;
use std::time::Instant;

use stage2_client::Target;
use stage4_proxy::address::PeerAddr;
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::quota::Quota;

use crate::queue::framing::Refusal;

/// The quotas of a worker.
#[derive(Debug)]
pub(super) struct Log {
    /// Refusals for which the client is to blame.
    client_faults: Quota,
    /// Refusals because of the upstream.
    upstream_faults: Quota,
    /// Refusals because too many requests wait.
    overloads: Quota,
    /// Clients that were reset.
    resets: Quota,
    /// Connects that have failed.
    connects: Quota,
    /// Responses that break the rules.
    responses: Quota,
    /// Clients that the machine has no room for.
    accepts: Quota,
}

impl Log {
    /// Creates a log of which nothing was written.
    pub(super) fn new() -> Self {
        Self {
            client_faults: Quota::for_events(),
            upstream_faults: Quota::for_events(),
            overloads: Quota::for_events(),
            resets: Quota::for_events(),
            connects: Quota::for_events(),
            responses: Quota::for_events(),
            accepts: Quota::for_states(),
        }
    }

    /// Logs why a client gets no response.
    pub(super) fn refused(&mut self, client: PeerAddr, refusal: Refusal, now: Instant) {
        self.refusals(refusal).log(now, |suppressed| {
            tracing::info!(%client, suppressed, "{refusal}");
        });
    }

    fn refusals(&mut self, refusal: Refusal) -> &mut Quota {
        match refusal {
            Refusal::BadRequest(_)
            | Refusal::TooSlow
            | Refusal::TooLarge
            | Refusal::UnknownExpectation
            | Refusal::HeadTooLarge
            | Refusal::TooManyFields
            | Refusal::LastHop
            | Refusal::NotPossible(_)
            | Refusal::UnknownVersion => &mut self.client_faults,
            Refusal::BadGateway(_) | Refusal::UpstreamTimeout => &mut self.upstream_faults,
            Refusal::QueueFull => &mut self.overloads,
        }
    }

    /// Logs why a client was reset.
    pub(super) fn reset(&mut self, client: PeerAddr, reason: &str, now: Instant) {
        self.resets.log(now, |suppressed| {
            tracing::info!(%client, suppressed, "reset: {reason}");
        });
    }

    /// Logs why the upstream was not reached.
    pub(super) fn unreached(&mut self, upstream: &Target, error: &ConnectError, now: Instant) {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        let cause = cause.unwrap_or_default();
        self.connects.log(now, |suppressed| {
            tracing::warn!(%upstream, suppressed, "cannot connect: {error}{cause}");
        });
    }

    /// Logs what is wrong with a response.
    pub(super) fn wrong_response(&mut self, fault: impl Display, now: Instant) {
        self.responses.log(now, |suppressed| {
            tracing::warn!(suppressed, "{fault}");
        });
    }

    /// Logs that the machine has no descriptor or memory left for a client.
    pub(super) fn starved(&mut self, error: &io::Error, now: Instant) {
        self.accepts.log(now, |suppressed| {
            tracing::warn!(%error, suppressed, "cannot accept, clients wait in the accept queue");
        });
    }

    /// Logs that the poller takes no further socket.
    pub(super) fn unregistered(&mut self, error: &io::Error, now: Instant) {
        self.accepts.log(now, |suppressed| {
            tracing::warn!(%error, suppressed, "cannot register a client");
        });
    }

    /// Logs how many lines were not written since the last of their kind, because no further line
    /// will say it.
    pub(super) fn end(&mut self) {
        let quotas = [
            &mut self.client_faults,
            &mut self.upstream_faults,
            &mut self.overloads,
            &mut self.resets,
            &mut self.connects,
            &mut self.responses,
            &mut self.accepts,
        ];
        let rest: u64 = quotas.into_iter().filter_map(Quota::take_suppressed).sum();
        if rest > 0 {
            tracing::info!(suppressed = rest, "some lines were not written");
        }
    }
}
