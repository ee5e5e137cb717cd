//! Exercises 4.2 and 4.3 through the library: timers, buffer, half.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::{Rng, Test};
use stage4_proxy::buffer::Buffer;
use stage4_proxy::half::{Half, HalfState};
use stage4_proxy::timers::Timers;

// ---- exercise 4.2: timers ----

#[test]
fn e42_the_earliest_deadline_is_at_hand() {
    let _test = Test::begin("The poller waits no longer than to the earliest deadline.");
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    let mut timers = Timers::new();
    assert_eq!((timers.next(), timers.is_empty()), (None, true));
    timers.set(1, Some(now + 3 * second));
    timers.set(2, Some(now + second));
    timers.set(3, Some(now + 2 * second));
    assert_eq!(timers.next(), Some(now + second));
    assert_eq!(timers.expire(now), None, "nothing is due yet");
    let due = now + 2 * second;
    assert_eq!(timers.expire(due), Some(2));
    assert_eq!(
        timers.expire(due),
        Some(3),
        "a deadline is due at its moment"
    );
    assert_eq!(timers.expire(due), None);
    assert_eq!(timers.len(), 1);
}

#[test]
fn e42_a_row_has_one_deadline() {
    let _test = Test::begin("A deadline that is set again replaces the one before it.");
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    let mut timers = Timers::new();
    timers.set(7, Some(now + second));
    timers.set(7, Some(now + 5 * second));
    assert_eq!((timers.len(), timers.get(7)), (1, Some(now + 5 * second)));
    assert_eq!(timers.expire(now + 4 * second), None);
    timers.set(7, Some(now + second));
    assert_eq!(timers.expire(now + second), Some(7), "and it may move back");
    timers.set(7, Some(now));
    timers.set(7, None);
    timers.set(9, None);
    assert_eq!(timers.expire(now + 9 * second), None, "it was cancelled");
}

#[test]
fn e42_any_number_of_rows_expire_in_order() {
    let _test =
        Test::begin("After each change the heap's order must hold again, upwards and downwards.");
    let mut rng = Rng::for_test();
    let start = Instant::now();
    let mut timers = Timers::new();
    let mut model = BTreeMap::new();
    for _ in 0..5000 {
        let row = u32::from(rng.bytes(1)[0]);
        let wish = (rng.below(4) > 0).then(|| rng.next_u64() % 1000);
        timers.set(row, wish.map(|ms| start + Duration::from_millis(ms)));
        match wish {
            Some(ms) => model.insert(row, ms),
            None => model.remove(&row),
        };
        let first = model.values().min();
        let first = first.map(|&ms| start + Duration::from_millis(ms));
        assert_eq!((timers.len(), timers.next()), (model.len(), first));
    }
    let mut before = 0;
    while let Some(row) = timers.expire(start + Duration::from_secs(2)) {
        let at = model.remove(&row).expect("a row expires once");
        assert!(before <= at, "{before} ms, then {at} ms");
        before = at;
    }
    assert!(model.is_empty());
}

// ---- exercise 4.3: buffer and half ----

#[test]
fn e43_a_buffer_gives_back_what_it_was_given() {
    let _test = Test::begin("Consuming moves the start; appending goes to the end.");
    let mut rng = Rng::for_test();
    let mut buffer = Buffer::new();
    let mut model: Vec<u8> = Vec::new();
    for _ in 0..500 {
        let length = rng.below(300);
        let piece = rng.bytes(length);
        buffer.append(&piece);
        model.extend_from_slice(&piece);
        let count = rng.below(model.len() + 1);
        buffer.consume(count);
        model.drain(..count);
        assert_eq!(buffer.pending(), model);
        assert_eq!(
            (buffer.len(), buffer.is_empty()),
            (model.len(), model.is_empty())
        );
    }
}

#[test]
fn e43_an_open_half_reads_only_what_it_has_room_for() {
    let _test = Test::begin("While a byte is pending, read no more: that is all of backpressure.");
    let mut half = Half::new();
    assert_eq!((half.wants_read(), half.wants_write()), (true, false));
    half.keep(b"abc");
    assert_eq!((half.wants_read(), half.wants_write()), (false, true));
    half.sent(2);
    assert_eq!((half.pending(), half.wants_read()), (&b"c"[..], false));
    half.sent(1);
    assert_eq!((half.wants_read(), half.wants_write()), (true, false));
    assert_eq!(half.moved(), 3);
}

#[test]
fn e43_the_fin_comes_after_the_last_byte() {
    let _test =
        Test::begin("A source that has ended leaves bytes behind: write them, then the FIN.");
    let mut half = Half::new();
    half.keep(b"last");
    half.end_of_input();
    assert_eq!(half.state(), HalfState::Draining);
    assert_eq!((half.wants_read(), half.wants_write()), (false, true));
    assert!(!half.owes_fin(), "bytes are still pending");
    half.sent(4);
    assert!(
        half.owes_fin() && half.wants_write(),
        "a FIN is something to write"
    );
    half.fin_sent();
    assert_eq!(half.state(), HalfState::Closed);
    assert_eq!((half.wants_read(), half.wants_write()), (false, false));
}

#[test]
fn e43_a_half_without_bytes_owes_its_fin_at_once() {
    let _test = Test::begin(
        "end_of_input with nothing pending: the FIN is owed, and still has to be sent.",
    );
    let mut half = Half::new();
    half.passed(10);
    half.end_of_input();
    assert!(half.owes_fin());
    half.fin_sent();
    half.end_of_input();
    assert_eq!(half.state(), HalfState::Closed, "an end is never undone");
}

#[test]
fn e43_bytes_in_a_pipe_are_bytes_that_wait() {
    let _test = Test::begin("Bytes in the pipe are pending, too: the FIN must not overtake them.");
    let mut half = Half::new();
    half.entered_pipe(100);
    assert_eq!((half.wants_read(), half.wants_write()), (false, true));
    half.end_of_input();
    half.left_pipe(60);
    assert!(half.has_pending() && !half.owes_fin());
    half.left_pipe(40);
    assert!(half.owes_fin());
    assert_eq!(half.moved(), 100);
}

#[test]
fn e43_a_broken_sink_ends_a_half_in_any_state() {
    let _test = Test::begin("The sink is broken: drop the bytes, owe nothing.");
    let states: [fn(&mut Half); 4] = [
        |_| {},
        |half| half.keep(b"waits"),
        |half| half.entered_pipe(5),
        Half::end_of_input,
    ];
    for prepare in states {
        let mut half = Half::new();
        prepare(&mut half);
        half.sink_broken();
        assert_eq!(half.state(), HalfState::Closed);
        let wishes = (half.wants_read(), half.wants_write(), half.has_pending());
        assert_eq!(wishes, (false, false, false));
    }
}
