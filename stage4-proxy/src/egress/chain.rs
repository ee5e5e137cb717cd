//! The egress through a chain of hops: the first one is dialled, the others are told.

use std::sync::Arc;

use stage2_client::Target;

use crate::chain::{Fault, HopFailure, Passage, Status};
use crate::connect_error::ConnectError;
use crate::egress::direct::Direct;

/// Reaches every target through the same hops.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The way to the first hop.
    pub(super) direct: Direct,
    first: Arc<Target>,
    hops: Vec<Target>,
}

impl Chain {
    /// Creates the egress through `first` and the `others`.
    pub(crate) fn new(direct: Direct, first: &Target, others: &[Target]) -> Self {
        Self {
            direct,
            first: Arc::new(first.clone()),
            hops: std::iter::once(first).chain(others).cloned().collect(),
        }
    }

    /// Returns all hops, in their order.
    pub(super) fn hops(&self) -> &[Target] {
        &self.hops
    }

    /// Returns the target that is dialled for every client.
    pub(super) fn first(&self) -> &Arc<Target> {
        &self.first
    }

    /// Begins the way from the first hop to `target`.
    pub(super) fn passage(&self, target: &Target) -> Passage {
        Passage::new(&self.hops, target)
    }

    /// Says which hop an error is about, if it does not say so itself: it is the first one.
    ///
    /// A rule that forbids the first hop is this proxy's own, and stays what it is.
    pub(super) fn explain(&self, error: ConnectError) -> ConnectError {
        match error {
            ConnectError::Hop(_) | ConnectError::FarEnd { .. } | ConnectError::Denied(_) => error,
            ConnectError::Resolve(_)
            | ConnectError::Refused
            | ConnectError::TimedOut
            | ConnectError::Unreachable
            | ConnectError::Other(_) => ConnectError::Hop(HopFailure {
                hop: 0,
                hops: self.hops.len(),
                fault: Fault::Unreached(Status::from(&error)),
            }),
        }
    }
}
