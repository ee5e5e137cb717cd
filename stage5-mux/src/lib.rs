//! Stage 5: many clients over one upstream connection.
//!
//! ```text
//!   client ---\          +--------------- Worker (one thread) ---------------+
//!   client ----+-------->|  requests   RequestQueue   Flight    Upstream     |------> upstream
//!   client ---/   <------|  framing    7 -> 2 -> 9    (one!)    (a machine)  |<------ (one connection)
//!                        +---------------------------------------------------+
//!        take the next complete request, send it, wait for the whole response, take the next
//! ```
//!
//! # Reading order
//!
//! 1. [`queue::framing`]: where a message ends; [`queue::line`] and [`queue::http1`] know it.
//! 2. [`queue::request_queue`]: whose turn it is.
//! 3. [`queue::upstream`]: the upstream connection as a state machine.
//! 4. `endpoint`: a socket under mio, and what edge-triggered means.
//! 5. `queue::client`, `queue::flight`, `queue::link`: a client, a request in flight, the connection.
//! 6. `queue::worker`: the event loop that ties it together.
//! 7. `queue::report`: what the inspector shows; `queue::service`: the thread around the worker.
//!
//! # Where to look
//!
//! | question | answer |
//! |---|---|
//! | system calls | `endpoint` (bytes), `listener` and `link` (sockets), the poller in `worker` |
//! | who closes a socket | whoever owns it: a client's row, the link; dropping is closing |
//! | states | a client's `Phase`, the upstream's `State`; each diagram stands above its enum |
//! | a full buffer | a client that reads slowly holds back its own response, then meets its deadline |
//! | a client's end of input | its last requests are still answered |
//! | a client that breaks | waiting: forgotten; in flight: its response is read and dropped |
//! | the upstream's end or reset | 502, one second attempt, or a body that is visibly broken off |
//!
//! # Invariants
//!
//! 1. There is one upstream connection at most, and one request in flight at most.
//! 2. A response goes to the client whose request is in flight, or to nobody.
//! 3. A connection on which anything unexpected was seen is closed, never used again.
//! 4. Nothing of a request reaches the upstream before its framing was found to be unambiguous.
//! 5. Clients take turns; whoever is slow waits for itself, within bounds, and nobody waits for it.
//! 6. All waiting has a deadline, all memory a bound: they stand in [`queue::Limits`].
//! 7. The framings, the queue and the upstream's machine are free of I/O and of clocks.

mod endpoint;
mod listener;
mod mailbox;
mod pace;
pub mod queue;
mod tokens;
