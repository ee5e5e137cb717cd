//! Stage 1: a blocking TCP server that reverses lines, one client at a time.
//!
//! ```text
//!   socket(2) ─ bind(2) ─ listen(2)                            listen.rs
//!                            │
//!            ┌──────── accept(2) ◀──────────────┐              serve.rs, accept_error.rs
//!            ▼                                  │
//!   client ─ read(2) ▶ LineBuffer ▶ reverse_line ▶ write(2) ─ client
//!            └───────────── line.rs ────────────┘
//! ```
//!
//! # Reading order
//! 1. `listen`, [`Keepalive`]: how a listening socket is made, option by option.
//! 2. `line`: extracts lines from bytes, without any input or output of its own.
//! 3. `serve`: the loop that accepts, reads and writes.
//! 4. `accept_error`: which errors of `accept(2)` matter.
//! 5. [`cli`] and `log`: signals, exit status and logging of every program in the course. Neither is
//!    about sockets: skip them on first reading.
//!
//! # Invariants
//! 1. Socket calls are made in `listen` and `serve` only; `cli` installs signal handlers and `log`
//!    calls `poll(2)`. `line` is a machine without input and output, and stage 3 uses it again.
//! 2. One read is not one message: a line may come in many pieces, and many lines in one.
//! 3. Memory is bounded: by [`MAX_LINE`], one read, and the answers to the lines in them.
//! 4. The end of the client's input is not the end of the conversation: everything is answered.
//! 5. A client's failure ends that client. Only a broken listener ends the server.
//! 6. Sockets are closed by dropping them: the client's in `serve`, the listener's in `main`.

mod accept_error;
pub mod cli;
mod keepalive;
mod line;
mod listen;
mod log;
mod serve;

pub use accept_error::AcceptFailure;
pub use keepalive::Keepalive;
pub use line::{LineBuffer, LineTooLong, MAX_LINE, answer_lines, answer_rest, reverse_line};
pub use listen::{ListenOptions, listen, local_addr};
pub use serve::{read_some, serve, serve_client};
