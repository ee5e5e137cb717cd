//! Exercise 5.2 through the library: the request queue.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use harness::{Rng, Test, ensure, expect_value, fail};
use stage5_mux::queue::request_queue::{QueueFull, RequestQueue};

/// Checks the rows of a queue from the first to the last, and its length, after what `happened`.
#[track_caller]
fn expect_line(queue: &RequestQueue, expected: &[u32], happened: &str) {
    // Bounded, because a list with a wrong link may be a circle.
    let seen: Vec<u32> = queue.iter().take(100).collect();
    expect_value(
        format!("The queue after {happened} (rows, length)"),
        &(expected.to_vec(), expected.len()),
        &(seen, queue.len()),
        "a neighbour still points to the row that has left, or `first`, `last` or `len` was not changed with it.",
    );
}

/// Checks which row is taken first.
#[track_caller]
fn expect_first(queue: &mut RequestQueue, expected: Option<u32>, happened: &str) {
    expect_value(
        format!("The row that take_first returns after {happened}"),
        &expected,
        &queue.take_first().map(|(row, _)| row),
        "a row joins at the end and leaves at the front.",
    );
}

/// Lets rows join that must have room.
#[track_caller]
fn join(queue: &mut RequestQueue, rows: impl IntoIterator<Item = u32>, now: Instant) {
    for row in rows {
        let count = queue.len();
        if queue.join(row, now).is_err() {
            fail(format!(
                "Row {row} finds the queue full behind {count} others, but there is room: the bound is too small by one, or a row \
                 that has left still counts."
            ));
        }
    }
}

#[test]
fn e52_first_come_first_served() {
    let _test = Test::begin("A row joins at the end; the first row leaves first.");
    let begin = Instant::now();
    let mut queue = RequestQueue::new(10);
    expect_first(&mut queue, None, "nothing");
    for (row, seconds) in [(7, 0), (2, 1), (9, 2)] {
        join(&mut queue, [row], begin + Duration::from_secs(seconds));
    }
    expect_line(&queue, &[7, 2, 9], "7, 2 and 9 have joined");
    for (row, seconds) in [(7, 0), (2, 1), (9, 2)] {
        expect_value(
            format!("Since when row {row} waits, in seconds,"),
            &Some(seconds),
            &queue.since(row).map(|since| (since - begin).as_secs()),
            "the time of joining is not kept, or it is that of another row.",
        );
    }
    expect_first(&mut queue, Some(7), "7, 2 and 9 have joined");
    join(&mut queue, [7], begin);
    for row in [2, 9, 7] {
        expect_first(
            &mut queue,
            Some(row),
            "7 has left and joined again at the end",
        );
    }
    expect_first(&mut queue, None, "all have left");
    expect_line(&queue, &[], "all have left");
}

#[test]
fn e52_whoever_goes_leaves_no_gap() {
    let _test = Test::begin(
        "A row may leave from the front, the end, or the middle: the list stays whole.",
    );
    let now = Instant::now();
    for gone in 0..5 {
        let mut queue = RequestQueue::new(10);
        join(&mut queue, 0..5, now);
        let happened = format!("{gone} has left a queue of 0 to 4");
        ensure(
            queue.leave(gone),
            format!("leave({gone}) says that {gone} was not in the queue, but it was."),
        );
        ensure(
            !queue.leave(gone),
            format!("leave({gone}) found {gone} a second time, although {happened}."),
        );
        ensure(
            queue.since(gone).is_none(),
            format!("{gone} still waits, although {happened}."),
        );
        let rest: Vec<u32> = (0..5).filter(|&row| row != gone).collect();
        expect_line(&queue, &rest, &happened);
        join(&mut queue, [gone], now);
        for row in rest.into_iter().chain([gone]) {
            expect_first(
                &mut queue,
                Some(row),
                &format!("{happened} and joined again"),
            );
        }
    }
    ensure(
        !RequestQueue::new(1).leave(1000),
        "leave(1000) says that row 1000 was in the queue, but no row has ever joined.",
    );
}

#[test]
fn e52_a_queue_has_a_bound() {
    let _test = Test::begin("The queue holds `capacity` rows; a row that leaves makes room.");
    let now = Instant::now();
    let mut queue = RequestQueue::new(2);
    join(&mut queue, [1, 2], now);
    ensure(
        queue.join(3, now) == Err(QueueFull) && queue.since(3).is_none(),
        "A queue for two rows has taken a third one: without this bound, waiting clients fill the memory.",
    );
    expect_line(&queue, &[1, 2], "3 was refused");
    queue.leave(1);
    join(&mut queue, [3], now);
    expect_line(&queue, &[2, 3], "1 has left and 3 has joined");
}

#[test]
fn e52_it_agrees_with_a_plain_queue() {
    let _test =
        Test::begin("A linked list in an array behaves like a VecDeque; only leaving is faster.");
    let (mut rng, now) = (Rng::for_test(), Instant::now());
    let (mut queue, mut model) = (RequestQueue::new(12), VecDeque::new());
    for step in 0..20_000 {
        let row = u32::from(rng.bytes(1)[0] % 16);
        match rng.below(3) {
            0 if !model.contains(&row) => {
                let fits = model.len() < 12;
                ensure(
                    queue.join(row, now).is_ok() == fits,
                    format!(
                        "Step {step}: row {row} joins {model:?}, of at most 12: it should fit: {fits}."
                    ),
                );
                if fits {
                    model.push_back(row);
                }
            }
            1 => {
                let was_in = model.contains(&row);
                ensure(
                    queue.leave(row) == was_in,
                    format!("Step {step}: leave({row}) of {model:?} should be {was_in}."),
                );
                model.retain(|&other| other != row);
            }
            _ => expect_first(&mut queue, model.pop_front(), &format!("step {step}")),
        }
        expect_line(&queue, model.make_contiguous(), &format!("step {step}"));
    }
}
