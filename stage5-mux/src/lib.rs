//! Stage 5: many clients over one connection: a queue of requests, and a tunnel with streams.
//!
//! ```text
//!               ┌───────────────── Worker (one thread) ─────────────────┐
//!   client ────▶│  Clients               Exchange                       │
//!   client ────▶│  requests              one request in flight,         │───▶ upstream
//!   client ────▶│  queue 7 ▸ 2 ▸ 9 ─────▶ the connection's machine,     │     (one connection)
//!          ◀────│  responses ◀───Step─── its socket                     │◀───
//!               └───────────────────────────────────────────────────────┘
//!        take the next complete request, send it, wait for the whole response, take the next
//! ```
//!
//! # Reading order
//!
//! 1. [`queue::framing`]: where a message ends; [`queue::line`] and [`queue::http1`] know it.
//! 2. [`queue::request_queue`]: which client is next.
//! 3. [`queue::upstream`]: the upstream connection as a state machine.
//! 4. `endpoint`: a socket under mio, and what edge-triggered means.
//! 5. `queue::client`: a client; `queue::flight`, `queue::link`: a request in flight, the connection.
//! 6. `queue::exchange`: one request and its response, step by step.
//! 7. `queue::worker`: the event loop, which applies the steps to the clients.
//! 8. `queue::report`, `queue::section`: what the inspector shows; `queue::log`: what is logged, and how often;
//!    `queue::service`: the thread around the worker.
//! 9. [`tunnel`]: many connections over one link; its page has a reading order of its own.
//!
//! # Where to look
//!
//! | question | answer |
//! |---|---|
//! | system calls | `endpoint` (bytes), `listener` and `link` (sockets), `mailbox` (eventfd), the poller in `worker` |
//! | closing a socket | its owner is dropped: a client's row, the link |
//! | states | a client's `Phase`, the upstream's `State`; the diagrams are at the top of their files |
//! | memory | the bounds of [`queue::Limits`]: a head, a body, a held response, the queue |
//! | a full buffer | a slow client holds back its own response, then meets its deadline |
//! | a client's end of input | its last requests are still answered |
//! | a client that breaks | waiting: forgotten; in flight: its response is read and dropped |
//! | the upstream's end or reset | 502, one second attempt, or a body that is visibly broken off |
//! | an upstream that is silent | an idle connection is closed, a kept one doubted (`queue/upstream/trust.rs`), then 504 |
//!
//! # Where to add
//!
//! | what | where |
//! |---|---|
//! | a framing, for example Redis | `queue/NAME.rs` with the traits of `queue/framing.rs`; a variant of `FramingName` and an arm in `queue/service.rs` |
//! | the tunnel | [`tunnel`] has its map; `endpoint`, `listener`, `mailbox`, `tokens` and `pace` serve it, too |
//! | a wire of the tunnel | `tunnel/NAME.rs` with the trait of `tunnel/wire.rs` |
//! | a transport of the tunnel | the trait `Carrier` of [`tunnel::transport`], whose page says what one must provide |
//! | TLS for the queue | `endpoint.rs` (bytes), `listener.rs` and `queue/link.rs` (sockets): no other file calls a connected socket |
//!
//! # Invariants of the queue
//!
//! 1. There is one upstream connection at most, and one request in flight at most.
//! 2. A response goes to the client whose request is in flight; if it has closed, to no client.
//! 3. A connection on which unexpected bytes were seen is closed, never used again.
//! 4. Nothing of a request reaches the upstream before its framing was found to be unambiguous.
//! 5. Clients are served in turn; a slow client delays only itself, and others within bounds.
//! 6. Every wait has a deadline, and all memory a bound. Every bound has a name; those that an
//!    operator may set live in [`queue::Limits`].
//! 7. The framings, the queue and the upstream's machine are free of I/O and of clocks.
//! 8. Calls go down, values come up: `Worker` > `Clients`, `Exchange` > `Link` > `Endpoint`.

mod endpoint;
mod listener;
mod mailbox;
mod pace;
pub mod queue;
mod tokens;
pub mod tunnel;
