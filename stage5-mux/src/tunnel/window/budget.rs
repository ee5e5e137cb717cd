//! The memory that the windows of a link may grow by, all together.

/// What is left of a link's memory for windows beyond their first size.
///
/// Without it, eight streams with windows of 16 MiB could stand 128 MiB of bytes in front of a small answer.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: u64,
    all: u64,
    max_window: u32,
}

impl Budget {
    /// Creates a budget of `bytes` for windows of at most `max_window` bytes.
    #[must_use]
    pub fn new(bytes: u64, max_window: u32) -> Self {
        Self {
            left: bytes,
            all: bytes,
            max_window,
        }
    }

    /// Returns whether some of it is taken.
    #[must_use]
    pub fn is_used(self) -> bool {
        self.left < self.all
    }

    /// Takes the bytes `beyond` what a window has taken already, and returns whether the window may have `size`.
    pub(super) fn take(&mut self, size: u32, beyond: u32) -> bool {
        let left = self.left.checked_sub(u64::from(beyond));
        match left {
            Some(left) if size <= self.max_window => {
                self.left = left;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Gives bytes back.
    pub(super) fn give(&mut self, bytes: u32) {
        self.left += u64::from(bytes);
        debug_assert!(self.left <= self.all, "more was given back than taken");
    }
}
