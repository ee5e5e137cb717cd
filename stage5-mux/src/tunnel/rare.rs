//! A buffer for bytes that most connections never have to keep.

use stage4_proxy::buffer::Buffer;

/// A buffer that is only a pointer while it is empty. Each stream has two, and an idle stream should cost little.
#[derive(Debug, Default)]
pub(super) struct RareBuffer(Option<Box<Buffer>>);

impl RareBuffer {
    /// Returns the pending bytes.
    pub(super) fn pending(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |buffer| buffer.pending())
    }

    /// Returns the number of pending bytes.
    pub(super) fn len(&self) -> usize {
        self.pending().len()
    }

    /// Returns whether no byte is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds bytes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().append(bytes);
        }
    }

    /// Puts bytes before the pending ones.
    pub(super) fn put_before(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().put_before(bytes);
        }
    }

    /// Removes bytes from the front.
    ///
    /// # Panics
    ///
    /// Panics if there were not so many.
    pub(super) fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "more consumed than there was");
        if let Some(buffer) = &mut self.0 {
            buffer.consume(count);
        }
        self.0.take_if(|buffer| buffer.is_empty());
    }

    /// Drops all pending bytes.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_owns_memory_only_while_bytes_are_pending() {
        let mut buffer = RareBuffer::default();
        buffer.append(b"");
        buffer.put_before(b"");
        buffer.consume(0);
        assert!(buffer.is_empty());
        buffer.append(b"world");
        buffer.put_before(b"hello ");
        assert_eq!(buffer.pending(), b"hello world");
        buffer.consume(6);
        assert_eq!((buffer.pending(), buffer.len()), (&b"world"[..], 5));
        assert!(!buffer.is_empty());
        buffer.consume(5);
        assert!(buffer.is_empty());
        assert_eq!(size_of::<RareBuffer>(), size_of::<usize>());
    }

    #[test]
    #[should_panic(expected = "more consumed")]
    fn more_than_there_is_cannot_be_consumed() {
        let mut buffer = RareBuffer::default();
        buffer.append(b"ab");
        buffer.consume(3);
    }
}
