//! The flows of one worker: found by key or by number, bounded, and forgotten in time.
//!
//! ```text
//!                 by_key: key ──▶ row
//!                                  │
//!   rows   ┌───────┬───────┬───────▼───────┬───────┐
//!          │ flow  │ free  │     flow      │ flow  │   generation, deadline
//!          └───┬───┴───────┴──▲─────────┬──┴───▲───┘
//!   newest ────┴── older ─────┘         └──────┘ older ──▶ oldest: the first to make room
//! ```
//!
//! Datagrams have no end, so that a flow ends in one of two ways: its deadline passes, or the table is full and
//! the flow is the one that was used the longest time ago. Four steps change the table: [`insert`](FlowTable::insert),
//! [`touch`](FlowTable::touch), [`remove`](FlowTable::remove) and [`expire`](FlowTable::expire). There is no
//! socket, no clock and no poller here; the caller passes the time.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

use crate::timers::Timers;

/// A flow's place in the table, with a guard against earlier flows in that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    /// The number of its row.
    pub row: u32,
    /// Tells which of the flows of that row is meant.
    pub generation: u32,
}

/// A bounded set of flows.
#[derive(Debug)]
pub struct FlowTable<K, V> {
    bound: usize,
    rows: Vec<Option<Row<K, V>>>,
    free: Vec<u32>,
    by_key: HashMap<K, u32>,
    newest: Option<u32>,
    oldest: Option<u32>,
    deadlines: Timers,
    last_generation: u32,
}

#[derive(Debug)]
struct Row<K, V> {
    key: K,
    flow: V,
    generation: u32,
    deadline: Instant,
    /// The flow that was used next after this one.
    newer: Option<u32>,
    /// The flow that was used last before this one.
    older: Option<u32>,
}

impl<K: Clone + Eq + Hash, V> FlowTable<K, V> {
    /// Creates a table for at most `bound` flows, but at least one.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            bound: bound.max(1),
            rows: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            newest: None,
            oldest: None,
            deadlines: Timers::new(),
            last_generation: 0,
        }
    }

    /// Returns the number of flows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns whether there is no flow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Returns whether the next new flow costs an old one.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.bound
    }

    /// Returns the number of a key's flow, with the generation of now.
    #[must_use]
    pub fn find(&self, key: &K) -> Option<FlowId> {
        let row = *self.by_key.get(key)?;
        let generation = self.row(row)?.generation;
        Some(FlowId { row, generation })
    }

    /// Returns a flow with its key, or `None` if it has ended.
    #[must_use]
    pub fn get(&self, id: FlowId) -> Option<(&K, &V)> {
        let row = self.row(id.row)?;
        (row.generation == id.generation).then_some((&row.key, &row.flow))
    }

    /// Returns a flow with its key, to change it, or `None` if it has ended.
    pub fn get_mut(&mut self, id: FlowId) -> Option<(&K, &mut V)> {
        let row = self.row_mut(id.row)?;
        (row.generation == id.generation).then_some((&row.key, &mut row.flow))
    }

    /// Adds a flow, which counts as used just now, and returns its number.
    ///
    /// The key must be new, and the table must have room: see [`FlowTable::evict`].
    ///
    /// # Panics
    ///
    /// Panics if the table is full or knows the key.
    pub fn insert(&mut self, key: K, flow: V, deadline: Instant) -> FlowId {
        assert!(!self.is_full(), "a flow has to make room first");
        self.last_generation = self.last_generation.wrapping_add(1);
        let generation = self.last_generation;
        let number = self.take_row();
        let known = self.by_key.insert(key.clone(), number);
        assert!(known.is_none(), "a key has one flow at most");
        self.rows[number as usize] = Some(Row {
            key,
            flow,
            generation,
            deadline,
            newer: None,
            older: None,
        });
        self.link_newest(number);
        self.deadlines.set(number, Some(deadline));
        FlowId {
            row: number,
            generation,
        }
    }

    /// Notes that a flow is used, and moves its deadline; the number of a flow that has ended changes nothing.
    ///
    /// Its row is the newest then. A later deadline is only stored in the row: the timer may come too early, but never
    /// too late.
    pub fn touch(&mut self, id: FlowId, deadline: Instant) {
        let Some(row) = self.row_mut(id.row) else {
            return;
        };
        if row.generation != id.generation {
            return;
        }
        row.deadline = deadline;
        if self.newest != Some(id.row) {
            self.unlink(id.row);
            self.link_newest(id.row);
        }
        // A later deadline leaves the timer where it is, because each datagram moves it and each move would
        // cost a walk through the heap: `expire` asks the row again.
        if self.deadlines.get(id.row).is_none_or(|set| deadline < set) {
            self.deadlines.set(id.row, Some(deadline));
        }
    }

    /// Removes the flow that was used the longest time ago, if the table is full.
    pub fn evict(&mut self) -> Option<(K, V)> {
        let oldest = self.oldest.filter(|_| self.is_full())?;
        self.remove_row(oldest)
    }

    /// Removes a flow.
    pub fn remove(&mut self, id: FlowId) -> Option<(K, V)> {
        self.get(id)?;
        self.remove_row(id.row)
    }

    /// Removes a flow whose deadline is not after `now`; call it until it returns `None`.
    pub fn expire(&mut self, now: Instant) -> Option<(K, V)> {
        while let Some(number) = self.deadlines.expire(now) {
            match self.row(number).map(|row| row.deadline) {
                Some(deadline) if deadline > now => self.deadlines.set(number, Some(deadline)),
                Some(_) => return self.remove_row(number),
                None => {}
            }
        }
        None
    }

    /// Returns when [`FlowTable::expire`] is due: not after the earliest deadline, perhaps before it.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Iterates over the flows, in the order of their rows.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, &K, &V)> {
        let rows = (0..).zip(&self.rows);
        rows.filter_map(|(number, row)| {
            let row = row.as_ref()?;
            let generation = row.generation;
            let id = FlowId {
                row: number,
                generation,
            };
            Some((id, &row.key, &row.flow))
        })
    }

    fn row(&self, number: u32) -> Option<&Row<K, V>> {
        self.rows.get(number as usize)?.as_ref()
    }

    fn row_mut(&mut self, number: u32) -> Option<&mut Row<K, V>> {
        self.rows.get_mut(number as usize)?.as_mut()
    }

    fn take_row(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            u32::try_from(self.rows.len() - 1).expect("a table has fewer than 2^32 rows")
        })
    }

    /// Takes a row out of everything that knows it, and makes it free.
    fn remove_row(&mut self, number: u32) -> Option<(K, V)> {
        self.unlink(number);
        let row = self.rows.get_mut(number as usize)?.take()?;
        self.by_key.remove(&row.key);
        self.free.push(number);
        self.deadlines.set(number, None);
        Some((row.key, row.flow))
    }

    /// Takes a row out of the order of use.
    fn unlink(&mut self, number: u32) {
        let Some(row) = self.row_mut(number) else {
            return;
        };
        let (newer, older) = (row.newer.take(), row.older.take());
        match newer.and_then(|newer| self.row_mut(newer)) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match older.and_then(|older| self.row_mut(older)) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }

    /// Puts a row in front of the order of use; it must not be in it.
    fn link_newest(&mut self, number: u32) {
        let older = self.newest.replace(number);
        match older.and_then(|older| self.row_mut(older)) {
            Some(older) => older.newer = Some(number),
            None => self.oldest = Some(number),
        }
        if let Some(row) = self.row_mut(number) {
            row.older = older;
        }
    }
}

#[cfg(test)]
mod tests;
