//! The head of a message: where it ends.

/// Finds the empty line that ends a head, in bytes that grow at the end.
///
/// Every line must end in CR LF. RFC 9112 section 2.2 lets a recipient accept a bare LF, but that
/// is where two parsers begin to disagree.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadFinder {
    /// How many bytes of empty lines were taken away.
    skipped: usize,
    /// Where the head begins, after the empty lines that RFC 9112 section 2.2 says to ignore.
    begin: usize,
    /// Where the current line begins.
    line: usize,
    /// How far the bytes were searched: the current line has no LF before here.
    searched: usize,
    /// The head has a byte.
    begun: bool,
}

/// Why no head is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHead {
    /// A line ends in LF without CR.
    BareLineFeed,
    /// The head is longer than `max` bytes.
    TooLarge,
}

impl HeadFinder {
    /// Finds the head in `bytes` and returns its begin and its end, after the empty line.
    ///
    /// # Errors
    ///
    /// Fails as soon as the bytes cannot become a head of at most `max` bytes.
    pub fn find(&mut self, bytes: &[u8], max: usize) -> Result<Option<(usize, usize)>, NoHead> {
        while let Some(offset) = bytes[self.searched..]
            .iter()
            .position(|&byte| byte == b'\n')
        {
            let feed = self.searched + offset;
            if feed == self.line || bytes[feed - 1] != b'\r' {
                return Err(NoHead::BareLineFeed);
            }
            let empty = feed == self.line + 1;
            let next = feed + 1;
            if self.skipped + next > max {
                return Err(NoHead::TooLarge);
            }
            if empty && self.line > self.begin {
                return Ok(Some((self.begin, next)));
            }
            if empty {
                // An empty line before the head: skipped, but counted against `max`.
                self.begin = next;
            }
            (self.line, self.searched) = (next, next);
        }
        self.searched = bytes.len();
        // A CR alone may become an empty line.
        self.begun = !matches!(bytes[self.begin..], [] | [b'\r']);
        if self.skipped + bytes.len() >= max {
            return Err(NoHead::TooLarge);
        }
        Ok(None)
    }

    /// Takes the empty lines before the head away, and returns how many bytes they have.
    ///
    /// The next call of [`HeadFinder::find`] gets its bytes without them.
    pub fn take_empty_lines(&mut self) -> usize {
        let count = std::mem::take(&mut self.begin);
        self.skipped += count;
        self.line -= count;
        self.searched -= count;
        count
    }

    /// Returns whether anything but empty lines has arrived.
    pub fn has_begun(&self) -> bool {
        self.begun
    }
}

#[cfg(test)]
mod tests;
