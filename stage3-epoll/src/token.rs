//! Token: the number that comes back with an event.

/// The 64 bits that `epoll_ctl(2)` stores for a file descriptor and `epoll_wait(2)` gives back.
///
/// The kernel never looks at them: their meaning is up to the code that registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);
