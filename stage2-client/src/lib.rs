//! Stage 2: a TCP client: resolve, connect, converse.
//!
//! ```text
//!   "localhost:8080"                              target.rs
//!         │ parse
//!      Target ── resolve ──▶ [::1]:8080           resolve.rs   getaddrinfo(3)
//!                            127.0.0.1:8080
//!                                 │ connect       connect.rs   connect(2), each in turn
//!                                 ▼
//!   input  ──────────────────▶ socket ──▶ server  converse.rs  write(2), shutdown(2)
//!   output ◀────────────────── socket ◀── server               read(2)
//! ```
//!
//! # Reading order
//! 1. `target`: a host and a port, as a user writes them.
//! 2. `resolve`: from a name to addresses, and which family comes first.
//! 3. `connect`: blocking with a time limit; and non-blocking in two steps, for stage 4.
//! 4. `converse`: both directions at once, and the half-close at the end of the input.
//! 5. `duration`: time limits on the command line.
//!
//! # Invariants
//! 1. System calls are made in `resolve`, `connect` and `converse` only.
//! 2. A host with several addresses is reached if any of them answers; each has the full time.
//! 3. Sending never waits for receiving, nor the other way round.
//! 4. The end of the input closes one direction; the server's EOF ends the conversation.
//! 5. A reset is an error, never a clean end. A failed connect names every address that was tried.
//! 6. Memory is bounded: one read for each direction.

mod connect;
mod converse;
mod duration;
mod resolve;
mod target;

pub use connect::{connect, finish_connect, start_connect};
pub use converse::converse;
pub use duration::{parse_time, parse_time_limit};
pub use resolve::{Prefer, order, resolve};
pub use target::{Host, Target, TargetError};
