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
//!
//! Nothing here does I/O, and no part knows a clock.

pub mod frame;
pub mod key;
pub mod multiplex;
pub mod reader;
pub mod role;
pub mod scheduler;
pub mod window;
pub mod wire;
pub mod yamux;
