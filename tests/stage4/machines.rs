//! Exercise 4.3 through the library: buffer and half.

use harness::{Rng, Test, ensure, expect_bytes};
use stage4_proxy::buffer::Buffer;
use stage4_proxy::half::{Half, HalfState};

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
        expect_bytes("The pending bytes", &model, buffer.pending());
        assert_eq!(buffer.len(), model.len(), "the length of the buffer");
    }
}

#[test]
fn e43_an_open_half_reads_only_what_it_has_room_for() {
    let _test = Test::begin("While a byte is pending, read no more: that is all of backpressure.");
    let mut half = Half::new();
    expect_wishes("without a byte", &half, (true, false));
    half.keep(b"abc");
    expect_wishes("with three bytes", &half, (false, true));
    half.sent(2);
    expect_bytes("The pending byte", b"c", half.pending());
    expect_wishes("with one byte left", &half, (false, true));
    half.sent(1);
    expect_wishes("that has written all it had", &half, (true, false));
    assert_eq!(half.moved(), 3, "bytes written in all");
}

#[test]
fn e43_the_fin_comes_after_the_last_byte() {
    let _test =
        Test::begin("A source that has ended leaves bytes behind: write them, then the FIN.");
    let mut half = Half::new();
    half.keep(b"last");
    half.end_of_input();
    assert_eq!(
        half.state(),
        HalfState::Draining,
        "the source has ended, and bytes are pending"
    );
    expect_wishes("that has ended with bytes pending", &half, (false, true));
    ensure(
        !half.owes_fin(),
        "Bytes are still pending, but the half owes its FIN: it would overtake them.",
    );
    half.sent(4);
    expect_wishes("that owes its FIN", &half, (false, true));
    ensure(
        half.owes_fin(),
        "Every byte is written and the source has ended, but the half owes no FIN.",
    );
    half.fin_sent();
    assert_eq!(half.state(), HalfState::Closed, "the FIN was sent");
    expect_wishes("that has sent its FIN", &half, (false, false));
}

/// Checks what a half wants, to read and to write; `which` says where it is.
#[track_caller]
fn expect_wishes(which: &str, half: &Half, (read, write): (bool, bool)) {
    for (wish, seen, expected) in [
        ("wants_read", half.wants_read(), read),
        ("wants_write", half.wants_write(), write),
    ] {
        ensure(
            seen == expected,
            format!(
                "{wish} of a half {which} is {seen}, but it should be {expected} ({:?}, {} bytes pending). Only an open half \
                 without a pending byte reads; pending bytes and an owed FIN are to be written.",
                half.state(),
                half.pending().len() + half.piped()
            ),
        );
    }
}

#[test]
fn e43_a_half_without_bytes_owes_its_fin_at_once() {
    let _test = Test::begin(
        "end_of_input with nothing pending: the FIN is owed, and still has to be sent.",
    );
    let mut half = Half::new();
    half.passed(10);
    half.end_of_input();
    assert!(
        half.owes_fin(),
        "nothing is pending and the source has ended, so the FIN is owed"
    );
    half.fin_sent();
    half.end_of_input();
    assert_eq!(half.state(), HalfState::Closed, "an end is never undone");
}

#[test]
fn e43_bytes_in_a_pipe_are_bytes_that_wait() {
    let _test = Test::begin("Bytes in the pipe are pending, too: the FIN must not overtake them.");
    let mut half = Half::new();
    half.entered_pipe(100);
    expect_wishes("with bytes in the pipe", &half, (false, true));
    half.end_of_input();
    half.left_pipe(60);
    ensure(
        half.has_pending() && !half.owes_fin(),
        "40 bytes are in the pipe, but the half owes its FIN or has nothing pending: the pipe was forgotten.",
    );
    half.left_pipe(40);
    ensure(
        half.owes_fin(),
        "The pipe is empty and the source has ended, but the half owes no FIN.",
    );
    assert_eq!(half.moved(), 100, "bytes written in all");
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
        assert_eq!(half.state(), HalfState::Closed, "the sink is broken");
        expect_wishes("whose sink is broken", &half, (false, false));
        ensure(
            !half.has_pending(),
            "The sink is broken, but bytes for it are still pending: drop them.",
        );
    }
}
