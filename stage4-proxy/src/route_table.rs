//! The route table: a bounded array with one row for each session and one column for each side.
//!
//! ```text
//!          client          upstream        value
//!        ┌───────────────┬───────────────┬─────────────┐
//! row 0  │ generation 7  │ generation 8  │ a session   │
//! row 1  │ empty         │ empty         │ none        │  on the free list
//! row 2  │ generation 12 │ empty         │ a session   │  still connecting
//!        └───────────────┴───────────────┴─────────────┘
//! ```
//!
//! A [`Token`] names a cell and the generation of the socket that was put into it. So finding the
//! session of an event takes one index and one comparison, and an event of an earlier socket in the
//! same cell finds no session.

use std::ops::Range;

use crate::token::{Kind, Side, Token};

/// The generation of a cell without a socket; it is never minted.
const EMPTY: u32 = 0;

/// A bounded array of sessions, addressed by [`Token`].
///
/// The kernel hands out the memory of a row when the row is first used, so a large bound costs
/// nothing by itself.
#[derive(Debug)]
pub struct RouteTable<T> {
    rows: Vec<Row<T>>,
    free: Vec<u32>,
    capacity: u32,
    last_generation: u32,
}

#[derive(Debug)]
struct Row<T> {
    generations: [u32; 2],
    session: Option<T>,
}

impl<T> RouteTable<T> {
    /// Creates an empty table of at most `capacity` rows.
    ///
    /// # Panics
    ///
    /// Panics if `capacity` is more than [`Token::MAX_ROWS`].
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        assert!(capacity <= Token::MAX_ROWS, "{capacity} rows are too many");
        Self {
            rows: Vec::with_capacity(capacity as usize),
            free: Vec::new(),
            capacity,
            last_generation: EMPTY,
        }
    }

    /// Returns the number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Returns whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether every row is taken, so that [`RouteTable::insert`] would fail.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity as usize
    }

    /// Puts a session into a free row and returns the row's number; its cells are still empty.
    ///
    /// # Errors
    ///
    /// Fails if every row is taken, and gives the session back.
    pub fn insert(&mut self, session: T) -> Result<u32, T> {
        if let Some(row) = self.free.pop() {
            self.rows[row as usize].session = Some(session);
            return Ok(row);
        }
        match u32::try_from(self.rows.len()) {
            Ok(row) if row < self.capacity => {
                self.rows.push(Row {
                    generations: [EMPTY; 2],
                    session: Some(session),
                });
                Ok(row)
            }
            _ => Err(session),
        }
    }

    /// Mints the token of a socket that is put into a cell; the token of the previous socket is
    /// stale from now on.
    ///
    /// # Panics
    ///
    /// Panics if the row holds no session.
    pub fn mint(&mut self, row: u32, side: Side) -> Token {
        self.last_generation = match self.last_generation.wrapping_add(1) {
            EMPTY => EMPTY + 1,
            generation => generation,
        };
        let cell = &mut self.rows[row as usize];
        assert!(cell.session.is_some(), "row {row} holds no session");
        cell.generations[side.column()] = self.last_generation;
        Token::new(row, side, self.last_generation)
    }

    /// Puts a token back into its cell that was minted for its row and has left the cell since.
    ///
    /// # Panics
    ///
    /// Panics if the row holds no session, or if the token is none of a session.
    pub fn adopt(&mut self, token: Token) {
        let Kind::Session(side) = token.kind() else {
            panic!("{token:?} has no cell");
        };
        let cell = &mut self.rows[token.row() as usize];
        assert!(cell.session.is_some(), "the row holds no session");
        cell.generations[side.column()] = token.generation();
    }

    /// Empties one cell, because its socket is about to be closed while the session goes on.
    pub fn vacate(&mut self, row: u32, side: Side) {
        if let Some(cell) = self.rows.get_mut(row as usize) {
            cell.generations[side.column()] = EMPTY;
        }
    }

    /// Returns the token of the socket in a cell, or `None` if the cell is empty.
    #[must_use]
    pub fn token(&self, row: u32, side: Side) -> Option<Token> {
        let generation = self.rows.get(row as usize)?.generations[side.column()];
        (generation != EMPTY).then(|| Token::new(row, side, generation))
    }

    /// Returns the session that a token names, or `None` if the token is stale or unknown.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let Kind::Session(side) = token.kind() else {
            return None;
        };
        if token.generation() == EMPTY {
            return None;
        }
        let row = self.rows.get_mut(token.row() as usize)?;
        if row.generations[side.column()] != token.generation() {
            return None;
        }
        row.session.as_mut()
    }

    /// Returns the session of a row.
    pub fn row_mut(&mut self, row: u32) -> Option<&mut T> {
        self.rows.get_mut(row as usize)?.session.as_mut()
    }

    /// Removes the session from a row, which makes every token of the row stale.
    pub fn remove(&mut self, row: u32) -> Option<T> {
        let taken = self.rows.get_mut(row as usize)?;
        let session = taken.session.take()?;
        taken.generations = [EMPTY; 2];
        self.free.push(row);
        Some(session)
    }

    /// Returns the session of a row, to look at.
    #[must_use]
    pub fn row(&self, row: u32) -> Option<&T> {
        self.rows.get(row as usize)?.session.as_ref()
    }

    /// Iterates over the sessions and their rows, in the order of the rows.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.part(0..self.height())
    }

    /// Iterates over the sessions in some of the rows; rows that do not exist yet hold none.
    pub fn part(&self, rows: Range<u32>) -> impl Iterator<Item = (u32, &T)> {
        let rows = rows.start..rows.end.min(self.height());
        rows.filter_map(|row| Some((row, self.row(row)?)))
    }

    /// Returns the number of rows that exist, free ones included; it never falls.
    #[must_use]
    pub fn height(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(self.capacity)
    }

    /// Checks the invariants of the table.
    ///
    /// # Panics
    ///
    /// Panics if one is broken, which is a bug of ours.
    pub fn check_invariants(&self) {
        assert!(self.rows.len() <= self.capacity as usize);
        let taken = self.rows.iter().filter(|row| row.session.is_some()).count();
        assert_eq!(taken, self.len(), "the free list has lost a row");
        for &row in &self.free {
            let row = &self.rows[row as usize];
            assert!(row.session.is_none(), "a row in use is on the free list");
            assert_eq!(row.generations, [EMPTY; 2], "a free row can be addressed");
        }
    }
}

#[cfg(test)]
mod tests;
