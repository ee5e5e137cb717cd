//! Names with their addresses, and the clients that wait for them: a machine without I/O and clock.
//!
//! A name goes through these states:
//!
//! ```text
//!            asked for           a thread takes it           its answer
//!   unknown ──────────▶ Queued ────────────────────▶ Running ──────────▶ Known
//!      ▲                 │  ▲                                            │  │
//!      │ the last client │  └────────── asked for, and too old ──────────┘  │
//!      │ has left        │                                                  │
//!      └─────────────────┴──────────────── makes room for another name ◀────┘
//! ```

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::Target;

use crate::resolve::limits::ResolverLimits;

/// What a lookup has found, for any number of clients: they share a failure, too.
pub(super) type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// Counts how names were resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lookups that were begun.
    pub lookups: u64,
    /// Questions that the cache has answered at once.
    pub cached: u64,
}

/// What becomes of a question.
#[derive(Debug)]
pub(super) enum Asked {
    /// The answer is in the cache.
    Known(Found),
    /// The client waits, under this number.
    Waits(u64),
    /// No room: every name in the cache is still being looked up.
    Full,
}

/// The names, with a `W` for each client that waits.
#[derive(Debug)]
pub(super) struct NameCache<W> {
    limits: ResolverLimits,
    names: HashMap<Arc<Target>, Name<W>>,
    /// The names in the state `Queued`, the oldest in front.
    queue: VecDeque<Arc<Target>>,
    last_number: u64,
    counts: Counts,
}

#[derive(Debug)]
struct Name<W> {
    state: State,
    /// The clients by their numbers, and so in the order in which they came. Sorted and not a list,
    /// because they leave in any order: thousands may wait for one name.
    waiting: BTreeMap<u64, W>,
}

#[derive(Debug)]
enum State {
    /// It waits for a thread; at least one client waits for it.
    Queued,
    /// A thread looks it up. It goes on if all clients leave, because the next one may want the answer.
    Running,
    /// No client waits, because all have the answer.
    Known { found: Found, until: Instant },
}

impl<W> NameCache<W> {
    /// Creates an empty cache.
    pub(super) fn new(limits: ResolverLimits) -> Self {
        Self {
            limits,
            names: HashMap::new(),
            queue: VecDeque::new(),
            last_number: 0,
            counts: Counts::default(),
        }
    }

    /// Returns the answer from the cache, or lets a client wait for it.
    ///
    /// `waiter` is called only in the second case.
    pub(super) fn ask(
        &mut self,
        name: &Arc<Target>,
        waiter: impl FnOnce() -> W,
        now: Instant,
    ) -> Asked {
        match self.names.get(name).map(|name| &name.state) {
            Some(State::Known { found, until }) if now < *until => {
                self.counts.cached += 1;
                return Asked::Known(found.clone());
            }
            Some(State::Queued | State::Running) => {}
            Some(State::Known { .. }) | None => {
                if !self.enqueue(name) {
                    return Asked::Full;
                }
            }
        }
        self.last_number += 1;
        if let Some(name) = self.names.get_mut(name) {
            name.waiting.insert(self.last_number, waiter());
        }
        Asked::Waits(self.last_number)
    }

    /// Puts a name behind those that wait for a thread; returns whether there is room for it.
    fn enqueue(&mut self, name: &Arc<Target>) -> bool {
        self.names.remove(name);
        if self.names.len() >= self.limits.names && !self.forget_one() {
            return false;
        }
        let queued = Name {
            state: State::Queued,
            waiting: BTreeMap::new(),
        };
        self.names.insert(Arc::clone(name), queued);
        self.queue.push_back(Arc::clone(name));
        true
    }

    /// Forgets the answer that would be too old first; returns whether there was one.
    fn forget_one(&mut self) -> bool {
        let answers = self.names.iter().filter_map(|(name, entry)| {
            let State::Known { until, .. } = entry.state else {
                return None;
            };
            Some((until, name))
        });
        let oldest = answers.min_by_key(|&(until, _)| until);
        let oldest = oldest.map(|(_, name)| Arc::clone(name));
        oldest.is_some_and(|name| self.names.remove(&name).is_some())
    }

    /// Takes a client out of those that wait; a name for which no client waits leaves the queue.
    pub(super) fn leave(&mut self, name: &Target, number: u64) -> Option<W> {
        let entry = self.names.get_mut(name)?;
        let left = entry.waiting.remove(&number);
        if matches!(entry.state, State::Queued) && entry.waiting.is_empty() {
            self.names.remove(name);
            self.queue.retain(|queued| **queued != *name);
        }
        left
    }

    /// Returns the name that a thread must look up next.
    pub(super) fn next_lookup(&mut self) -> Option<Arc<Target>> {
        let name = self.queue.pop_front()?;
        if let Some(entry) = self.names.get_mut(&name) {
            entry.state = State::Running;
        }
        self.counts.lookups += 1;
        Some(name)
    }

    /// Keeps the answer of a lookup, and returns the clients that waited for it.
    pub(super) fn answered(
        &mut self,
        name: &Target,
        found: &Found,
        now: Instant,
    ) -> impl Iterator<Item = W> + use<W> {
        let lifetime = match found {
            Ok(_) => self.limits.lifetime,
            Err(_) => self.limits.failure_lifetime,
        };
        let mut waiting = BTreeMap::new();
        if let Some(entry) = self.names.get_mut(name) {
            entry.state = State::Known {
                found: found.clone(),
                until: now + lifetime,
            };
            waiting = std::mem::take(&mut entry.waiting);
        }
        waiting.into_values()
    }

    /// Notes that none of the addresses of a name could be reached: they are used no longer than a
    /// failure, because the name may have moved.
    pub(super) fn distrust(&mut self, name: &Target, now: Instant) {
        if let Some(entry) = self.names.get_mut(name)
            && let State::Known { until, .. } = &mut entry.state
        {
            *until = (*until).min(now + self.limits.failure_lifetime);
        }
    }

    /// Returns the counters.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Checks the invariants of the cache.
    ///
    /// # Panics
    ///
    /// Panics if one is broken, which is a bug of ours.
    #[cfg(test)]
    fn check_invariants(&self) {
        assert!(self.names.len() <= self.limits.names);
        for name in &self.queue {
            let waits = matches!(self.names[name].state, State::Queued);
            assert!(waits, "{name} is queued, but does not wait for a thread");
        }
        let mut queued = 0;
        for Name { state, waiting } in self.names.values() {
            match state {
                State::Queued => {
                    queued += 1;
                    assert!(!waiting.is_empty(), "a lookup that no client wants");
                }
                State::Running => {}
                State::Known { .. } => assert!(waiting.is_empty(), "no client gets the answer"),
            }
        }
        assert_eq!(queued, self.queue.len(), "a name is never looked up");
    }
}

#[cfg(test)]
mod tests;
