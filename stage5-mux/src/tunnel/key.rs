//! The handle of a stream in this process.

/// Names a stream from its opening to its end, and no other stream after that.
///
/// The number of a stream on the wire would not do: a peer may use it again while a result for the old stream, for
/// example of a dial, is still on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    slot: u32,
    generation: u32,
}

impl StreamKey {
    /// Creates the handle for the stream in a slot; each stream of the slot has another generation.
    #[must_use]
    pub fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// Returns the place of the stream in tables, counted from 0: the caller's rows can have the same order.
    #[must_use]
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// Returns what tells it from other streams of the same slot.
    #[must_use]
    pub fn generation(self) -> u32 {
        self.generation
    }
}
