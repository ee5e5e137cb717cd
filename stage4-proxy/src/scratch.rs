//! The memory and the pipes that a worker lends to one session at a time.

use crate::limits::Limits;
use crate::pipe::PipePool;

/// Memory and pipes that a worker lends to the session whose turn it is.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// The target of each read; one buffer serves all sessions, so that an idle one owns none.
    pub(crate) bytes: Box<[u8]>,
    /// The pipes for splice(2).
    pub(crate) pipes: PipePool,
    /// The worker drains: it accepts no client, and closes the open connections as soon as their protocol lets it.
    pub(crate) is_draining: bool,
    /// Bytes that one splice(2) may put into a pipe.
    pub(crate) pipe_size: usize,
    /// Bytes that a direction may move before other sessions get their turn.
    pub(crate) bytes_per_turn: u64,
}

impl Scratch {
    /// Creates the scratch memory that `limits` describe.
    #[must_use]
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            bytes: vec![0; limits.chunk].into_boxed_slice(),
            pipes: PipePool::new(limits.pipes, limits.pipe_size),
            is_draining: false,
            pipe_size: limits.pipe_size,
            bytes_per_turn: limits.bytes_per_turn as u64,
        }
    }
}
