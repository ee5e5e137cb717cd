//! The input of a target, read as a script: what is missing at its end is zeros, so that each input is a whole script.

/// A script from its next step on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    /// Creates the script that these bytes are.
    #[must_use]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns whether everything was read.
    #[must_use]
    pub(crate) fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        first
    }

    /// Reads a number below `bound`, which is at least 1 and at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// Reads a number of two bytes.
    pub(crate) fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Reads a size in two bytes: small ones exactly, and others by their magnitude, up to 2 MiB.
    pub(crate) fn size(&mut self) -> u32 {
        let [magnitude, low] = self.short().to_be_bytes();
        let low = u32::from(low);
        match magnitude % 16 {
            0..=2 => low,
            3 => low << 4 | 15,
            // Close to the sizes of windows and frames, on both sides.
            4 => (256 * 1024 + low).saturating_sub(128),
            5 => (16 * 1024 + low).saturating_sub(128),
            6 => (1024 * 1024 + low).saturating_sub(128),
            7 => u32::MAX - low,
            more => (256 | low) << (more - 7),
        }
    }

    /// Takes at most `length` bytes as they are.
    pub(crate) fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Takes the rest.
    pub(crate) fn take_all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}
