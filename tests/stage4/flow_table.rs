//! Exercise 4.11 through the library: the table of flows, in the order of their use.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

use harness::{Rng, Test, expect_value};
use stage4_proxy::udp::flow_table::{FlowId, FlowTable};

const SECOND: Duration = Duration::from_secs(1);

/// A table for `bound` flows that has flows with the keys 0, 1 and so on, used in this order, for a minute.
fn table(bound: usize, now: Instant) -> (FlowTable<usize, &'static str>, Vec<FlowId>) {
    let mut table = FlowTable::new(bound);
    let insert = |key| table.insert(key, "a flow", now + 60 * SECOND);
    let ids = (0..bound).map(insert).collect();
    (table, ids)
}

/// Checks which flow ends when so many seconds of the test are over.
#[track_caller]
fn expect_expired<K: Clone + Eq + Hash + Debug, V: PartialEq + Debug>(
    table: &mut FlowTable<K, V>,
    begin: Instant,
    seconds: u32,
    expected: &Option<K>,
) {
    expect_value(
        format!("The flow that expires at second {seconds}"),
        expected,
        &table.expire(begin + seconds * SECOND).map(|(key, _)| key),
        "a flow is due at its own latest deadline, not before it, and each only once: expire asks the row, not the timer.",
    );
}

/// Checks the second of the test at which the table has to be asked again.
#[track_caller]
fn expect_deadline<K: Clone + Eq + Hash, V>(
    table: &FlowTable<K, V>,
    begin: Instant,
    seconds: Option<u64>,
) {
    expect_value(
        "The next deadline, in seconds,",
        &seconds,
        &table.next_deadline().map(|next| (next - begin).as_secs()),
        "a timer is set too late, or is still there for a flow that has gone.",
    );
}

/// Checks which flow makes room.
#[track_caller]
fn expect_evicted<K: PartialEq + Debug>(expected: &Option<K>, evicted: &Option<K>, because: &str) {
    expect_value(
        format!("The flow that makes room ({because})"),
        expected,
        evicted,
        "the order of use is wrong: touch puts a flow in front, evict takes from the back, and only if the table is full.",
    );
}

/// Adds a flow to a table that may be full, as the proxy does.
fn make_room_and_insert(
    table: &mut FlowTable<usize, &'static str>,
    key: usize,
    deadline: Instant,
) -> (FlowId, Option<usize>) {
    let evicted = table.evict().map(|(key, _)| key);
    (table.insert(key, "a flow", deadline), evicted)
}

#[test]
fn e4_11_a_flow_is_found_by_its_key_and_by_its_number() {
    let _test =
        Test::begin("A datagram has an address, an event has a number: both lead to a flow.");
    let (table, ids) = table(3, Instant::now());
    for (key, id) in ids.into_iter().enumerate() {
        let lost =
            "the index of keys names another row, or the generation is not that of the flow.";
        expect_value(
            format!("The number of key {key}"),
            &Some(id),
            &table.find(&key),
            lost,
        );
        expect_value(
            format!("The flow of key {key}"),
            &Some((&key, &"a flow")),
            &table.get(id),
            lost,
        );
    }
    assert_eq!(table.find(&3), None, "no flow has the key 3");
    assert_eq!(
        (table.len(), table.is_full()),
        (3, true),
        "three flows, and room for three"
    );
}

#[test]
fn e4_11_a_full_table_gives_up_the_flow_that_was_used_longest_ago() {
    let _test = Test::begin(
        "10,000 sources must not need memory for 10,000 flows: the one that was silent longest goes.",
    );
    let now = Instant::now();
    let (mut table, ids) = table(3, now);
    // 0 is the oldest, but it is used again: now 1 is.
    table.touch(ids[0], now + 60 * SECOND);
    let (_, evicted) = make_room_and_insert(&mut table, 3, now + 60 * SECOND);
    expect_evicted(&Some(1), &evicted, "0 was used after 1");
    // A flow in the middle of the order.
    table.touch(ids[0], now + 60 * SECOND);
    let (_, evicted) = make_room_and_insert(&mut table, 4, now + 60 * SECOND);
    expect_evicted(&Some(2), &evicted, "0 was used again after 2");
    // The newest one: nothing changes.
    let newest = table.find(&4).expect("key 4");
    table.touch(newest, now + 60 * SECOND);
    let (_, evicted) = make_room_and_insert(&mut table, 5, now + 60 * SECOND);
    expect_evicted(&Some(3), &evicted, "4 was the newest already");
    assert_eq!(table.len(), 3, "the bound holds");
}

#[test]
fn e4_11_a_table_with_room_gives_up_nothing() {
    let _test = Test::begin("evict makes room in a full table; a flow must not go before that.");
    let now = Instant::now();
    let mut table = FlowTable::new(2);
    expect_evicted(&None, &table.evict(), "the table is empty");
    table.insert("a", (), now + SECOND);
    expect_evicted(&None, &table.evict(), "one of two places is free");
    table.insert("b", (), now + SECOND);
    expect_evicted(&Some(("a", ())), &table.evict(), "both places are taken");
    expect_evicted(&None, &table.evict(), "there is room again");
}

#[test]
fn e4_11_a_number_of_the_past_reaches_no_flow() {
    let _test = Test::begin(
        "A row is used again, a generation is not: an event may come for the flow that was there before.",
    );
    let now = Instant::now();
    let (mut table, ids) = table(2, now);
    assert_eq!(
        table.remove(ids[0]),
        Some((0, "a flow")),
        "the flow that is removed"
    );
    let new = table.insert(7, "another", now + SECOND);
    assert_eq!(new.row, ids[0].row, "the free row is used again");
    let served =
        "an event of the old flow is served to the new one of its row: compare the generations.";
    assert_ne!(
        new.generation, ids[0].generation,
        "a generation is used once"
    );
    expect_value(
        "The flow of the old number",
        &None,
        &table.get(ids[0]),
        served,
    );
    expect_value(
        "What the old number removes",
        &None,
        &table.remove(ids[0]),
        served,
    );
    // If this moved the deadline of the new flow, or its place in the order, strangers could keep it alive.
    table.touch(ids[0], now + 90 * SECOND);
    expect_expired(&mut table, now, 1, &Some(7));
    assert_eq!(table.find(&0), None, "the key has gone with its flow");
}

#[test]
fn e4_11_a_flow_ends_at_its_deadline() {
    let _test = Test::begin("A deadline is due at its moment; each call takes one flow out.");
    let now = Instant::now();
    let mut table = FlowTable::new(8);
    for (key, seconds) in [("c", 3), ("a", 1), ("b", 2)] {
        table.insert(key, (), now + seconds * SECOND);
    }
    expect_deadline(&table, now, Some(1));
    for (seconds, key) in [(0, None), (2, Some("a")), (2, Some("b")), (2, None)] {
        expect_expired(&mut table, now, seconds, &key);
    }
    assert_eq!(table.len(), 1, "only c is left");
    assert_eq!(table.find(&"a"), None, "the key has gone with its flow");
}

#[test]
fn e4_11_a_flow_that_is_used_lives_longer() {
    let _test = Test::begin(
        "touch need not move the timer: but then expire must ask the flow whether the deadline is still the same.",
    );
    let now = Instant::now();
    let mut table = FlowTable::new(8);
    let id = table.insert("used", (), now + SECOND);
    table.insert("silent", (), now + SECOND);
    for second in 2..6 {
        table.touch(id, now + second * SECOND);
    }
    expect_expired(&mut table, now, 1, &Some("silent"));
    // The other one has four seconds more, and no less.
    expect_expired(&mut table, now, 1, &None);
    expect_deadline(&table, now, Some(5));
    expect_expired(&mut table, now, 4, &None);
    expect_expired(&mut table, now, 5, &Some("used"));
}

#[test]
fn e4_11_a_deadline_may_also_come_nearer() {
    let _test = Test::begin("A timer may be too early, but never too late.");
    let now = Instant::now();
    let mut table = FlowTable::new(8);
    let id = table.insert("a", (), now + 60 * SECOND);
    table.touch(id, now + SECOND);
    expect_deadline(&table, now, Some(1));
    expect_expired(&mut table, now, 1, &Some("a"));
    expect_deadline(&table, now, None);
}

#[test]
fn e4_11_a_flow_that_is_gone_has_no_deadline() {
    let _test = Test::begin("A flow that is removed takes key, row and deadline with it.");
    let now = Instant::now();
    let (mut table, ids) = table(3, now);
    for id in ids {
        assert!(table.remove(id).is_some(), "{id:?} is in the table");
    }
    assert_eq!(
        (table.len(), table.iter().count()),
        (0, 0),
        "all flows were removed"
    );
    expect_deadline(&table, now, None);
    expect_evicted(&None, &table.evict(), "all flows were removed");
    let again = table.insert(0, "again", now + SECOND);
    assert_eq!(table.find(&0), Some(again), "a key may come back");
}

#[test]
fn e4_11_any_sequence_of_steps_keeps_the_order_of_use() {
    let _test = Test::begin("A list of (key, deadline) in the order of use does the same, slowly.");
    let (start, bound) = (Instant::now(), 6);
    let mut rng = Rng::for_test();
    let mut table = FlowTable::new(bound);
    // The least recently used flow first.
    let mut model: Vec<(usize, Instant)> = Vec::new();
    let mut now = start;
    for _ in 0..20_000 {
        let (key, wait) = (rng.below(12), rng.below(40));
        let deadline = now + Duration::from_millis(u64::try_from(wait).expect("small"));
        let known = model.iter().position(|(other, _)| *other == key);
        match (rng.below(8), table.find(&key)) {
            (0, _) => now += Duration::from_millis(5),
            (1, Some(id)) => {
                table.remove(id).expect("a flow that was found");
                model.remove(known.expect("the model has it, too"));
            }
            (_, Some(id)) => {
                table.touch(id, deadline);
                model.remove(known.expect("the model has it, too"));
                model.push((key, deadline));
            }
            (_, None) => {
                assert_eq!(known, None, "key {key} was not found");
                let oldest = (model.len() == bound).then(|| model.remove(0).0);
                let (_, evicted) = make_room_and_insert(&mut table, key, deadline);
                assert_eq!(evicted, oldest, "the flow that makes room for {key}");
                model.push((key, deadline));
            }
        }
        while let Some((key, _)) = table.expire(now) {
            let place = model.iter().position(|(other, _)| *other == key);
            let (_, deadline) = model.remove(place.expect("a flow ends once"));
            assert!(deadline <= now, "key {key} was not due yet");
        }
        let late = model.iter().find(|(_, deadline)| *deadline <= now);
        assert!(late.is_none(), "{late:?} was due and did not expire");
        assert_eq!(table.len(), model.len(), "flows in the table");
        let earliest = model.iter().map(|(_, deadline)| *deadline).min();
        assert!(
            table.next_deadline() <= earliest || earliest.is_none(),
            "the next deadline is after that of a flow, which would expire too late"
        );
    }
}
