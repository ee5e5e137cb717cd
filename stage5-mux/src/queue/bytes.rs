//! A buffer that is filled again before it is empty.

use stage4_proxy::buffer::Buffer;

/// A [`Buffer`] whose memory is bounded by what waits in it, also if it never becomes empty.
///
/// A relayed half fills its buffer again only when it is empty; a queue's buffers do not wait for
/// that, so the room of consumed bytes has to be won back now and then.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    buffer: Buffer,
    /// Bytes that were consumed and whose room is not won back.
    consumed: usize,
}

impl Bytes {
    /// Returns the bytes that wait.
    pub(super) fn pending(&self) -> &[u8] {
        self.buffer.pending()
    }

    /// Returns how many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Says whether no byte waits.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Adds bytes at the end. Every byte is moved once at most to win room back, on average.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.consumed > self.buffer.len() {
            let mut fresh = Buffer::new();
            fresh.append(self.buffer.pending());
            self.buffer = fresh;
            self.consumed = 0;
        }
        self.buffer.append(bytes);
    }

    /// Takes bytes from the front, and gives the memory back with the last one.
    pub(super) fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
        self.consumed = if self.is_empty() {
            0
        } else {
            self.consumed + count
        };
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let mut bytes = Bytes::default();
        let (mut put, mut got) = (Vec::new(), Vec::new());
        for round in 0..1000_u32 {
            let piece = round.to_le_bytes();
            bytes.append(&piece);
            put.extend_from_slice(&piece);
            let count = bytes.len().min(3 + round as usize % 3);
            got.extend_from_slice(&bytes.pending()[..count]);
            bytes.consume(count);
        }
        got.extend_from_slice(bytes.pending());
        assert_eq!(got, put);
    }

    #[test]
    fn consumed_bytes_do_not_pile_up() {
        let mut bytes = Bytes::default();
        bytes.append(b"never empty");
        for _ in 0..10_000 {
            bytes.append(&[7; 100]);
            bytes.consume(100);
            assert!(bytes.consumed <= 2 * 111 + 100);
        }
    }
}
