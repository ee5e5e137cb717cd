//! The harness of the black-box tests: programs under test, scripted peers, and readings from `/proc`.
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
//! let _test = Test::begin("One read is not one line: keep reading until the line feed arrives.");
//! let server = Server::start(program, &["--listen", "127.0.0.1:0"]);
//! let client = Client::connect(server.addr());
//! client.send(b"abc\n");
//! client.expect(b"cba\n");
//! ```
//!
//! Read in this order: [`mod@test`] (how a test begins and ends), [`failure`] (how it fails), [`transcript`], [`deadline`], [`mod@eventually`],
//! [`program`], [`process`], [`finished`], [`server`], [`cause`], [`peer`], [`connect`], [`send`], [`receive`], [`scripted`], [`hand`]
//! and [`ready`], [`gate`], [`watchdog`], [`proc`], [`sockets`], [`hangup`], [`inspector`], [`visitors`], [`rng`], [`digest`], [`diff`]. Four files hold what
//! several tests share: [`lines`] the conversations of the line service, [`command_line`] the help and the refusals,
//! [`inner_addresses`] the targets that a proxy must refuse, [`wire`] the frames of a tunnel's link.
//!
//! Invariants:
//! 1. Every wait has a deadline, and `COURSE_TIME_SCALE` stretches all deadlines.
//! 2. No test sleeps and hopes: it checks a condition again and again, or waits for a [`Gate`] to open.
//! 3. The kernel chooses every port; every address is a loopback address.
//! 4. Everything that a test starts ends with it: programs with their process group, threads, sockets.
//! 5. Random bytes come from one seed for each test, printed on failure, replayed by `COURSE_SEED`.
//! 6. A failure tells the whole story: headline, difference, numbered steps, last lines of stderr, hint.
//! 7. Files import each other in one direction only; `tests/house.rs` checks it, here and in every stage.

mod captured;
pub mod cause;
pub mod command_line;
pub mod connect;
pub mod deadline;
mod diag;
pub mod diff;
pub mod digest;
mod end;
pub mod eventually;
pub mod failure;
pub mod finished;
pub mod gate;
pub mod hand;
pub mod hangup;
pub mod inner_addresses;
pub mod inspector;
pub mod lines;
pub mod load;
pub mod peer;
pub mod proc;
pub mod process;
pub mod program;
pub mod ready;
pub mod receive;
pub mod rng;
pub mod scripted;
mod seed;
pub mod send;
pub mod server;
mod socket_options;
mod socket_row;
pub mod sockets;
mod stopping;
pub mod strace;
mod sync;
pub mod test;
pub mod transcript;
pub mod upstream;
pub mod verdict;
pub mod visitors;
pub mod watchdog;
pub mod wire;

pub use connect::Connect;
pub use deadline::{Deadline, PATIENCE, holds_by, option, scaled};
pub use digest::{Digest, Hasher};
pub use end::End;
pub use eventually::{eventually, eventually_equal};
pub use failure::{Failure, ensure, expect_bytes, expect_value, fail};
pub use finished::Finished;
pub use gate::Gate;
pub use hand::Hand;
pub use inspector::Inspector;
pub use nix::sys::signal::Signal;
pub use peer::{Peer, Peer as Client};
pub use process::Process;
pub use program::{Program, choose_binary};
pub use ready::{BlackHole, ClosedPort, Sink};
pub use receive::Drained;
pub use rng::Rng;
pub use scripted::Scripted;
pub use send::Sending;
pub use server::Server;
pub use test::Test;
pub use transcript::Transcript;
pub use upstream::Upstream;
pub use visitors::Visitors;
pub use watchdog::in_time;
