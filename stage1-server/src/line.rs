//! The line service without a socket: bytes go in, reversed lines come out.
//!
//! TCP carries bytes, not messages: one read may bring half a line or a hundred lines. Nothing in
//! this file reads, writes or waits, so stage 3 uses it again behind a very different loop.

use std::io;
use std::mem;

/// The most bytes that a line may have before its newline: 64 KiB.
///
/// Without a bound, one client that never sends a newline could fill the server's memory.
pub const MAX_LINE: usize = 64 * 1024;

/// A line is longer than [`MAX_LINE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {MAX_LINE} bytes")]
pub struct LineTooLong;

impl From<LineTooLong> for io::Error {
    fn from(error: LineTooLong) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Reverses the bytes of `line` and leaves a final newline in its place.
///
/// Bytes, not characters: text that is not ASCII comes out as other text. Reversing a line twice
/// gives the line back, whatever its bytes are.
///
/// ```
/// let mut line = *b"stressed\n";
/// stage1_server::reverse_line(&mut line);
/// assert_eq!(&line, b"desserts\n");
/// ```
pub fn reverse_line(line: &mut [u8]) {
    match line {
        [text @ .., b'\n'] => text.reverse(),
        text => text.reverse(),
    }
}

/// Collects bytes in pieces of any size, and hands out complete lines.
///
/// ```
/// use stage1_server::LineBuffer;
///
/// let mut buffer = LineBuffer::new();
/// buffer.extend(b"one\ntw");
/// assert_eq!(buffer.next_line().unwrap().unwrap(), b"one\n");
/// assert_eq!(buffer.next_line(), Ok(None));
/// buffer.extend(b"o\nthree");
/// assert_eq!(buffer.next_line().unwrap().unwrap(), b"two\n");
/// assert_eq!(buffer.next_line(), Ok(None));
/// assert_eq!(buffer.rest().unwrap(), b"three");
/// ```
///
/// Its memory is bounded as long as every line is taken before the next [`LineBuffer::extend`]: by
/// [`MAX_LINE`] and one such piece.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// The first byte of the first line that was not taken yet.
    start: usize,
    /// There is no newline between `start` and here, so that no byte is searched twice.
    searched: usize,
}

impl LineBuffer {
    /// Creates an empty buffer, which owns no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes that have arrived, after forgetting the lines that were taken.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next complete line, with its newline; `None` means that more bytes are needed.
    ///
    /// # Errors
    /// Fails as soon as the line has more than [`MAX_LINE`] bytes, whether or not its newline has
    /// arrived, so that the answer does not depend on how the bytes were cut. It stays failed.
    pub fn next_line(&mut self) -> Result<Option<&mut [u8]>, LineTooLong> {
        let unsearched = &self.bytes[self.searched..];
        let newline = unsearched.iter().position(|&byte| byte == b'\n');
        let end = newline.map_or(self.bytes.len(), |offset| self.searched + offset);
        self.searched = end;
        if end - self.start > MAX_LINE {
            return Err(LineTooLong);
        }
        Ok(newline.map(|_| self.take_until(end + 1)))
    }

    /// Takes the last line at the end of the input, if it has no newline.
    ///
    /// Call it after [`LineBuffer::next_line`] has returned `None`.
    pub fn rest(&mut self) -> Option<&mut [u8]> {
        let end = self.bytes.len();
        (self.start < end).then(|| self.take_until(end))
    }

    fn take_until(&mut self, end: usize) -> &mut [u8] {
        let start = mem::replace(&mut self.start, end);
        self.searched = end;
        &mut self.bytes[start..end]
    }
}

/// Reverses every complete line of `input` and appends it to `output`.
///
/// # Errors
/// Fails at a line that is too long; the lines before it are in `output` and are still to be sent.
pub fn answer_lines(input: &mut LineBuffer, output: &mut Vec<u8>) -> Result<(), LineTooLong> {
    while let Some(line) = input.next_line()? {
        reverse_line(line);
        output.extend_from_slice(line);
    }
    Ok(())
}

/// Reverses the last line of `input`, which has no newline, and appends it to `output`.
///
/// Call it once, when the client has ended its input.
pub fn answer_rest(input: &mut LineBuffer, output: &mut Vec<u8>) {
    if let Some(line) = input.rest() {
        reverse_line(line);
        output.extend_from_slice(line);
    }
}

#[cfg(test)]
mod tests {
    use harness::expect_bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Everything that a client gets back for `pieces`.
    fn answers<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, LineTooLong> {
        let (mut input, mut output) = (LineBuffer::new(), Vec::new());
        for piece in pieces {
            input.extend(piece);
            answer_lines(&mut input, &mut output)?;
        }
        answer_rest(&mut input, &mut output);
        Ok(output)
    }

    /// The same service, written in the simplest way for input that is all there.
    fn expected(whole: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        for line in whole.split_inclusive(|&byte| byte == b'\n') {
            let (text, newline) = match line.strip_suffix(b"\n") {
                Some(text) => (text, &b"\n"[..]),
                None => (line, &b""[..]),
            };
            output.extend(text.iter().rev());
            output.extend(newline);
        }
        output
    }

    #[test]
    fn lines_are_reversed_and_keep_their_newline() {
        let table: [(&[u8], &[u8]); 8] = [
            (b"", b""),
            (b"\n", b"\n"),
            (b"a\n", b"a\n"),
            (b"abc\n", b"cba\n"),
            (b"abc", b"cba"),
            (b"ab\r\n", b"\rba\n"),
            (b"\n\n", b"\n\n"),
            (b"\0\xff\n", b"\xff\0\n"),
        ];
        for (line, reversed) in table {
            let mut copy = line.to_vec();
            reverse_line(&mut copy);
            let case = format!("The line {:?}, reversed,", line.escape_ascii().to_string());
            expect_bytes(&case, reversed, &copy);
        }
    }

    #[test]
    fn every_cut_into_two_gives_the_same_answers() {
        let whole = b"one\n\ntwo three\r\n\0\xff\nlast";
        for cut in 0..=whole.len() {
            let (first, second) = whole.split_at(cut);
            let answered = answers([first, second]).expect("no line is too long");
            expect_bytes(
                &format!("What was answered to bytes that were cut at {cut}"),
                &expected(whole),
                &answered,
            );
        }
    }

    #[test]
    fn the_longest_line_fits_and_one_byte_more_does_not() {
        let longest = [vec![b'x'; MAX_LINE], b"\n".to_vec()].concat();
        let too_long = [vec![b'x'; MAX_LINE + 1], b"\n".to_vec()].concat();
        for size in [1000, MAX_LINE, MAX_LINE + 1, MAX_LINE + 2] {
            // Only the lengths, because the bytes of a line would fill a screen.
            let lengths = [&longest, &too_long].map(|line| {
                let answered = answers(line.chunks(size));
                answered.map(|bytes| bytes.len())
            });
            assert_eq!(
                lengths,
                [Ok(MAX_LINE + 1), Err(LineTooLong)],
                "how many bytes are answered to a line of MAX_LINE bytes and its newline, and to one of a byte more, both in \
                 pieces of {size}"
            );
        }
    }

    #[test]
    fn lines_before_a_line_that_is_too_long_are_answered() {
        let (mut input, mut output) = (LineBuffer::new(), Vec::new());
        input.extend(b"ok\n");
        input.extend(&[b'x'; MAX_LINE + 1]);
        let answered = answer_lines(&mut input, &mut output);
        assert_eq!(answered, Err(LineTooLong), "a line of MAX_LINE + 1 bytes");
        expect_bytes(
            "What was answered before the line that is too long",
            b"ko\n",
            &output,
        );
        let again = input.next_line();
        assert_eq!(again, Err(LineTooLong), "the next call must fail, too");
    }

    #[test]
    fn memory_stays_bounded() {
        let (mut input, mut output) = (LineBuffer::new(), Vec::new());
        let piece = [b"ab\n".repeat(1000), vec![b'x'; 50_000], b"\n".to_vec()].concat();
        for part in piece.repeat(20).chunks(4096) {
            input.extend(part);
            answer_lines(&mut input, &mut output).unwrap();
            output.clear();
            assert!(
                input.bytes.len() <= MAX_LINE + part.len(),
                "the buffer holds {} bytes, although all lines were taken: extend must remove the taken ones",
                input.bytes.len()
            );
        }
    }

    /// Bytes with many newlines among them.
    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n')], 0..300)
    }

    proptest! {
        #[test]
        fn reversing_twice_changes_nothing(text in any_bytes(), newline in any::<bool>()) {
            let mut line: Vec<u8> = text.into_iter().filter(|&byte| byte != b'\n').collect();
            line.extend(newline.then_some(b'\n'));
            let mut copy = line.clone();
            reverse_line(&mut copy);
            reverse_line(&mut copy);
            prop_assert_eq!(copy, line);
        }

        #[test]
        fn cuts_do_not_matter(pieces in vec(any_bytes(), 0..12)) {
            let whole = pieces.concat();
            let answered = answers(pieces.iter().map(Vec::as_slice));
            prop_assert_eq!(answered, Ok(expected(&whole)));
        }
    }
}
