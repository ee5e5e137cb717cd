//! Stage 3: an event loop on epoll: the service of stage 1 for any number of clients.
//!
//! ```text
//!            ┌───────────────────── Server::run ────────────────────┐
//!            │  wait ──▶ a batch of events ──▶ turns ──▶ accept last │   server.rs
//!            └────┬──────────────────────────────┬──────────────────┘
//!                 │ Poll, Events, Waker          │ Token ▶ row ▶ Client
//!                 ▼                              ▼
//!            epoll_wait(2)                  client_table.rs
//!            epoll_ctl(2)    poll.rs             │
//!            eventfd(2)      waker.rs            ▼
//!                                 read(2) ▶ input ▶ answers ▶ output ▶ write(2)   client.rs
//! ```
//!
//! # Reading order
//! 1. `token`, `interest`, `poll`: epoll, in the nouns that the rest of the course uses.
//! 2. `client`: one client: its states, its interest, and its turn.
//! 3. `client_table`: rows that are used again, and tokens that are not.
//! 4. `server`: the loop; `listener`: accepting, and its pause when file descriptors run out.
//! 5. `waker` and `signals`: how other threads reach the loop.
//!
//! # Invariants
//! 1. Every epoll call is in `poll`; sockets are read and written in `client` only.
//! 2. An event is a hint. Only the system call tells what is true, and "not yet" is no error.
//! 3. Interest is computed from state and compared with what is registered, never toggled.
//! 4. A turn is bounded: one read and one write for each client, 64 clients accepted.
//! 5. Memory is bounded for each client: one line in the input; in the output, 64 KiB and the
//!    answers to one read. A client that does not read is not read any more.
//! 6. The client's FIN closes one direction; the other is closed after the last answer.
//! 7. Dropping a client closes its socket. No token ever means two clients.
//! 8. A client's failure ends that client. Only a broken poll or listener ends the server.

mod client;
mod client_table;
mod interest;
mod listener;
mod poll;
mod server;
mod signals;
mod token;
mod waker;

pub use client::{Client, Fact, MAX_PENDING, State};
pub use client_table::ClientTable;
pub use interest::Interest;
pub use poll::{Event, Events, Poll, Readiness};
pub use server::Server;
pub use signals::wake_on_signals;
pub use token::Token;
pub use waker::Waker;
