//! Stage 2: a TCP client: resolve, connect, converse.

mod connect;
mod resolve;
mod target;

pub use connect::{connect, finish_connect, start_connect};
pub use resolve::{Prefer, order, resolve};
pub use target::{Host, Target, TargetError};
