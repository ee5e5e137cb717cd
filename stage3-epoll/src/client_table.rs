//! Client table: rows that are used again, and tokens that are not.
//!
//! ```text
//!   Token, 64 bits:   ┌───────────── 32 ─────────────┬───────────── 32 ─────────────┐
//!                     │          generation          │             row              │
//!                     └──────────────────────────────┴──────────────────────────────┘
//! ```
//!
//! A row is found by its number, without searching. When its client leaves, the row is given to
//! the next one, just as the kernel gives the number of a closed file descriptor to the next socket.
//! An event that was fetched before may still carry the number of the old client: the generation,
//! which counts the clients of a row, tells the two apart.

use crate::token::Token;

/// A growing table of clients, each addressed by the token that its events carry.
///
/// ```
/// use stage3_epoll::ClientTable;
///
/// let mut clients = ClientTable::new();
/// let old = clients.insert("Ada");
/// clients.remove(old);
/// let new = clients.insert("Grace");
/// assert_eq!(clients.get_mut(new), Some(&mut "Grace"));
/// assert_eq!(clients.get_mut(old), None); // the same row, an earlier generation
/// ```
#[derive(Debug)]
pub struct ClientTable<T> {
    rows: Vec<Row<T>>,
    /// Numbers of the rows without a client; the last one is used first, its memory is warm.
    free: Vec<usize>,
}

#[derive(Debug)]
struct Row<T> {
    /// How many clients have left this row. It starts again at 0 after 2^32 of them, which takes
    /// longer than any event can wait.
    generation: u32,
    client: Option<T>,
}

impl<T> ClientTable<T> {
    /// Creates an empty table.
    pub fn new() -> Self {
        Self {
            rows: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Returns the number of clients.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Returns whether the table has no client.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a client into a free row, or into a new one, and returns its token.
    pub fn insert(&mut self, client: T) -> Token {
        let row = self.free.pop().unwrap_or_else(|| self.add_row());
        self.rows[row].client = Some(client);
        token(row, self.rows[row].generation)
    }

    /// Finds a client; `None` if the token's client has left, even if its row has a new one.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let row = self.rows.get_mut(row_of(token))?;
        if row.generation == generation_of(token) {
            row.client.as_mut()
        } else {
            None
        }
    }

    /// Takes a client out and frees its row; from now on its token finds no client.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        self.get_mut(token)?;
        let number = row_of(token);
        let row = &mut self.rows[number];
        row.generation = row.generation.wrapping_add(1);
        self.free.push(number);
        row.client.take()
    }

    fn add_row(&mut self) -> usize {
        self.rows.push(Row {
            generation: 0,
            client: None,
        });
        self.rows.len() - 1
    }
}

impl<T> Default for ClientTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Packs a token. Each client has a file descriptor, so there are fewer than 2^31 rows.
fn token(row: usize, generation: u32) -> Token {
    Token(u64::from(generation) << 32 | row as u64)
}

fn row_of(token: Token) -> usize {
    (token.0 & 0xFFFF_FFFF) as usize
}

fn generation_of(token: Token) -> u32 {
    (token.0 >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_is_used_again_and_a_token_is_not() {
        let mut clients = ClientTable::new();
        let first = clients.insert('a');
        let second = clients.insert('b');
        assert_eq!(clients.remove(first), Some('a'), "the client that left");
        let third = clients.insert('c');
        assert_eq!(row_of(third), row_of(first), "a free row is used again");
        assert_ne!(third, first, "its token is not: the generation differs");
        assert_eq!(
            clients.get_mut(first),
            None,
            "the token of a client that left"
        );
        assert_eq!(
            clients.remove(first),
            None,
            "must not remove the new client"
        );
        assert_eq!(clients.get_mut(second), Some(&mut 'b'), "another row");
        assert_eq!(clients.get_mut(third), Some(&mut 'c'), "the new client");
        assert_eq!(clients.len(), 2, "clients after three came and one left");
    }

    #[test]
    fn tokens_of_others_find_no_client() {
        let mut clients = ClientTable::new();
        clients.insert('a');
        for number in [1, 1 << 32, u64::MAX, u64::MAX - 1] {
            let found = clients.get_mut(Token(number));
            assert_eq!(found, None, "Token({number:#x}) was never given out");
        }
    }

    #[test]
    fn a_token_is_packed_and_unpacked() {
        for (row, generation) in [(0, 0), (7, 1), (1 << 31, u32::MAX)] {
            let token = token(row, generation);
            assert_eq!((row_of(token), generation_of(token)), (row, generation));
        }
    }

    proptest! {
        /// The table against a model in which no token is ever used twice.
        #[test]
        fn behaves_like_a_map(steps in vec((any::<bool>(), any::<prop::sample::Index>()), 1..200)) {
            let mut clients = ClientTable::new();
            let mut model = HashMap::new();
            let mut tokens = Vec::new();
            let mut most = 0;
            for (number, (arrives, which)) in steps.into_iter().enumerate() {
                if arrives || tokens.is_empty() {
                    let token = clients.insert(number);
                    prop_assert!(model.insert(token, number).is_none(), "a token came twice");
                    tokens.push(token);
                } else {
                    let token = tokens[which.index(tokens.len())];
                    prop_assert_eq!(clients.remove(token), model.remove(&token));
                }
                for token in &tokens {
                    prop_assert_eq!(clients.get_mut(*token), model.get_mut(token));
                }
                prop_assert_eq!(clients.len(), model.len());
                prop_assert_eq!(clients.is_empty(), model.is_empty());
                most = most.max(model.len());
            }
            prop_assert_eq!(clients.rows.len(), most, "rows are used again");
        }
    }
}
