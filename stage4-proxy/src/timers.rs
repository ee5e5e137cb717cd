//! Deadlines: at most one for each row of the route table, the earliest always on top.
//!
//! A binary heap that knows the place of each row's entry. So a deadline can be moved or cancelled
//! in place, and the heap never holds more entries than there are rows. It reads no clock: the
//! caller passes the time.

use std::time::Instant;

/// The place of a row without a deadline.
const ABSENT: u32 = u32::MAX;

/// A set of deadlines, one for each row at most.
#[derive(Debug, Default)]
pub struct Timers {
    /// A binary heap: the entry at `i` is due no later than those at `2i + 1` and `2i + 2`.
    heap: Vec<Entry>,
    /// The place of each row's entry in the heap, or [`ABSENT`].
    places: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: Instant,
    row: u32,
}

impl Timers {
    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of deadlines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Returns whether there is no deadline.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Returns the earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.heap.first().map(|entry| entry.deadline)
    }

    /// Returns the deadline of a row.
    #[must_use]
    pub fn get(&self, row: u32) -> Option<Instant> {
        self.place(row).map(|place| self.heap[place].deadline)
    }

    /// Sets the deadline of a row and replaces its previous one; `None` cancels it.
    pub fn set(&mut self, row: u32, deadline: Option<Instant>) {
        match (self.place(row), deadline) {
            (None, None) => {}
            (None, Some(deadline)) => self.insert(Entry { deadline, row }),
            (Some(place), None) => self.remove(place),
            (Some(place), Some(deadline)) => {
                self.heap[place].deadline = deadline;
                self.restore(place);
            }
        }
    }

    /// Removes and returns one row whose deadline is not after `now`, the earliest first.
    pub fn expire(&mut self, now: Instant) -> Option<u32> {
        let first = *self.heap.first()?;
        if first.deadline > now {
            return None;
        }
        self.remove(0);
        Some(first.row)
    }

    fn place(&self, row: u32) -> Option<usize> {
        match self.places.get(row as usize) {
            None | Some(&ABSENT) => None,
            Some(&place) => Some(place as usize),
        }
    }

    fn insert(&mut self, entry: Entry) {
        if self.places.len() <= entry.row as usize {
            self.places.resize(entry.row as usize + 1, ABSENT);
        }
        let place = self.heap.len();
        self.heap.push(entry);
        self.note(place);
        self.rise(place);
    }

    fn remove(&mut self, place: usize) {
        let removed = self.heap.swap_remove(place);
        self.places[removed.row as usize] = ABSENT;
        if place < self.heap.len() {
            self.note(place);
            self.restore(place);
        }
    }

    /// Moves an entry whose deadline has changed to its right place.
    fn restore(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent].deadline <= self.heap[place].deadline {
                break;
            }
            self.swap(place, parent);
            place = parent;
        }
        place
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let children = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let Some(child) = children.min_by_key(|&child| self.heap[child].deadline) else {
                return;
            };
            if self.heap[place].deadline <= self.heap[child].deadline {
                return;
            }
            self.swap(place, child);
            place = child;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.note(one);
        self.note(other);
    }

    fn note(&mut self, place: usize) {
        let row = self.heap[place].row as usize;
        self.places[row] = u32::try_from(place).expect("a heap is no larger than the route table");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[test]
    fn a_deadline_is_reached_when_the_clock_says_so() {
        let start = Instant::now();
        let mut timers = Timers::new();
        timers.set(3, Some(start + Duration::from_secs(1)));
        assert_eq!(timers.expire(start), None);
        assert_eq!(timers.expire(start + Duration::from_secs(1)), Some(3));
        assert_eq!(timers.expire(start + Duration::from_secs(9)), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, u64),
        Cancel(u32),
        Expire(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..20u32, 0..50u64).prop_map(|(row, at)| Step::Set(row, at)),
            (0..20u32).prop_map(Step::Cancel),
            (0..50u64).prop_map(Step::Expire),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_sorted_map(steps in steps()) {
            let start = Instant::now();
            let at = |millis| start + Duration::from_millis(millis);
            let mut timers = Timers::new();
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Set(row, time) => {
                        timers.set(row, Some(at(time)));
                        model.insert(row, time);
                    }
                    Step::Cancel(row) => {
                        timers.set(row, None);
                        model.remove(&row);
                    }
                    Step::Expire(now) => {
                        let mut due = Vec::new();
                        while let Some(row) = timers.expire(at(now)) {
                            due.push(model.remove(&row).expect("only a row that was set expires"));
                        }
                        prop_assert!(due.is_sorted(), "earliest first");
                        prop_assert!(model.values().all(|&time| time > now));
                    }
                }
                for row in 0..20 {
                    prop_assert_eq!(timers.get(row), model.get(&row).map(|&time| at(time)));
                }
                prop_assert_eq!(timers.len(), model.len());
                prop_assert_eq!(timers.next(), model.values().min().map(|&time| at(time)));
            }
        }
    }
}
