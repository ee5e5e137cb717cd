//! Stage 4: a TCP proxy with an array route table.
//!
//! ```text
//!              +---------------- Worker (one thread) -----------------+
//!              |  Listener        RouteTable            Poll, Timers  |
//!              |                                                      |
//!  client ---->|  accept ---> row: Session { client, upstream }       |----> upstream
//!         <----|                        |  up   = Half + Buffer  |    |<----
//!              |                        |  down = Half + Buffer  |    |
//!              +------^--------------------------------^--------------+
//!                     | mailbox + eventfd              |
//!              Resolver threads                   Inspector
//! ```
//!
//! # Reading order
//!
//! 1. [`naive`]: the proxy as a beginner writes it, with its faults.
//! 2. [`token`], [`route_table`]: which session does an event mean?
//! 3. [`buffer`], [`half`]: one direction as a state machine, without I/O.
//! 4. `endpoint`, `pipe`, `bulk`, `relay`: system calls on relayed bytes; copy or splice.
//! 5. [`ingress`], `session`: the phases from the first byte to the last.
//! 6. [`timers`], `listener`, `mailbox`, [`resolve`]: time, room, other threads.
//! 7. `worker`: the event loop that ties it together; [`proxy`]: several of them.
//! 8. `report`, [`inspect`], [`control`]: what an operator sees, and can ask for.
//!
//! # Invariants
//!
//! 1. Events are hints, only system calls are facts.
//! 2. A socket belongs to one session; removing the row closes both sockets.
//! 3. A token whose generation differs from its cell's reaches nobody.
//! 4. A half holds at most one read: no memory grows with what a peer sends.
//! 5. A FIN is passed on after the last byte; a reset is passed on as a reset.
//! 6. The loop never blocks: no name is resolved, no lock is waited for in it.
//! 7. Every bound stands in [`Limits`].

pub mod access;
pub mod buffer;
mod bulk;
pub mod connect_error;
pub mod control;
mod egress;
mod endpoint;
pub mod half;
pub mod ingress;
pub mod inspect;
mod limits;
mod listener;
mod mailbox;
pub mod naive;
mod pipe;
pub mod proxy;
mod relay;
mod report;
pub mod resolve;
pub mod route_table;
mod scratch;
mod session;
pub mod timers;
pub mod token;
mod worker;

pub use control::Control;
pub use limits::{Limits, raise_fd_limit};
pub use proxy::{Config, Proxy};
