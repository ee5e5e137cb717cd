//! The steps on the way to a connection.

use crate::queue::framing::Refusal;

/// What the state `Connecting` does next.
///
/// ```text
///   ┌───────────────┐ known                ┌─────────────┐ connect(2)   ┌─────────┐
///   │ FindAddresses │─────────────────────▶│ NextAddress │─────────────▶│ Pending │
///   └───────────────┘                      └─────────────┘◀─────────────└─────────┘
///           │ asked  ┌───────────┐ answer         ▲        failed, expired
///           └───────▶│ Resolving │────────────────┘
///                    └───────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Find the addresses of the upstream's name.
    FindAddresses,
    /// Wait for the resolver.
    Resolving,
    /// Connect to the next address; without one, the client gets this refusal.
    NextAddress(Refusal),
    /// Wait until connect(2) has completed.
    Pending,
}
