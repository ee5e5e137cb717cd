//! The tunnel: any number of TCP connections over one link, and back out at its other end.
//!
//! ```text
//!   clients          one end of the link                                            the other end
//!          ┌───────────────────────────────────────────────────────┐
//!     ────▶│  streams ──pull── Scheduler ──▶ Batch ──▶ headers      │═══════▶ one link
//!     ◀────│  streams ◀──────── Windows ◀── Reader ◀── and payload  │◀═══════
//!          └───────────────────────────────────────────────────────┘
//! ```
//!
//! # Reading order
//!
//! 1. [`role`], [`frame`]: the two ends, and what a frame says.
//! 2. [`wire`]: what a wire format provides; [`yamux`] and [`multiplex`] are the two there are.
//! 3. [`reader`]: frames in a stream of bytes that is cut anywhere.
//! 4. [`window`]: how much each direction of a stream may carry, and when that grows.
//! 5. [`scheduler`]: which stream sends next; [`key`] names it.
//! 6. [`event`]: what a session and its caller tell each other; [`stream`]: the states of a stream.
//! 7. [`session`]: the machine; `session/input.rs` is what arrives, `session/output.rs` what goes out.
//! 8. `batch`: the next write; `control`: what is owed; `rate`: how fast the link is; `keepalive`: whether
//!    the peer is there; `streams`: the table.
//!
//! Nothing here does I/O, and no part knows a clock.

mod batch;
mod control;
pub mod event;
pub mod frame;
mod keepalive;
pub mod key;
pub mod limits;
pub mod multiplex;
mod rate;
pub mod reader;
pub mod role;
pub mod scheduler;
pub mod session;
pub mod stream;
mod streams;
pub mod window;
pub mod wire;
pub mod yamux;
