//! Exercise 3.4 through the library: the table of clients and its tokens.

use harness::{Test, ensure, expect_value, fail};
use stage3_epoll::{ClientTable, Token};

#[test]
fn e34_a_token_finds_its_client() {
    let _test = Test::begin(
        "The row number is in the token: no searching. Removing a token twice removes one client.",
    );
    let mut clients = ClientTable::new();
    assert!(clients.is_empty(), "a new table has no client");
    let tokens: Vec<_> = (0..100).map(|number| clients.insert(number)).collect();
    assert_eq!(clients.len(), 100, "100 clients were inserted");
    for (number, token) in (0..100).zip(&tokens) {
        expect_value(
            format!("The client of {token:?}"),
            &Some(number),
            &clients.get_mut(*token).copied(),
            "row and generation overlap in the token, or another row is looked up.",
        );
    }
    let cause = "remove took another row, took it twice, or did not count the client.";
    for (case, expected) in [("first", Some(40)), ("second", None)] {
        expect_value(
            format!("What the {case} remove of client 40 returned"),
            &expected,
            &clients.remove(tokens[40]),
            cause,
        );
    }
    expect_value(
        "The number of clients after one of 100 has left",
        &99,
        &clients.len(),
        cause,
    );
    expect_value(
        "The client beside it",
        &Some(41),
        &clients.get_mut(tokens[41]).copied(),
        cause,
    );
}

#[test]
fn e34_an_old_token_never_finds_a_new_client() {
    let _test = Test::begin(
        "Count the clients of a row: the generation tells an old token from a new one.",
    );
    let mut clients = ClientTable::new();
    let mut old = Vec::new();
    for number in 0..1000 {
        let token = clients.insert(number);
        ensure(
            !old.contains(&token),
            format!(
                "{token:?} was given out before, to a client that has left: an old event would reach the new one."
            ),
        );
        expect_value(
            format!("What remove returned for client {number} of one row"),
            &Some(number),
            &clients.remove(token),
            "its own token does not find it.",
        );
        old.push(token);
    }
    let newest = clients.insert(4711);
    for token in old {
        let found = clients
            .get_mut(token)
            .copied()
            .or_else(|| clients.remove(token));
        if let Some(found) = found {
            fail(format!(
                "{token:?} belongs to a client that has left, and finds client {found}: an old event would be served to it. \
                 Compare the generations, in get_mut and in remove."
            ));
        }
    }
    expect_value(
        "The newest client of the row",
        &Some(4711),
        &clients.get_mut(newest).copied(),
        "an old token has removed it.",
    );
}

#[test]
fn e34_rows_are_used_again() {
    let _test = Test::begin(
        "A free list: the table is as long as the most clients at one time, not as all clients of the day.",
    );
    let mut clients = ClientTable::new();
    let mut rows = std::collections::HashSet::new();
    for number in 0..10_000 {
        let token = clients.insert(number);
        rows.insert(token.0 & 0xffff_ffff);
        clients.remove(token);
    }
    ensure(
        rows.len() == 1,
        format!(
            "One client at a time needs one row, but {} were used: insert takes a free row first, and remove gives it back.",
            rows.len()
        ),
    );
}

#[test]
fn e34_a_token_that_nobody_gave_out_finds_nobody() {
    let _test = Test::begin(
        "Look the row up with get, not with an index: an unknown one is no reason to panic.",
    );
    let mut clients = ClientTable::new();
    clients.insert("Ada");
    for number in [1, u64::MAX, 1 << 32, u64::MAX - 1] {
        let cause = "the row exists or not, but the generation of the token was not compared.";
        let token = Token(number);
        expect_value(
            format!("What get_mut found for {token:?}"),
            &None,
            &clients.get_mut(token).copied(),
            cause,
        );
        expect_value(
            format!("What remove found for {token:?}"),
            &None,
            &clients.remove(token),
            cause,
        );
    }
}
