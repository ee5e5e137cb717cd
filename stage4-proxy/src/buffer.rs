//! A queue of bytes that could not be written yet.
//!
//! A buffer owns memory only while it holds bytes, so that an idle session owns none.

/// A queue of bytes: appended at the end, consumed from the front.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    consumed: usize,
}

impl Buffer {
    /// Creates an empty buffer, which owns no memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the pending bytes.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    /// Returns the number of pending bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.consumed
    }

    /// Returns whether no byte is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes at the end.
    ///
    /// The room of consumed bytes is reclaimed only when they outnumber the pending ones. So the
    /// memory stays below twice the largest number of pending bytes, and no byte is moved more than
    /// once for each byte consumed.
    pub fn append(&mut self, bytes: &[u8]) {
        if self.is_empty() {
            self.bytes.reserve_exact(bytes.len());
        } else if self.consumed > self.len() {
            self.bytes.drain(..self.consumed);
            self.consumed = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds bytes at the front; all pending bytes are copied, so this is for small buffers.
    pub fn put_before(&mut self, bytes: &[u8]) {
        self.bytes = [bytes, self.pending()].concat();
        self.consumed = 0;
    }

    /// Removes bytes from the front, and frees the memory with the last one.
    ///
    /// # Panics
    ///
    /// Panics if fewer than `count` bytes are pending.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "more consumed than there was");
        self.consumed += count;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Drops all bytes and frees the memory.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_at_the_front_come_first() {
        let mut buffer = Buffer::new();
        buffer.append(b"xxworld");
        buffer.consume(2);
        buffer.put_before(b"hello ");
        assert_eq!(buffer.pending(), b"hello world");
    }

    #[test]
    fn an_empty_buffer_owns_no_memory() {
        let mut buffer = Buffer::new();
        buffer.append(b"some bytes");
        buffer.consume(4);
        assert_eq!(buffer.pending(), b" bytes");
        buffer.consume(6);
        assert_eq!(buffer.bytes.capacity(), 0);
    }

    #[test]
    fn a_buffer_that_never_runs_empty_stays_small() {
        let mut buffer = Buffer::new();
        for _ in 0..10_000 {
            buffer.append(&[0; 10]);
            buffer.consume(if buffer.len() > 50 { 10 } else { 1 });
        }
        assert!(buffer.len() < 100);
        assert!(
            buffer.bytes.capacity() < 1000,
            "{}",
            buffer.bytes.capacity()
        );
    }

    #[test]
    #[should_panic(expected = "more consumed")]
    fn consuming_what_is_not_there_is_a_bug() {
        Buffer::new().consume(1);
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(pieces: Vec<Vec<u8>>, step in 1..7usize) {
            let mut buffer = Buffer::new();
            let (mut out, mut all) = (Vec::new(), Vec::new());
            for piece in pieces {
                buffer.append(&piece);
                all.extend_from_slice(&piece);
                let count = step.min(buffer.len());
                out.extend_from_slice(&buffer.pending()[..count]);
                buffer.consume(count);
            }
            out.extend_from_slice(buffer.pending());
            prop_assert_eq!(out, all);
        }
    }
}
