//! The steps on the way to a connection.

use crate::queue::framing::Refusal;

/// What the state `Connecting` does next.
///
/// ```text
///   ┌───────────────┐ known                ┌─────────────┐ connect(2)   ┌─────────┐
///   │ FindAddresses │─────────────────────▶│ NextAddress │─────────────▶│ Pending │
///   └───────────────┘                      └─────────────┘◀─────────────└─────────┘
///           │ asked  ┌───────────┐ answer         ▲     failed, expired, or
///           └───────▶│ Resolving │────────────────┘     the next one is due
///                    └───────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Find the addresses of the upstream's name.
    FindAddresses,
    /// Wait for the resolver.
    Resolving,
    /// Connect to the addresses that are due; if no attempt is in progress then, the client gets this
    /// refusal.
    NextAddress(Refusal),
    /// Wait until a connect(2) has completed.
    Pending,
}
