//! What the black-box tests of every stage share: programs under test, peers that follow a script, readings from `/proc`.
//!
//! ```text
//!   test ── Peer (Client) ──▶ program under test (Server) ──▶ Scripted peer, Sink, BlackHole, Upstream::python
//!    │                              ▲                             │
//!    │                    proc: CPU, fds, memory                  │
//!    └──────────────── Transcript: every action is a step ◀───────┘
//! ```
//!
//! A test begins like this:
//! ```no_run
//! use harness::{Client, Rng, Server, Test};
//! # let program = "/bin/false";
//! // In a stage's test: let program = harness::bin!("stage1-server");
//! let _test = Test::begin("One read is not one line: keep reading until the line feed has come.");
//! let server = Server::start(program, &["--listen", "127.0.0.1:0"]);
//! let client = Client::connect(server.addr());
//! client.send(b"abc\n");
//! client.expect(b"cba\n");
//! ```
//!
//! Read in this order: [`failure`] (how a test begins and fails), [`transcript`], [`deadline`], [`program`],
//! [`process`], [`finished`], [`server`], [`cause`], [`connect`], [`peer`], [`send`], [`receive`], [`scripted`], [`hand`] and [`ready`],
//! [`gate`], [`watchdog`], [`proc`], [`sockets`], [`inspector`], [`nonce`], [`digest`], [`diff`]. What several stages must pass
//! stands here once: [`lines`] holds the conversations of the line service, [`command_line`] what a program says when it is asked.
//!
//! Invariants:
//! 1. Nothing waits without a deadline, and `COURSE_TIME_SCALE` stretches all of them.
//! 2. Nothing sleeps in order to be late enough: a condition is asked again and again, or a [`Gate`] opens.
//! 3. Every port is chosen by the kernel; every address is a loopback address.
//! 4. Whatever a test starts ends with it: programs with their process group, threads, sockets.
//! 5. Random bytes come from one seed for each test, printed on failure, replayed by `COURSE_SEED`.
//! 6. A failure tells the whole story: headline, difference, numbered steps, last lines of stderr, hint.

mod captured;
pub mod cause;
pub mod command_line;
pub mod connect;
pub mod crowding;
pub mod deadline;
mod diag;
pub mod diff;
pub mod digest;
pub mod failure;
pub mod finished;
pub mod gate;
pub mod hand;
pub mod inspector;
pub mod lines;
pub mod nonce;
pub mod peer;
pub mod proc;
pub mod process;
pub mod program;
pub mod ready;
pub mod receive;
pub mod scripted;
pub mod send;
pub mod server;
pub mod sockets;
mod sync;
pub mod transcript;
pub mod upstream;
mod verdict;
pub mod watchdog;

pub use connect::Connect;
pub use deadline::{Deadline, PATIENCE, eventually, eventually_equal, option, scaled};
pub use digest::{Digest, Hasher};
pub use failure::{Failure, Test, ensure, expect_bytes, fail};
pub use finished::Finished;
pub use gate::Gate;
pub use hand::Hand;
pub use inspector::Inspector;
pub use nix::sys::signal::Signal;
pub use nonce::Rng;
pub use peer::{Peer, Peer as Client};
pub use process::Process;
pub use program::{Program, choose_binary};
pub use ready::{BlackHole, ClosedPort, Sink};
pub use receive::{Drained, End};
pub use scripted::Scripted;
pub use send::Sending;
pub use server::Server;
pub use transcript::Transcript;
pub use upstream::Upstream;
pub use watchdog::in_time;
