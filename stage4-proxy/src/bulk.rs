//! Decides for each read of one direction: copy the bytes, or splice them?
//!
//! Copying is cheaper for small messages, splicing for bulk. So a direction copies until
//! [`BULK_AFTER`] reads in a row have filled the buffer, and splices until one brings less.
//!
//! If only one session is active, splicing outruns the sender: the worker finds the source empty
//! after every piece and sleeps, and the wake-ups cost more than the copies that were saved. So a
//! lone direction that is ahead of its source copies, until a turn ends with bytes left to read.
//!
//! ```text
//!             BULK_AFTER full reads in a row
//!   small  ────────────────────────────────────▶ bulk
//!          ◀────────────────────────────────────
//!             a read that is not full
//!
//!             a splice finds the source empty, no other session is active
//!   behind ────────────────────────────────────▶ ahead
//!          ◀────────────────────────────────────
//!             the turn ends with bytes left to read,
//!             or a splice finds the source empty while others are active
//!
//!   splice = bulk, unless ahead and alone
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
/// Ask [`Bulk::wants_splice`] before each read and tell the outcome to [`Bulk::after_read`] or
/// [`Bulk::source_empty`]; [`Bulk::turn_over`] is called when a turn ends with bytes left to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bulk {
    /// Full reads in a row, counted up to [`BULK_AFTER`].
    full_reads: u8,
    /// The last splice found the source empty while no other session was active.
    ahead: bool,
}

impl Bulk {
    /// Returns whether the next read should splice; `alone` tells that no other session is active.
    #[must_use]
    pub(crate) fn wants_splice(self, alone: bool) -> bool {
        self.full_reads >= BULK_AFTER && !(self.ahead && alone)
    }

    /// Notes how much a read or a splice has brought.
    pub(crate) fn after_read(&mut self, fill: Fill) {
        self.full_reads = match fill {
            Fill::Full => BULK_AFTER.min(self.full_reads.saturating_add(1)),
            Fill::Partial => 0,
        };
    }

    /// Notes that a splice found nothing to read.
    pub(crate) fn source_empty(&mut self, alone: bool) {
        self.ahead = alone;
    }

    /// Notes that the turn was too short for the bytes that the source has.
    pub(crate) fn turn_over(&mut self) {
        self.ahead = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state that a direction can be in: full reads in a row, ahead of its source.
    const STATES: [(u8, bool); 6] = [
        (0, false),
        (1, false),
        (2, false),
        (0, true),
        (1, true),
        (2, true),
    ];

    fn bulk((full_reads, ahead): (u8, bool)) -> Bulk {
        Bulk { full_reads, ahead }
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Read(Fill),
        SourceEmpty { alone: bool },
        TurnOver,
    }

    #[test]
    fn every_event_leads_from_every_state_to_the_next() {
        let behind = [(0, false), (1, false), (2, false)];
        let ahead = [(0, true), (1, true), (2, true)];
        // (event, the next states of the states that are behind, and of those that are ahead)
        let table = [
            (
                Event::Read(Fill::Full),
                [(1, false), (2, false), (2, false)],
                [(1, true), (2, true), (2, true)],
            ),
            (Event::Read(Fill::Partial), [(0, false); 3], [(0, true); 3]),
            (Event::SourceEmpty { alone: true }, ahead, ahead),
            (Event::SourceEmpty { alone: false }, behind, behind),
            (Event::TurnOver, behind, behind),
        ];
        for (event, from_behind, from_ahead) in table {
            let next_states = from_behind.into_iter().chain(from_ahead);
            for (state, expected) in STATES.into_iter().zip(next_states) {
                let mut next = bulk(state);
                match event {
                    Event::Read(fill) => next.after_read(fill),
                    Event::SourceEmpty { alone } => next.source_empty(alone),
                    Event::TurnOver => next.turn_over(),
                }
                assert_eq!(next, bulk(expected), "{event:?} in {state:?}");
            }
        }
    }

    #[test]
    fn bulk_is_spliced_unless_it_is_alone_and_ahead() {
        let table = [
            (false, [false, false, true, false, false, true]),
            (true, [false, false, true, false, false, false]),
        ];
        for (alone, expected) in table {
            let wishes = STATES.map(|state| bulk(state).wants_splice(alone));
            assert_eq!(wishes, expected, "alone: {alone}");
        }
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
