//! Exercise 4.1 through the library: tokens and the route table.

use std::collections::HashSet;
use std::fmt::Debug;

use harness::{Rng, Test, ensure, expect_value, fail};
use stage4_proxy::route_table::RouteTable;
use stage4_proxy::token::{Kind, Side, Token};

const SIDES: [Side; 2] = [Side::Client, Side::Upstream];

#[test]
fn e41_a_token_survives_its_journey_through_the_kernel() {
    let _test = Test::begin("pack and unpack are opposites: no field may lose a bit.");
    let edges = [0, 1, 0xff, 0x100, 0xffff, Token::MAX_ROWS - 1];
    for row in edges {
        for generation in [0, 1, u32::MAX, 0x89ab_cdef] {
            for side in SIDES {
                let token = Token::new(row, side, generation);
                let back = Token::unpack(token.pack());
                expect_value(
                    format!(
                        "{token:?}, packed into {:#x} and unpacked again,",
                        token.pack()
                    ),
                    &Some(token),
                    &back,
                    "two fields overlap, or one is shifted too far: see the picture at the top of token.rs.",
                );
                assert_eq!(token.row(), row, "the row of {token:?}");
                assert_eq!(
                    token.generation(),
                    generation,
                    "the generation of {token:?}"
                );
                assert_eq!(token.kind(), Kind::Session(side), "the kind of {token:?}");
            }
        }
    }
}

#[test]
fn e41_no_two_tokens_are_the_same_number() {
    let _test = Test::begin("Row, side and generation each have bits of their own.");
    let others = [Token::LISTENER, Token::WAKER, Token::link(0)];
    let mut seen = HashSet::from(others.map(Token::pack));
    assert_eq!(
        seen.len(),
        3,
        "listener, waker and link have numbers of their own"
    );
    for row in [0, 1, 2, 256, Token::MAX_ROWS - 1] {
        for side in SIDES {
            for generation in [1, 2, 3, 1 << 31] {
                let token = Token::new(row, side, generation);
                ensure(
                    seen.insert(token.pack()),
                    format!(
                        "{token:?} has the number {:#x}, which another token has, too.",
                        token.pack()
                    ),
                );
            }
        }
    }
    assert!(
        seen.insert(Token::link(1).pack()),
        "the second link has the number of another token"
    );
    for token in [Token::LISTENER, Token::WAKER] {
        assert_eq!(
            Token::unpack(token.pack()),
            Some(token),
            "packed and unpacked"
        );
    }
}

#[test]
fn e41_each_side_of_a_row_leads_to_its_session() {
    let _test = Test::begin("The token has the row: one index, one comparison.");
    let mut table = RouteTable::new(8);
    let rows: Vec<u32> = (0..8).map(|name| table.insert(name).unwrap()).collect();
    for (name, row) in (0..8).zip(rows) {
        for side in SIDES {
            let token = table.mint(row, side);
            expect_value(
                format!("The session of {token:?}"),
                &Some(name),
                &table.get_mut(token).copied(),
                "another row or the other column is compared.",
            );
            assert_eq!(
                table.token(row, side),
                Some(token),
                "the token of row {row}, {side}"
            );
        }
    }
    table.check_invariants();
}

#[test]
fn e41_a_full_table_gives_the_session_back() {
    let _test = Test::begin("The bound is a promise: beyond it, insert gives the session back.");
    let mut table = RouteTable::new(2);
    let first = table.insert("a").unwrap();
    assert!(!table.is_full(), "one of two rows is free");
    table.insert("b").unwrap();
    assert!(table.is_full(), "both rows are taken");
    expect_value(
        "The third session for two rows",
        &Err("c"),
        &table.insert("c"),
        "the table grows beyond its bound, so a crowd fills the memory.",
    );
    assert_eq!(
        table.remove(first),
        Some("a"),
        "the session of the first row"
    );
    assert_eq!(table.insert("c"), Ok(first), "a free row is used again");
    assert_eq!(table.len(), 2, "sessions in the table");
    table.check_invariants();
}

#[test]
fn e41_a_token_of_the_past_reaches_nobody() {
    let _test = Test::begin("A row is reused, a generation is not: compare before you deliver.");
    let mut table = RouteTable::new(4);
    let row = table.insert("first").unwrap();
    let old = SIDES.map(|side| table.mint(row, side));
    assert_eq!(table.remove(row), Some("first"), "the removed session");
    expect_stale(&mut table, &old, "its session was removed");
    assert_eq!(
        table.insert("second"),
        Ok(row),
        "the free row is used again"
    );
    expect_stale(
        &mut table,
        &old,
        "its row has a new session, without a socket yet",
    );
    let new = table.mint(row, Side::Client);
    assert_eq!(
        table.get_mut(new),
        Some(&mut "second"),
        "the session of the new token"
    );
    expect_stale(
        &mut table,
        &old,
        "its cell has the socket of another session",
    );
    table.check_invariants();
}

/// Checks that tokens of the past find no session, after what `happened`.
#[track_caller]
fn expect_stale<T: Debug>(table: &mut RouteTable<T>, tokens: &[Token], happened: &str) {
    for &token in tokens {
        if let Some(session) = table.get_mut(token) {
            fail(format!(
                "{token:?} still finds the session {session:?}, although {happened}. The event of a closed socket would be \
                 served to another client: compare the generations, and empty both cells when a session is removed."
            ));
        }
    }
}

#[test]
fn e41_another_socket_in_a_cell_makes_the_first_token_stale() {
    let _test =
        Test::begin("The next address is a new socket: mint a new generation for its cell.");
    let mut table = RouteTable::new(1);
    let row = table.insert(()).unwrap();
    let client = table.mint(row, Side::Client);
    let first = table.mint(row, Side::Upstream);
    let second = table.mint(row, Side::Upstream);
    assert!(
        table.get_mut(first).is_none(),
        "the token of the first socket still works: mint must store the new generation in the cell"
    );
    assert!(
        table.get_mut(second).is_some(),
        "the token of the second socket finds its session"
    );
    table.vacate(row, Side::Upstream);
    assert!(table.get_mut(second).is_none(), "its socket is closed");
    assert!(table.get_mut(client).is_some(), "the other side goes on");
}

#[test]
fn e41_what_is_no_token_of_a_session_reaches_nobody() {
    let _test = Test::begin(
        "Check the kind, the row and the generation of a token before you use it; one that was never minted finds nothing.",
    );
    let mut table = RouteTable::new(2);
    let row = table.insert(()).unwrap();
    let token = table.mint(row, Side::Client);
    let never = Token::new(row, Side::Upstream, token.generation());
    let beyond = Token::new(1000, Side::Client, token.generation());
    let link = Token::link(1);
    let empty = Token::new(row, Side::Upstream, 0);
    for unknown in [never, empty, beyond, link, Token::LISTENER, Token::WAKER] {
        ensure(
            table.get_mut(unknown).is_none(),
            format!(
                "{unknown:?} finds a session, but no socket was ever given this token. An empty cell has the generation 0, and \
                 that is no token's."
            ),
        );
    }
    assert!(table.remove(1000).is_none(), "there is no row 1000");
}

#[test]
fn e41_many_sessions_come_and_go() {
    let _test =
        Test::begin("Keep a list of free rows; a row is on it once, and only while it is free.");
    let mut rng = Rng::for_test();
    let mut table = RouteTable::new(16);
    let mut alive: Vec<(Token, u64)> = Vec::new();
    let mut stale: Vec<Token> = Vec::new();
    for name in 0..3000 {
        if !alive.is_empty() && (table.is_full() || rng.below(2) == 0) {
            let (token, name) = alive.swap_remove(rng.below(alive.len()));
            assert_eq!(
                table.remove(token.row()),
                Some(name),
                "the session of {token:?}"
            );
            stale.push(token);
        } else {
            let row = table.insert(name).unwrap();
            alive.push((table.mint(row, Side::Client), name));
        }
        table.check_invariants();
    }
    assert_eq!(table.len(), alive.len(), "sessions that len counts");
    assert_eq!(
        table.iter().count(),
        alive.len(),
        "sessions that iter finds"
    );
    for (token, name) in alive {
        assert_eq!(
            table.get_mut(token),
            Some(&mut { name }),
            "the session of {token:?}"
        );
    }
    expect_stale(&mut table, &stale, "its session was removed");
}
