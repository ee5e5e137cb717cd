//! The inspector: a live view of the route table on an address of its own.
//!
//! ```text
//!  workers ──Collector──▶ Snapshot ──▶ /              page.html: the tables, drawn by the browser
//!       (some rows in each turn)       /routes.json   the same, for programs
//!                                      /metrics       the totals, for Prometheus
//! ```
//!
//! Reading order: [`snapshot`](Snapshot), [`view`](SessionView) and [`totals`](Totals) (plain values),
//! [`histogram`](Histogram), [`prometheus`](Metrics) and `metrics` (values to text), [`section`](Section) (what another crate
//! adds), [`collector`](Collector) (how a worker makes the copy), `hosts`, `request` and `response` (bytes to a
//! verdict, a verdict to bytes), `connection` (one client, every wait bounded), `clients` (how many), `server` (the loop),
//! `page.html`.
//!
//! Invariants:
//!
//! 1. Nothing here touches a relayed socket. The relay hands out copies when it is asked for them, and
//!    pays nothing in between.
//! 2. A worker copies a bounded number of rows in one turn of its loop, and one copy answers all that ask
//!    meanwhile: no number of visitors keeps it from its sockets.
//! 3. Only `connection`, `clients` and `server` do I/O, on one thread of their own that waits for all clients at once.
//! 4. A peer that sends nothing or reads nothing delays no other; when there are too many, the oldest is
//!    closed.
//! 5. On a loopback address only requests that name a loopback host are answered, so that a web page
//!    elsewhere cannot read the table through a name of its own (DNS rebinding). A page of another origin is
//!    refused on every address.
//! 6. A counter never falls: without an answer of every worker there is a 503 instead of a smaller sum.

mod address;
mod clients;
mod collector;
mod connection;
mod histogram;
mod hosts;
mod metrics;
mod prometheus;
mod request;
mod response;
mod section;
mod server;
mod snapshot;
mod totals;
mod view;

pub use address::parse_address;
pub use clients::capacity;
pub use collector::{Carried, Collector, Question, Scope};
pub use histogram::Histogram;
pub use prometheus::Metrics;
pub use section::Section;
pub use server::Inspector;
pub use snapshot::Snapshot;
pub use totals::{Failures, RefusalReason, Refusals, Timeouts, Totals};
pub use view::{
    Described, EndpointView, FlowView, HalfView, HopView, KernelView, Protocol, Row, SessionView,
    UnixView,
};
