//! The memory for one read, lent to the clients and to the exchange in turn.
//!
//! A part of a response stays here until it is delivered. It consists of two pieces, a rewritten
//! head and a range of the bytes read, so that a body is never copied on its way to writev(2).

use std::mem;
use std::ops::Range;

use stage4_proxy::buffer::Buffer;

/// The largest body that is appended to its head: up to here, a copy is cheaper than a second
/// piece in writev(2).
const COPY: usize = 4096;

/// Memory for one read, and the part of a response that it contains.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Room for a read; `count` bytes of it are in use.
    read: Vec<u8>,
    count: usize,
    /// The beginning of a head that arrived earlier, with the bytes of the read behind it; empty
    /// if the read begins at the border of a head or in a body.
    joined: Buffer,
    /// The rewritten head of a response, or the framing of a part of it.
    head: Vec<u8>,
    /// The bytes of the input that follow `head` unchanged.
    body: Range<usize>,
}

impl Scratch {
    /// Creates the memory for reads of `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self {
            read: vec![0; size],
            count: 0,
            joined: Buffer::new(),
            head: Vec::new(),
            body: 0..0,
        }
    }

    /// Returns the room for a read.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.read
    }

    /// Takes `count` bytes as just read, behind those of `carry`, and returns the input for the
    /// framing, and where the framing writes a head.
    pub(super) fn take_in(&mut self, carry: &mut Buffer, count: usize) -> (&[u8], &mut Vec<u8>) {
        self.count = count;
        self.joined = mem::take(carry);
        if !self.joined.is_empty() {
            self.joined.append(&self.read[..count]);
        }
        self.head.clear();
        let input = input(&self.joined, &self.read[..count]);
        (input, &mut self.head)
    }

    /// Passes on the head and a range of the input.
    pub(super) fn pass(&mut self, body: Range<usize>) {
        self.body = body;
        if self.body.len() <= COPY {
            let input = input(&self.joined, &self.read[..self.count]);
            self.head.extend_from_slice(&input[self.body.clone()]);
            self.body = 0..0;
        }
    }

    /// Passes on nothing.
    pub(super) fn pass_nothing(&mut self) {
        self.head.clear();
        self.body = 0..0;
    }

    /// Returns the part of the response to be delivered, in two pieces.
    pub(super) fn response(&self) -> (&[u8], &[u8]) {
        let input = input(&self.joined, &self.read[..self.count]);
        (&self.head, &input[self.body.clone()])
    }

    /// Returns the number of bytes to be delivered.
    pub(super) fn response_len(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

fn input<'a>(joined: &'a Buffer, read: &'a [u8]) -> &'a [u8] {
    if joined.is_empty() {
        read
    } else {
        joined.pending()
    }
}
