//! Unsigned LEB128 of at most 32 bits.

use crate::tunnel::frame::Violation;
use crate::tunnel::wire::Header;

/// The front of the input, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Varint {
    /// Its last byte is missing.
    Partial,
    /// The number, and its length in bytes.
    Complete(u32, usize),
}

/// Decodes the number at the front of `input`.
///
/// # Errors
///
/// Fails if the number does not fit into 32 bits, or is written with more than five bytes.
pub(super) fn decode(input: &[u8]) -> Result<Varint, Violation> {
    let mut number = 0;
    for (index, &byte) in input.iter().enumerate() {
        let bits = u32::from(byte & 127);
        // The fifth byte has room for the last four of 32 bits, and no byte may follow.
        if index > 4 || index == 4 && byte > 15 {
            return Err(Violation::NumberTooLarge);
        }
        number |= bits << (7 * index);
        if byte < 128 {
            return Ok(Varint::Complete(number, index + 1));
        }
    }
    Ok(Varint::Partial)
}

/// Appends a number to a header.
pub(super) fn encode(mut number: u32, header: &mut Header) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return header.push(&[low & 127]);
        }
        header.push(&[low | 128]);
    }
}
