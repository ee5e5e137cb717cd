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
//! Free of I/O and of clocks:
//!
//! 1. [`role`], [`frame`]: the two ends, and what a frame says.
//! 2. [`wire`]: what a wire format provides; [`yamux`] and [`multiplex`] are the two there are.
//! 3. [`reader`]: frames in a stream of bytes that is cut anywhere.
//! 4. [`window`]: how much each direction of a stream may carry, and when that grows.
//! 5. [`scheduler`]: which stream sends next; [`key`] names it.
//! 6. [`event`]: what a session and its caller tell each other; [`stream`]: the states of a stream.
//! 7. [`session`]: the machine; `session/input.rs` is what arrives, `session/output.rs` what goes out.
//! 8. [`secret`]: the proof that both ends know one secret, before the session begins.
//! 9. `batch`: the next write; `control`: what is owed; `rate`: how fast the link is; `keepalive`: whether
//!    the peer is there; `streams`: the table.
//!
//! With sockets, three borders:
//!
//! 10. `bridge`: TCP to stream; `local` is one connection, `rare` its buffers, `locals` the table; `reception`: where
//!     clients come in, with the ingresses of stage 4; `racing`: which targets the server dials, and how; `dial`: a
//!     connect for the link.
//! 11. `session` again: the mux layer.
//! 12. `link`: the link that comes and goes; `linker` makes it, and `proving` is the [`secret`] over a connection;
//!     `worker/linking.rs` reads, fills and loses it.
//!     [`transport`] is the border to the connection that carries it: `transport/opener.rs` and `transport/listening.rs` make one,
//!     `endpoint` is a socket, `transport/pipes.rs` two descriptors, `transport/exec.rs` a command.
//! 13. `worker`: the event loop; [`service`]: the thread around it; [`limits`]: every bound.
//! 14. `hops`: the names under which each step of the data flow is logged; `report`, `section`: what the inspector shows.
//! 15. [`multiplexer`]: the tunnel as a library: an application opens a [`byte_stream`] to a peer.
//!
//! # How a target travels
//!
//! ```text
//!   client's end                          on the stream                    server's end
//!   handshake (SOCKS5, HTTP) ── request header of the chain: target ──▶ resolve, judge, dial
//!   reply in its own words ◀── response header: status, a sentence ──── connected, or why not
//!                          ◀──────────── bytes of both ends ───────────▶
//! ```
//!
//! The two headers are those of [`chain`](stage4_proxy::chain), so the server is a hop. A client without an ingress that
//! names targets sends no header, and then the server has its own `--upstream`.
//!
//! # Invariants
//!
//! 1. Reading the link never waits for writing it. Only a wire without windows stalls, for one slow reader.
//! 2. A stream holds no more than its window; all windows together grow within one budget.
//! 3. What is owed to the peer is state, and no queue: no peer can make it grow by not reading.
//! 4. A local side is read only when the link has room for its bytes: there is no send buffer for a stream.
//! 5. Of the planned frames, only the one whose first byte is out is fixed.
//! 6. A number of a stream is used once by us; a handle names one stream, whatever the peer does with numbers.
//! 7. The server dials no address that its access rules have not judged, and no client chooses one of them otherwise.
//! 8. A failure of a stream ends this stream; a failure of the link ends all of them, each with its own fate.

mod batch;
mod bridge;
pub mod byte_stream;
mod control;
mod dial;
pub mod event;
pub mod frame;
mod hops;
mod keepalive;
pub mod key;
pub mod limits;
mod link;
mod linker;
mod local;
mod locals;
mod message;
pub mod multiplex;
pub mod multiplexer;
mod proving;
mod racing;
mod rare;
mod rate;
pub mod reader;
mod reception;
mod report;
pub mod role;
pub mod scheduler;
pub mod secret;
mod section;
pub mod service;
pub mod session;
pub mod stream;
mod streams;
mod tally;
pub mod transport;
pub mod window;
pub mod wire;
mod worker;
pub mod yamux;
