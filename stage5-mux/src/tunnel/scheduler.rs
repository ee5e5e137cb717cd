//! Which stream may send next: deficit round robin, and a stream that was idle comes first once.
//!
//! ```text
//!                     ready, and some of this round's quantum is left
//!   idle ──────────────────────────────────────────────────▶ fresh: 7 ▸ 2
//!    ▲ │                                                       │ the quantum is used
//!    │ │ ready, and none is left                               ▼
//!    │ └────────────────────────────────────────────────────▶ waiting: 9 ▸ 4 ▸ 1
//!    │                                                         │ ▲
//!    └── its turn, and it has nothing to send ─────────────────┤ │ the quantum is used: another one,
//!        (also from the list of the fresh)                     └─┘ at the end of the list
//! ```
//!
//! The fresh ones are first. A small request therefore waits for no bulk transfer at all, only for the bytes that are
//! on the link already; and a stream that sends much gets its share whatever the others do. Each stream has one
//! quantum in a round of the waiting ones, and may spend it in several parts: one that pauses again and again gets no
//! more than the others, only earlier.
//!
//! Source: Shreedhar and Varghese, "Efficient fair queuing using deficit round-robin" (1995), and the two lists of
//! fq_codel (RFC 8290 section 4.2), which replenishes a stream that pauses only when its turn comes.

use std::collections::VecDeque;

use crate::tunnel::key::StreamKey;

/// The bytes that a stream may send in one turn, at least: short enough for a small request to come through, long
/// enough for the system calls of the turn to be worth it.
pub const MIN_QUANTUM: usize = 16 * 1024;

/// A stream that has sent so many bytes while no other one has sent any is alone. On a link of 1 GB/s that takes 16 ms, so
/// that the requests of a stream beside it, which come a millisecond after the last response, never wait for a long frame.
pub(super) const ALONE_AFTER: usize = 16 * 1024 * 1024;

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In no list.
    Idle,
    /// In the list of those that were idle.
    Fresh,
    /// In the list of the others.
    Waiting,
}

/// What the scheduler knows of a stream.
#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    /// Whether it may have something to send.
    ready: bool,
    /// How many bytes it may send until its turn is over; below 0 if it has sent more.
    deficit: i32,
    /// The round in which it became idle.
    round: u32,
}

const IDLE: Entry = Entry {
    place: Place::Idle,
    ready: false,
    deficit: 0,
    // No stream gets a quantum in this round, so the first one is a new one.
    round: u32::MAX,
};

/// A stream whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The stream.
    pub key: StreamKey,
    /// How many bytes it may send before it is the next one's turn; at least 1.
    pub allowance: usize,
    /// Whether it was idle, so that its bytes go in front of those that wait.
    pub is_fresh: bool,
}

/// The order of the streams that have something to send.
#[derive(Debug)]
pub struct Scheduler {
    entries: Vec<Entry>,
    fresh: VecDeque<StreamKey>,
    waiting: VecDeque<StreamKey>,
    ready: usize,
    /// Counts how often each of the waiting ones has had its turn.
    round: u32,
    /// How many of them have not had it in this round.
    left_in_round: usize,
    /// The bytes that a stream may send in one turn.
    quantum: i32,
    /// The stream that has sent last, and how many bytes since another one has.
    last: Option<(StreamKey, usize)>,
}

impl Default for Scheduler {
    fn default() -> Self {
        let mut scheduler = Self {
            entries: Vec::new(),
            fresh: VecDeque::new(),
            waiting: VecDeque::new(),
            ready: 0,
            round: 0,
            left_in_round: 0,
            quantum: 0,
            last: None,
        };
        scheduler.set_quantum(MIN_QUANTUM);
        scheduler
    }
}

impl Scheduler {
    /// Sets how many bytes a stream may send in one turn. A link that is fast should take long turns: each one costs
    /// two system calls at both ends.
    pub fn set_quantum(&mut self, bytes: usize) {
        self.quantum = i32::try_from(bytes.max(MIN_QUANTUM)).unwrap_or(i32::MAX);
    }

    /// Returns whether two streams or more may have something to send.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        self.ready > 1
    }

    /// Returns whether this stream has been the only one that sends for a while, and still is.
    #[must_use]
    pub fn is_alone(&self, key: StreamKey) -> bool {
        let sends_alone = |(last, bytes): (StreamKey, usize)| last == key && bytes >= ALONE_AFTER;
        !self.is_contended() && self.last.is_some_and(sends_alone)
    }

    /// Returns whether any stream may have something to send.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.ready > 0
    }

    /// Notes that a stream may have something to send.
    pub fn wake(&mut self, key: StreamKey) {
        if self.entries.len() <= key.slot() {
            self.entries.resize(key.slot() + 1, IDLE);
        }
        let entry = &mut self.entries[key.slot()];
        if !entry.ready {
            entry.ready = true;
            self.ready += 1;
        }
        // One whose turn has not come since it slept is still in its list.
        if entry.place == Place::Idle {
            self.enter(key);
        }
    }

    /// Puts an idle stream into a list.
    ///
    /// Its deficit is one quantum if it became idle in an earlier round, or if no stream waits; otherwise it is what is
    /// left of this round's. A stream with nothing left waits, with one quantum more for the turn that comes then.
    fn enter(&mut self, key: StreamKey) {
        let entry = &mut self.entries[key.slot()];
        if entry.round != self.round || self.waiting.is_empty() {
            entry.deficit = self.quantum;
        }
        if entry.deficit > 0 {
            entry.place = Place::Fresh;
            self.fresh.push_back(key);
        } else {
            entry.place = Place::Waiting;
            entry.deficit += self.quantum;
            self.waiting.push_back(key);
        }
    }

    /// Notes that a stream has nothing to send, or may not send it, until it is woken.
    pub fn sleep(&mut self, key: StreamKey) {
        if let Some(entry) = self.entries.get_mut(key.slot())
            && entry.ready
        {
            entry.ready = false;
            self.ready -= 1;
        }
    }

    /// Forgets a stream, because it has ended.
    pub fn remove(&mut self, key: StreamKey) {
        self.sleep(key);
        let Some(entry) = self.entries.get_mut(key.slot()) else {
            return;
        };
        match entry.place {
            Place::Idle => {}
            Place::Fresh => self.fresh.retain(|&other| other != key),
            Place::Waiting => self.waiting.retain(|&other| other != key),
        }
        *entry = IDLE;
    }

    /// Returns the stream whose turn it is. It stays its turn until it has sent its quantum, or sleeps.
    pub fn turn(&mut self) -> Option<Turn> {
        loop {
            let (key, is_fresh) = match self.fresh.front() {
                Some(&key) => (key, true),
                None => (*self.waiting.front()?, false),
            };
            let entry = &mut self.entries[key.slot()];
            match usize::try_from(entry.deficit) {
                Ok(allowance @ 1..) if entry.ready => {
                    return Some(Turn {
                        key,
                        allowance,
                        is_fresh,
                    });
                }
                Ok(_) | Err(_) => self.end_turn(key, is_fresh),
            }
        }
    }

    /// Notes that a stream has sent so many bytes in its turn.
    pub fn charge(&mut self, key: StreamKey, bytes: usize) {
        let before = self.last.filter(|&(last, _)| last == key);
        let before = before.map_or(0, |(_, bytes)| bytes);
        self.last = Some((key, before.saturating_add(bytes)));
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        if let Some(entry) = self.entries.get_mut(key.slot()) {
            entry.deficit = entry.deficit.saturating_sub(bytes);
        }
    }

    /// Moves the stream at the front of a list to where it belongs after its turn.
    fn end_turn(&mut self, key: StreamKey, is_fresh: bool) {
        if is_fresh {
            self.fresh.pop_front();
        } else {
            self.waiting.pop_front();
            self.count_turn();
        }
        let entry = &mut self.entries[key.slot()];
        if entry.ready {
            entry.place = Place::Waiting;
            entry.deficit += self.quantum;
            self.waiting.push_back(key);
        } else {
            entry.place = Place::Idle;
            entry.round = self.round;
        }
    }

    /// Notes that one of the waiting streams has had its turn.
    fn count_turn(&mut self) {
        self.left_in_round = self.left_in_round.saturating_sub(1);
        if self.left_in_round == 0 {
            self.round = self.round.wrapping_add(1);
            self.left_in_round = self.waiting.len();
        }
    }

    /// Checks the invariants of the lists.
    ///
    /// # Panics
    ///
    /// Panics if one is broken, which is a bug of ours.
    pub fn check_invariants(&self) {
        for (list, place) in [(&self.fresh, Place::Fresh), (&self.waiting, Place::Waiting)] {
            assert!(
                list.iter()
                    .all(|key| self.entries[key.slot()].place == place)
            );
        }
        let listed = self
            .entries
            .iter()
            .filter(|entry| entry.place != Place::Idle);
        assert_eq!(listed.count(), self.fresh.len() + self.waiting.len());
        let ready = self.entries.iter().filter(|entry| entry.ready);
        assert!(ready.clone().all(|entry| entry.place != Place::Idle));
        assert_eq!(ready.count(), self.ready);
    }
}

#[cfg(test)]
mod tests;
