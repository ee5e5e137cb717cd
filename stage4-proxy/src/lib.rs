//! Stage 4: a TCP proxy with an array route table.
//!
//! ```text
//!               ┌──────────────── Worker (one thread) ─────────────────┐
//!               │  Listener        RouteTable            Poll, Timers  │
//!               │     │                │                               │
//!  client ─────▶│  Ingress ──▶ row: Session { client, upstream } ──▶ Egress ──▶ upstream
//!         ◀─────│                │  up   = Flow { Half, Pipe? }  │     │◀──────
//!               │                │  down = Flow { Half, Pipe? }  │     │
//!               └──────▲───────────────────────────────▲───────────────┘
//!                      │ mailbox + eventfd             │
//!               Resolver threads                  Control, Inspector
//! ```
//!
//! A `Flow` is one direction: its `Half` is the state and the buffered bytes, and its `Pipe` is borrowed
//! from the worker while bulk is spliced.
//!
//! # Reading order
//!
//! 1. [`naive`]: the proxy as a beginner writes it, with its faults.
//! 2. [`token`], [`route_table`]: which session does an event mean?
//! 3. [`buffer`], [`half`]: one direction as a state machine, without I/O.
//! 4. [`address`], `endpoint`, `receive_queue`, `pipe`, `relay`: system calls on relayed bytes; `bulk`: copy or splice;
//!    `unix`: sockets with a path.
//! 5. [`ingress`], [`http`], [`proxy_protocol`], `session`: the phases from accept(2) to close(2): handshake, resolving,
//!    connecting, chaining, relay or forward, lingering or aborting.
//! 6. `egress`, [`chain`], [`access`], [`resolve`], [`race`], [`connect_error`]: the way to the upstream.
//! 7. [`deadline`], [`timers`], [`send_queue`], [`vanished`], `listener`, `slots`, `mailbox`, [`Limits`], [`flags`]: time, room, other threads,
//!    the command line.
//! 8. [`udp`]: datagrams, with a table of flows in the place of the route table.
//! 9. `worker`: the event loop, and in it `follow`, which does what sessions need; [`proxy`]: the
//!    threads around it.
//! 10. `report`, [`quota`], [`kernel_queues`], [`socket_view`], [`inspect`], [`control`], [`http_version`]: what an operator sees, and can ask for.
//!
//! # Invariants
//!
//! 1. Events are hints, only system calls are facts.
//! 2. A socket belongs to one session; removing the row closes both sockets.
//! 3. A token whose generation differs from its cell's finds no session, unless it is the token of a
//!    socket that the session holds in a race.
//! 4. A half holds at most one read or one pipe, and while its sink is full its source is not read: no
//!    memory grows with the bytes that a peer sends.
//! 5. A FIN is passed on after the last byte; a reset is passed on as a reset, and closes a Unix socket,
//!    which has none.
//! 6. The loop never blocks: it resolves no name and reads no file, and takes no locks but those of the
//!    cache of names, of the list of users and of `--max-per-client`, which are held for a few steps in maps. With
//!    `--ingress redirect` there is one more, of the proxy's own connects, held for a connect(2) that does not wait.
//! 7. Every bound has a name; those that an operator may set live in [`Limits`].
//! 8. Calls go down, values come up: a session returns a `Next`, and one place follows it.
//!
//! # Where to add
//!
//! | to add | write | and mention it in |
//! |---|---|---|
//! | an ingress, such as one for TPROXY | `ingress/tproxy.rs`: an [`Ingress`](ingress::Ingress), as `ingress/redirect.rs` shows, and for a protocol a [`Handshake`](ingress::Handshake), as `ingress/socks5.rs` and `examples/line_ingress.rs` show | `ingress.rs`, the program's `options.rs`, `tests/stage4/tproxy.rs` and `tests/stage4.rs` |
//! | an egress, such as one through a SOCKS5 proxy | `egress/socks5.rs`, and a variant of `Egress`; `egress/chain.rs` shows the steps | `proxy.rs` (which egress), `session.rs` and `session/chaining.rs` (what passes before the relay), `connect_error.rs`, `report.rs`, `options.rs` |
//! | an access rule | a variant of [`Denial`](access::Denial) and a line in `Access::check`; a scope of rules: `access/scope.rs` | `access.rs` and its folder only |
//! | a time limit | a field of [`Limits`], a variant of [`Timeout`](deadline::Timeout) | `Awaited::limit`, `Worker::time_is_over`, `report.rs`, `options.rs` |

pub mod access;
pub mod address;
pub mod buffer;
mod bulk;
pub mod chain;
pub mod connect_error;
pub mod control;
pub mod deadline;
pub mod egress;
mod endpoint;
pub mod flags;
pub mod half;
pub mod http;
pub mod http_version;
pub mod ingress;
pub mod inspect;
pub mod kernel_queues;
mod limits;
mod listener;
mod mailbox;
pub mod naive;
mod pipe;
pub mod proxy;
pub mod proxy_protocol;
pub mod quota;
pub mod race;
mod receive_queue;
mod relay;
mod report;
pub mod resolve;
pub mod route_table;
mod scratch;
pub mod send_queue;
mod session;
mod slots;
pub mod socket_view;
pub mod timers;
pub mod token;
pub mod udp;
pub mod unix;
pub mod vanished;
mod wire_address;
mod worker;

pub use control::Control;
pub use limits::{Limits, check_room_for_a_session, raise_fd_limit};
pub use proxy::{Config, Proxy};
