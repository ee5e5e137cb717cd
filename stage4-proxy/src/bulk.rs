//! Decides for each read of one direction: copy the bytes, or splice them?
//!
//! Copying is cheaper for small messages, splicing for bulk. So a direction copies until
//! [`BULK_AFTER`] reads in a row have filled the buffer, and splices until one brings less.
//!
//! ```text
//!             BULK_AFTER full reads in a row
//!   small  ────────────────────────────────────▶ bulk
//!          ◀────────────────────────────────────
//!             a read that is not full
//! ```

/// Full reads in a row after which a transfer counts as bulk.
pub(crate) const BULK_AFTER: u8 = 2;

/// How much of the buffer one read has filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// All of it: the source may have more.
    Full,
    /// A part or nothing: the source has no more for now, or has ended.
    Partial,
}

impl Fill {
    /// Compares the bytes that a read has brought with the size of the buffer.
    #[must_use]
    pub(crate) fn of(count: usize, room: usize) -> Self {
        if count < room {
            Self::Partial
        } else {
            Self::Full
        }
    }
}

/// The history of one direction, as far as it decides about the next read.
///
/// Ask [`Bulk::wants_splice`] before each read and tell the outcome to [`Bulk::after_read`]. A read
/// that finds the source empty is no outcome: a transfer stays bulk while it waits for its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bulk {
    /// Full reads in a row, counted up to [`BULK_AFTER`].
    full_reads: u8,
}

impl Bulk {
    /// Returns whether the next read should splice.
    #[must_use]
    pub(crate) fn wants_splice(self) -> bool {
        self.full_reads >= BULK_AFTER
    }

    /// Notes how much a read or a splice has brought.
    pub(crate) fn after_read(&mut self, fill: Fill) {
        self.full_reads = match fill {
            Fill::Full => BULK_AFTER.min(self.full_reads.saturating_add(1)),
            Fill::Partial => 0,
        };
    }
}

#[cfg(test)]
impl Bulk {
    /// The state after [`BULK_AFTER`] full reads.
    pub(crate) const BULK: Self = Self {
        full_reads: BULK_AFTER,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state that a direction can be in.
    const STATES: [Bulk; 3] = [
        Bulk { full_reads: 0 },
        Bulk { full_reads: 1 },
        Bulk { full_reads: 2 },
    ];

    #[test]
    fn a_read_leads_from_every_state_to_the_next() {
        for (fill, next) in [(Fill::Full, [1, 2, 2]), (Fill::Partial, [0, 0, 0])] {
            for (before, full_reads) in STATES.into_iter().zip(next) {
                let mut bulk = before;
                bulk.after_read(fill);
                assert_eq!(
                    bulk,
                    Bulk { full_reads },
                    "a {fill:?} read after {before:?}"
                );
            }
        }
    }

    #[test]
    fn two_full_reads_are_bulk() {
        assert_eq!(STATES.map(Bulk::wants_splice), [false, false, true]);
    }

    #[test]
    fn a_read_is_full_when_it_leaves_no_room() {
        let fills = [0, 7, 8, 9].map(|count| Fill::of(count, 8));
        assert_eq!(
            fills,
            [Fill::Partial, Fill::Partial, Fill::Full, Fill::Full]
        );
    }
}
