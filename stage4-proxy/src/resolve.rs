//! Resolving names without blocking an event loop: threads call getaddrinfo(3), and a cache keeps
//! their answers for some seconds.
//!
//! ```text
//!   worker ── resolve(target, deliver) ─▶ NameCache ◀── next_lookup ── thread: getaddrinfo
//!     ▲ │                                 (one lock)  ◀── answered ─────┘  │
//!     │ └─ in the cache: the addresses, at once                            │
//!     └───────────────── deliver(answer): mailbox and eventfd ◀────────────┘
//! ```
//!
//! 1. There is at most one lookup in flight for a name; all clients that wait for it share its answer.
//! 2. A client that leaves drops its [`Ticket`], and with it its place: a name for which no client
//!    waits any more is not looked up.
//! 3. The lock is held for a few steps in maps, never during a lookup or a delivery.
//!
//! # Bounds
//!
//! How long a lookup takes is up to the system: with `timeout` and `attempts` of `resolv.conf(5)` at their
//! defaults, 10 s for each name server that is silent, and for each search domain. That long, a
//! silent name occupies one thread of [`ResolverLimits::threads`]. Other names wait only while all
//! threads are occupied, and each client only as long as its own time limit allows.
//!
//! Nothing here knows a worker: an answer goes to a closure, so that the loops of other crates can
//! resolve names, too.

mod cache;
mod limits;
mod lookup;
mod resolver;
mod section;
#[cfg(test)]
mod tests;

pub use cache::Counts;
pub use limits::ResolverLimits;
pub use lookup::Lookup;
pub use resolver::{Answer, Resolution, Resolver, Ticket};
