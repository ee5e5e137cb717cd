//! The inspector: a live view of the route table on an address of its own.
//!
//! ```text
//!  workers ──copies──▶ Snapshot ──▶ /              page.html: the three tables, drawn by the browser
//!             (the source function) /routes.json   the same, for programs
//!                                   /metrics       the totals, for Prometheus
//! ```
//!
//! Reading order: [`snapshot`](Snapshot) (plain values), [`histogram`](Histogram),
//! [`prometheus`](Metrics) and `metrics` (values to text), [`section`](Section) (what another crate
//! adds), `request` and `response` (bytes to a verdict, a verdict to bytes), `connection` (one exchange,
//! every wait bounded), `server` (threads), `page.html`.
//!
//! Invariants:
//!
//! 1. Nothing here touches a relayed socket. The relay hands out copies when it is asked for them, and
//!    pays nothing in between.
//! 2. Only `connection` and `server` do I/O, with blocking sockets, on threads of their own.
//! 3. A peer can hold one of the server's few threads for a bounded time only, and end none of them.
//! 4. On a loopback address only requests that name a loopback host are answered, so that a web page
//!    elsewhere cannot read the table through a name of its own (DNS rebinding).

mod address;
mod connection;
mod histogram;
mod metrics;
mod prometheus;
mod request;
mod response;
mod section;
mod server;
mod snapshot;

pub use address::parse_address;
pub use histogram::Histogram;
pub use prometheus::Metrics;
pub use section::Section;
pub use server::Inspector;
pub use snapshot::{EndpointView, Failures, Protocol, SessionView, Snapshot, Timeouts, Totals};
