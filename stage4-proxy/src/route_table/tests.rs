use super::*;

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use stage3_epoll::{Event, Readiness};

use Side::{Client, Upstream};

const CAPACITY: u32 = 5;

/// Creates a table with `sessions` in its first rows.
fn table_of<const N: usize>(sessions: [&'static str; N]) -> RouteTable<&'static str> {
    let mut table = RouteTable::new(CAPACITY);
    for session in sessions {
        table.insert(session).unwrap();
    }
    table
}

fn after_generation(last_generation: u32) -> RouteTable<&'static str> {
    RouteTable {
        last_generation,
        ..table_of(["only"])
    }
}

#[test]
fn a_token_finds_the_session_of_its_row() {
    let mut table = table_of(["first", "second"]);
    let tokens = [(0, Client), (0, Upstream), (1, Client), (1, Upstream)]
        .map(|(row, side)| table.mint(row, side));
    let found = tokens.map(|token| *table.get_mut(token).unwrap());
    assert_eq!(found, ["first", "first", "second", "second"]);
}

#[test]
fn a_cell_without_a_socket_has_no_token() {
    let mut table = table_of(["only"]);
    assert_eq!(table.token(0, Client), None);
    let token = table.mint(0, Client);
    assert_eq!(table.token(0, Client), Some(token));
    assert_eq!(table.token(0, Upstream), None);
    assert_eq!(table.token(7, Client), None);
}

#[test]
fn a_token_that_has_left_its_cell_is_good_again_when_it_is_adopted() {
    let mut table = table_of(["only"]);
    let [first, second] = [(); 2].map(|()| table.mint(0, Upstream));
    table.vacate(0, Upstream);
    table.adopt(first);
    assert_eq!(table.token(0, Upstream), Some(first));
    assert_eq!(table.get_mut(first), Some(&mut "only"));
    assert_eq!(table.get_mut(second), None);
    table.check_invariants();
}

#[test]
#[should_panic(expected = "the row holds no session")]
fn a_token_of_a_session_that_has_ended_is_not_adopted() {
    let mut table = table_of(["only"]);
    let token = table.mint(0, Upstream);
    table.remove(0);
    table.adopt(token);
}

#[test]
fn the_next_socket_of_a_cell_makes_the_last_one_stale() {
    let mut table = table_of(["only"]);
    let client = table.mint(0, Client);
    let first = table.mint(0, Upstream);
    table.vacate(0, Upstream);
    assert_eq!(table.get_mut(first), None, "its socket is being closed");
    let second = table.mint(0, Upstream);
    assert_eq!(table.get_mut(first), None, "another socket took its place");
    assert_eq!(table.get_mut(second), Some(&mut "only"));
    assert_eq!(table.get_mut(client), Some(&mut "only"), "the other column");
}

#[test]
fn a_full_table_gives_the_session_back_and_has_room_again_after_a_removal() {
    let mut table = table_of(["a", "b", "c", "d", "e"]);
    assert!(table.is_full());
    assert_eq!(table.insert("f"), Err("f"));
    assert_eq!(table.remove(2), Some("c"));
    assert!(!table.is_full());
    assert_eq!(table.insert("f"), Ok(2));
    assert_eq!(table.insert("g"), Err("g"));
    table.check_invariants();
}

#[test]
fn a_table_without_rows_takes_no_session() {
    let mut table = RouteTable::new(0);
    assert!(table.is_full() && table.is_empty());
    assert_eq!(table.insert("one too many"), Err("one too many"));
}

#[test]
fn rows_are_used_again_before_new_ones_are_touched() {
    let mut table = table_of(["first", "second"]);
    for _ in 0..1000 {
        table.remove(0).unwrap();
        assert_eq!(table.insert("next"), Ok(0));
    }
    assert_eq!(table.rows.len(), 2);
}

#[test]
fn a_row_that_is_used_again_begins_without_sockets() {
    let mut table = table_of(["first"]);
    let old = [Client, Upstream].map(|side| table.mint(0, side));
    table.remove(0);
    table.insert("second").unwrap();
    assert_eq!(table.token(0, Client), None);
    assert_eq!(old.map(|token| table.get_mut(token).copied()), [None, None]);
}

#[test]
fn the_listener_and_the_waker_are_no_sessions() {
    let mut table = table_of(["only"]);
    assert_eq!(table.get_mut(Token::LISTENER), None);
    assert_eq!(table.get_mut(Token::WAKER), None);
}

#[test]
fn generations_begin_again_without_the_one_that_means_empty() {
    let mut table = after_generation(u32::MAX - 1);
    let generations = [(); 3].map(|()| table.mint(0, Client).generation());
    assert_eq!(generations, [u32::MAX, 1, 2]);
    table.check_invariants();
}

#[test]
#[should_panic(expected = "holds no session")]
fn a_socket_needs_a_session() {
    let mut table = table_of(["only"]);
    table.remove(0);
    table.mint(0, Client);
}

/// A batch as the kernel may give it: its first event ends a session, a new session takes the row
/// in the same turn, and the events after it still mean the old one.
#[test]
fn the_later_events_of_a_batch_do_not_reach_the_next_owner_of_the_row() {
    let mut table = table_of(["old"]);
    let (client, upstream) = (table.mint(0, Client), table.mint(0, Upstream));
    let batch = [
        (client, Readiness::EPOLLIN | Readiness::EPOLLHUP),
        (upstream, Readiness::EPOLLIN),
        (client, Readiness::EPOLLOUT),
        (upstream, Readiness::EPOLLIN | Readiness::EPOLLRDHUP),
    ]
    .map(|(token, readiness)| Event::new(stage3_epoll::Token(token.pack()), readiness));

    let (mut delivered, mut stale) = (Vec::new(), 0);
    for event in batch {
        let token = Token::unpack(event.token().0).unwrap();
        let Some(session) = table.get_mut(token) else {
            stale += 1;
            continue;
        };
        delivered.push(*session);
        if event.is_read_closed() {
            table.remove(token.row());
            assert_eq!(table.insert("new"), Ok(0), "the same row");
            table.mint(0, Client);
            table.mint(0, Upstream);
        }
    }
    assert_eq!((delivered, stale), (vec!["old"], 3));
    assert_eq!(
        table.row_mut(0),
        Some(&mut "new"),
        "the last hang-up was not for it"
    );
}

#[derive(Clone, Debug)]
enum Step {
    Insert,
    Mint(u32, Side),
    Vacate(u32, Side),
    Remove(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Two rows beyond the capacity, because asking for them must be harmless.
    let row = 0..CAPACITY + 2;
    let side = || prop_oneof![Just(Client), Just(Upstream)];
    let step = prop_oneof![
        3 => Just(Step::Insert),
        4 => (row.clone(), side()).prop_map(|(row, side)| Step::Mint(row, side)),
        2 => (row.clone(), side()).prop_map(|(row, side)| Step::Vacate(row, side)),
        2 => row.prop_map(Step::Remove),
    ];
    vec(step, 0..120)
}

/// The table as a map, which never forgets a token.
#[derive(Default)]
struct Model {
    sessions: BTreeMap<u32, usize>,
    sockets: BTreeMap<(u32, usize), Token>,
    minted: Vec<Token>,
    inserted: usize,
}

impl Model {
    /// Does one step in the table and in the model, and compares the results.
    fn step(&mut self, table: &mut RouteTable<usize>, step: &Step) {
        match *step {
            Step::Insert => self.insert(table),
            Step::Mint(row, side) if self.sessions.contains_key(&row) => {
                let token = table.mint(row, side);
                self.sockets.insert((row, side.column()), token);
                self.minted.push(token);
            }
            // A socket without a session is a bug, see `a_socket_needs_a_session`.
            Step::Mint(..) => {}
            Step::Vacate(row, side) => {
                table.vacate(row, side);
                self.sockets.remove(&(row, side.column()));
            }
            Step::Remove(row) => {
                assert_eq!(table.remove(row), self.sessions.remove(&row));
                self.sockets.retain(|&(other, _), _| other != row);
            }
        }
    }

    fn insert(&mut self, table: &mut RouteTable<usize>) {
        self.inserted += 1;
        match table.insert(self.inserted) {
            Ok(row) => {
                assert!(row < CAPACITY);
                let earlier = self.sessions.insert(row, self.inserted);
                assert_eq!(earlier, None, "row {row} was taken");
            }
            Err(session) => {
                assert_eq!(session, self.inserted);
                assert_eq!(self.sessions.len(), CAPACITY as usize);
            }
        }
    }

    fn compare(&self, table: &mut RouteTable<usize>) {
        table.check_invariants();
        assert_eq!(table.len(), self.sessions.len());
        assert_eq!(table.is_full(), self.sessions.len() == CAPACITY as usize);
        let rows: BTreeMap<_, _> = table.iter().map(|(row, &session)| (row, session)).collect();
        assert_eq!(rows, self.sessions);
        for (&(row, column), &token) in &self.sockets {
            let side = [Client, Upstream][column];
            assert_eq!(table.token(row, side), Some(token));
        }
        for &token in &self.minted {
            assert_eq!(
                table.get_mut(token).copied(),
                self.owner(token),
                "{token:?}"
            );
        }
    }

    /// Returns the session that a token names: that of its row, while its socket is in the cell.
    fn owner(&self, token: Token) -> Option<usize> {
        let is_current = self.sockets.values().any(|&other| other == token);
        is_current.then(|| self.sessions[&token.row()])
    }
}

proptest! {
    #[test]
    fn it_agrees_with_a_map(steps in steps(), last_generation in prop_oneof![Just(0), Just(u32::MAX - 20)]) {
        let mut table = RouteTable { last_generation, ..RouteTable::new(CAPACITY) };
        let mut model = Model::default();
        for step in steps {
            model.step(&mut table, &step);
            model.compare(&mut table);
        }
    }
}
