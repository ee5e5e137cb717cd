//! The request queue: clients with a request, in the order in which their requests arrived.
//!
//! ```text
//!   first ──▶ row 7 ◀──▶ row 2 ◀──▶ row 9 ◀── last        each row at most once
//! ```
//!
//! A doubly linked list inside an array that is indexed by rows of the route table. Joining,
//! leaving from the middle and taking the first row are a few assignments each, and once every
//! row was used, the queue allocates no memory.

use std::time::Instant;

/// A bounded queue of rows, first come, first served.
///
/// A row is in it at most once, so a client joins again at the end after each exchange. Otherwise
/// a client that sends ten requests at once would delay all others by ten exchanges.
#[derive(Debug)]
pub struct RequestQueue {
    places: Vec<Option<Place>>,
    first: Option<u32>,
    last: Option<u32>,
    len: usize,
    capacity: usize,
}

/// The neighbours of a row in the queue.
#[derive(Clone, Copy, Debug)]
struct Place {
    since: Instant,
    before: Option<u32>,
    after: Option<u32>,
}

/// The error of [`RequestQueue::join`]: `capacity` rows wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl RequestQueue {
    /// Creates an empty queue for at most `capacity` rows.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            places: Vec::new(),
            first: None,
            last: None,
            len: 0,
            capacity,
        }
    }

    /// Returns the number of rows in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the queue is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns when a row has joined, if it is in the queue.
    #[must_use]
    pub fn since(&self, row: u32) -> Option<Instant> {
        Some(self.place(row)?.since)
    }

    /// Iterates over the rows, from the first to the last.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        std::iter::successors(self.first, |&row| self.place(row)?.after)
    }

    /// Appends a row.
    ///
    /// # Errors
    ///
    /// Fails if the queue is full.
    ///
    /// # Panics
    ///
    /// Panics if the row is in the queue already, because a client has one exchange at a time.
    pub fn join(&mut self, row: u32, now: Instant) -> Result<(), QueueFull> {
        assert!(self.place(row).is_none(), "row {row} waits already");
        if self.len == self.capacity {
            return Err(QueueFull);
        }
        let index = row as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        self.places[index] = Some(Place {
            since: now,
            before: self.last,
            after: None,
        });
        self.link(self.last, Some(row));
        self.last = Some(row);
        self.len += 1;
        Ok(())
    }

    /// Removes the first row; returns it and when it has joined.
    pub fn take_first(&mut self) -> Option<(u32, Instant)> {
        let row = self.first?;
        let since = self.since(row)?;
        self.leave(row);
        Some((row, since))
    }

    /// Removes a row from any place; returns whether it was in the queue.
    pub fn leave(&mut self, row: u32) -> bool {
        let Some(place) = self.places.get_mut(row as usize).and_then(Option::take) else {
            return false;
        };
        self.link(place.before, place.after);
        match place.after {
            Some(after) => {
                if let Some(after) = &mut self.places[after as usize] {
                    after.before = place.before;
                }
            }
            None => self.last = place.before,
        }
        self.len -= 1;
        true
    }

    fn place(&self, row: u32) -> Option<&Place> {
        self.places.get(row as usize)?.as_ref()
    }

    /// Makes `after` the successor of `before`; without `before` it becomes the first row.
    fn link(&mut self, before: Option<u32>, after: Option<u32>) {
        match before {
            Some(before) => {
                if let Some(before) = &mut self.places[before as usize] {
                    before.after = after;
                }
            }
            None => self.first = after,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Join(u32),
        Leave(u32),
        Next,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..12u32).prop_map(Step::Join),
            (0..12u32).prop_map(Step::Leave),
            Just(Step::Next),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_queue(steps in steps()) {
            let now = Instant::now();
            let (mut queue, mut model) = (RequestQueue::new(8), VecDeque::new());
            for step in steps {
                match step {
                    Step::Join(row) if model.contains(&row) => {}
                    Step::Join(row) => {
                        prop_assert_eq!(queue.join(row, now).is_err(), model.len() == 8);
                        if model.len() < 8 {
                            model.push_back(row);
                        }
                    }
                    Step::Leave(row) => {
                        prop_assert_eq!(queue.leave(row), model.contains(&row));
                        model.retain(|&other| other != row);
                    }
                    Step::Next => {
                        prop_assert_eq!(queue.take_first().map(|(row, _)| row), model.pop_front());
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert!(queue.iter().eq(model.iter().copied()));
            }
        }
    }

    #[test]
    #[should_panic(expected = "waits already")]
    fn a_row_that_joins_twice_is_a_bug() {
        let mut queue = RequestQueue::new(8);
        for _ in 0..2 {
            let _ = queue.join(3, Instant::now());
        }
    }
}
