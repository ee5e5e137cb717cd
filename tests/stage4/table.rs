//! Exercise 4.1 through the library: tokens and the route table.

use std::collections::HashSet;

use harness::{Rng, Test};
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
                assert_eq!(back, Some(token), "{:#x}", token.pack());
                assert_eq!((token.row(), token.generation()), (row, generation));
                assert_eq!(token.kind(), Kind::Session(side));
            }
        }
    }
}

#[test]
fn e41_no_two_tokens_are_the_same_number() {
    let _test = Test::begin("Row, side and generation each have bits of their own.");
    let others = [Token::LISTENER, Token::WAKER, Token::link(0)];
    let mut seen = HashSet::from(others.map(Token::pack));
    assert_eq!(seen.len(), 3);
    for row in [0, 1, 2, 256, Token::MAX_ROWS - 1] {
        for side in SIDES {
            for generation in [1, 2, 3, 1 << 31] {
                assert!(seen.insert(Token::new(row, side, generation).pack()));
            }
        }
    }
    assert!(seen.insert(Token::link(1).pack()));
    assert_eq!(Token::unpack(Token::LISTENER.pack()), Some(Token::LISTENER));
    assert_eq!(Token::unpack(Token::WAKER.pack()), Some(Token::WAKER));
}

#[test]
fn e41_each_side_of_a_row_leads_to_its_session() {
    let _test = Test::begin("The token has the row: one index, one comparison.");
    let mut table = RouteTable::new(8);
    let rows: Vec<u32> = (0..8).map(|name| table.insert(name).unwrap()).collect();
    for (name, row) in (0..8).zip(rows) {
        for side in SIDES {
            let token = table.mint(row, side);
            assert_eq!(table.get_mut(token), Some(&mut { name }));
            assert_eq!(table.token(row, side), Some(token));
        }
    }
    table.check_invariants();
}

#[test]
fn e41_a_full_table_gives_the_session_back() {
    let _test = Test::begin("The bound is a promise: beyond it, insert gives the session back.");
    let mut table = RouteTable::new(2);
    let first = table.insert("a").unwrap();
    assert!(!table.is_full());
    table.insert("b").unwrap();
    assert!(table.is_full());
    assert_eq!(table.insert("c"), Err("c"));
    assert_eq!(table.remove(first), Some("a"));
    assert_eq!(table.insert("c"), Ok(first), "a free row is used again");
    assert_eq!(table.len(), 2);
    table.check_invariants();
}

#[test]
fn e41_a_token_of_the_past_reaches_nobody() {
    let _test = Test::begin("A row is reused, a generation is not: compare before you deliver.");
    let mut table = RouteTable::new(4);
    let row = table.insert("first").unwrap();
    let old = SIDES.map(|side| table.mint(row, side));
    assert_eq!(table.remove(row), Some("first"));
    assert_eq!(old.map(|token| table.get_mut(token).is_none()), [true; 2]);
    assert_eq!(table.insert("second"), Ok(row));
    assert_eq!(old.map(|token| table.get_mut(token).is_none()), [true; 2]);
    let new = table.mint(row, Side::Client);
    assert_eq!(table.get_mut(new), Some(&mut "second"));
    assert_eq!(table.get_mut(old[0]), None);
    table.check_invariants();
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
    assert!(table.get_mut(first).is_none());
    assert!(table.get_mut(second).is_some());
    table.vacate(row, Side::Upstream);
    assert!(table.get_mut(second).is_none(), "its socket is closed");
    assert!(table.get_mut(client).is_some(), "the other side goes on");
}

#[test]
fn e41_what_is_no_token_of_a_session_reaches_nobody() {
    let _test = Test::begin("An unknown token is ignored; it must not be an index out of bounds.");
    let mut table = RouteTable::new(2);
    let row = table.insert(()).unwrap();
    let token = table.mint(row, Side::Client);
    let never = Token::new(row, Side::Upstream, token.generation());
    let beyond = Token::new(1000, Side::Client, token.generation());
    let link = Token::link(1);
    for unknown in [never, beyond, link, Token::LISTENER, Token::WAKER] {
        assert!(table.get_mut(unknown).is_none(), "{unknown:?}");
    }
    assert!(table.remove(1000).is_none());
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
            assert_eq!(table.remove(token.row()), Some(name));
            stale.push(token);
        } else {
            let row = table.insert(name).unwrap();
            alive.push((table.mint(row, Side::Client), name));
        }
        table.check_invariants();
    }
    assert_eq!(table.len(), alive.len());
    assert_eq!(table.iter().count(), alive.len());
    for (token, name) in alive {
        assert_eq!(table.get_mut(token), Some(&mut { name }));
    }
    assert!(stale.iter().all(|&token| table.get_mut(token).is_none()));
}
