//! Stage 3: an event loop on epoll: the service of stage 1 for any number of clients.

mod interest;
mod poll;
mod token;
mod waker;

pub use interest::Interest;
pub use poll::{Event, Events, Poll, Readiness};
pub use token::Token;
pub use waker::Waker;
