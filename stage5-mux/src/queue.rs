//! The queue: many clients share one upstream connection, one exchange at a time.

mod client;
mod clients;
mod exchange;
mod flight;
pub mod framing;
pub mod http1;
mod limits;
pub mod line;
mod link;
mod log;
mod message;
mod report;
pub mod request_queue;
mod scratch;
mod section;
mod service;
pub mod upstream;
mod worker;

pub use limits::Limits;
pub use service::{Config, FramingName, Queue};
