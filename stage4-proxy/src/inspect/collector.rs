//! Copies a route table out for the inspector over several turns of a worker's loop, free of I/O and clocks.
//!
//! ```text
//!   Question ──ask──▶ next ─────▶ current ──last row──▶ one snapshot for all that asked
//!   Question ──ask──▶  │            │  ▲
//!                      │            └──┘ advance: a few rows in each turn
//!                      └─ all that ask meanwhile share the next copy
//! ```

use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::inspect::snapshot::Snapshot;
use crate::inspect::view::Row;
use crate::route_table::RouteTable;

/// How much of a route table a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Totals and sections: bytes are added up, and no row is copied.
    Totals,
    /// The sessions as well.
    Sessions,
}

impl Scope {
    /// Returns how many rows are visited in one turn: about 0.1 ms of work, because the relayed sockets wait
    /// meanwhile. A copied row costs system calls and a text, an added one only two loads.
    fn rows_per_turn(self) -> u32 {
        match self {
            Self::Totals => 4096,
            Self::Sessions => 64,
        }
    }
}

/// Asks a worker for a snapshot.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the answer must hold; it may hold more.
    pub scope: Scope,
    /// Where the answer goes. It is dropped without an answer if the worker ends.
    pub reply: Sender<Arc<Snapshot>>,
}

/// Bytes that a session has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the client to the upstream.
    pub up: u64,
    /// From the upstream to the client.
    pub down: u64,
}

impl AddAssign for Carried {
    fn add_assign(&mut self, more: Self) {
        self.up += more.up;
        self.down += more.down;
    }
}

/// Answers questions with copies of a route table, a bounded number of rows in each turn.
///
/// A copy of a large table would otherwise hold up every session: 7,000 rows take 11 ms, and a few visitors
/// that ask again at once would leave the worker no time for its sockets.
///
/// Each row is from one moment, the whole is not: a session that ends while the copy is under way may still be
/// in it. The totals are exact nevertheless, and never fall from one copy to the next.
#[derive(Debug, Default)]
pub struct Collector {
    current: Option<Collection>,
    /// Everything that was asked since the current copy began. It can't be answered with that copy, because a
    /// client that asks after an event must find the event in the answer.
    next: Option<Collection>,
}

/// One copy under way.
#[derive(Debug)]
struct Collection {
    scope: Scope,
    replies: Vec<Sender<Arc<Snapshot>>>,
    /// The first row that was not visited yet.
    row: u32,
    rows: Vec<Row>,
    /// What the visited sessions had carried.
    visited: Carried,
    /// What the sessions had carried that have ended since in visited rows. The worker's totals contain it
    /// by now, and `visited` has counted it already, as far as this copy saw it.
    ended: Carried,
}

impl Collector {
    /// Takes in a question; [`advance`](Self::advance) will answer it.
    pub fn ask(&mut self, question: Question) {
        let next = self.next.get_or_insert_with(Collection::new);
        next.scope = next.scope.max(question.scope);
        next.replies.push(question.reply);
    }

    /// Returns whether a question waits, so that the loop must not sleep.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.current.is_some() || self.next.is_some()
    }

    /// Notes that a session was removed from its row.
    pub fn session_ended(&mut self, row: u32, carried: Carried) {
        if let Some(current) = &mut self.current
            && row < current.row
        {
            current.ended += carried;
        }
    }

    /// Visits the next rows, and answers after the last one.
    ///
    /// `carried` and `view` look at one session. `rest` returns the totals, with the bytes of the sessions
    /// that have ended, and the sections; it is called for the answer only.
    pub fn advance<T, R: Into<Row>>(
        &mut self,
        table: &RouteTable<T>,
        carried: impl Fn(&T) -> Carried,
        view: impl Fn(u32, &T) -> R,
        rest: impl FnOnce() -> Snapshot,
    ) {
        let Some(mut current) = self.current.take().or_else(|| self.next.take()) else {
            return;
        };
        let end = current.row.saturating_add(current.scope.rows_per_turn());
        for (row, session) in table.part(current.row..end) {
            current.visited += carried(session);
            if current.scope == Scope::Sessions {
                current.rows.push(view(row, session).into());
            }
        }
        current.row = end;
        if end < table.height() {
            self.current = Some(current);
        } else {
            current.answer(table.len(), rest());
        }
    }
}

impl Collection {
    fn new() -> Self {
        Self {
            scope: Scope::Totals,
            replies: Vec::new(),
            row: 0,
            rows: Vec::new(),
            visited: Carried::default(),
            ended: Carried::default(),
        }
    }

    /// Completes `snapshot`, which has everything but the sessions, and sends it to all that asked.
    fn answer(mut self, open: usize, mut snapshot: Snapshot) {
        let totals = &mut snapshot.totals;
        totals.sessions_open = match self.scope {
            Scope::Totals => open as u64,
            Scope::Sessions => self.rows.len() as u64,
        };
        totals.bytes_up = totals.bytes_up + self.visited.up - self.ended.up;
        totals.bytes_down = totals.bytes_down + self.visited.down - self.ended.down;
        snapshot.take_rows(self.rows);
        let snapshot = Arc::new(snapshot);
        let last = self.replies.pop();
        for reply in self.replies {
            // It fails if the asker has stopped waiting, and does not need the answer.
            drop(reply.send(Arc::clone(&snapshot)));
        }
        // Given away and not cloned, so that an asker that is alone need not copy it once more.
        if let Some(reply) = last {
            drop(reply.send(snapshot));
        }
    }
}

#[cfg(test)]
mod tests;
