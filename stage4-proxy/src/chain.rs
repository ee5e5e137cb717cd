//! The protocol of a chain: how a client goes through several proxies to its target.
//!
//! ```text
//!   client            hop 1               hop 2               target
//!     │ h1 h2 payload   │                   │                   │
//!     ├────────────────▶│ h2 payload        │                   │
//!     │                 ├──────────────────▶│ payload           │
//!     │ r1              │                   ├──────────────────▶│
//!     │◀────────────────┤ r2                │                   │
//!     │ r2              │◀──────────────────┤                   │
//!     │◀────────────────┤                   │                   │
//! ```
//!
//! Each hop takes the first request header, connects to the address in it, sends one response header,
//! and relays from then on: it looks at nothing behind its own header, so that the same program serves
//! at every place of every chain. Responses arrive in the order of the hops. The first one that is no
//! success is the last: its place says which hop has failed to reach the next, and its status why.
//!
//! ```text
//!   request header    01 │ address                       where this hop connects to
//!   response header   01 │ status │ n │ n bytes of text  the text is for people
//! ```
//! An address is that of RFC 1928 section 5.

mod client;
mod failure;
mod header;
mod passage;
mod responses;

pub use client::{Client, Error, Place};
pub use failure::{Fault, HopFailure};
pub use header::{NoResponse, Request, Response, Status, headers};
pub(crate) use passage::Passage;
pub use responses::{Outcome, Responses};

#[cfg(test)]
mod tests;
