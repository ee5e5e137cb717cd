//! The arithmetic by hand, by chance, and over a simulated link.

use std::collections::VecDeque;
use std::time::Duration;

use harness::expect_value;
use proptest::prelude::*;

use super::*;

const KIB: u32 = 1024;
const INITIAL: u32 = 256 * KIB;
const MAX: u32 = 16 << 20;

fn budget() -> Budget {
    Budget::new(64 << 20, MAX)
}

#[test]
fn the_senders_window_is_never_negative_and_never_overflows() {
    let mut window = SendWindow::new(10);
    window.take(10);
    assert_eq!(window.left(), 0, "all 10 bytes of the window are used");
    expect_value(
        "Credit of 4 GiB - 1 for an empty window",
        &Ok(()),
        &window.add(u32::MAX),
        "a window may be as large as its number.",
    );
    expect_value(
        "Credit of 1 more",
        &Err(Violation::CreditOverflow),
        &window.add(1),
        "the sum does not fit into 32 bits: checked_add.",
    );
    assert_eq!(
        window.left(),
        u32::MAX,
        "credit that is refused changes nothing"
    );
}

#[test]
#[should_panic(expected = "11 bytes in a window of 10")]
fn more_than_the_window_is_never_sent() {
    SendWindow::new(10).take(11);
}

#[test]
fn credit_is_given_when_a_quarter_was_consumed() {
    let (now, mut budget) = (Instant::now(), budget());
    let mut window = ReceiveWindow::new(INITIAL);
    window.receive(200 * KIB, now).unwrap();
    assert_eq!(window.consume(60 * KIB, now, &mut budget), 0);
    assert_eq!(window.consume(4 * KIB, now, &mut budget), 64 * KIB);
    assert_eq!((window.open(), window.held()), (120 * KIB, 136 * KIB));
}

#[test]
fn a_byte_more_than_the_window_is_a_violation() {
    let now = Instant::now();
    let mut window = ReceiveWindow::new(INITIAL);
    window.receive(INITIAL, now).unwrap();
    for (bytes, expected) in [
        (1, Err(Violation::WindowOverrun)),
        (u32::MAX, Err(Violation::WindowOverrun)),
        (0, Ok(())),
    ] {
        expect_value(
            format!("What receive says to {bytes} bytes when the whole window is used"),
            &expected,
            &window.receive(bytes, now),
            "a byte needs a place that is open: checked_sub from `open`.",
        );
    }
    assert_eq!(
        window.held(),
        INITIAL,
        "bytes that are refused are not held"
    );
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Receive(u32),
    Consume(u32),
    Pass(u64),
    Rest,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..=MAX).prop_map(Step::Receive),
        (0..=MAX).prop_map(Step::Consume),
        (0..30_000_u64).prop_map(Step::Pass),
        Just(Step::Rest),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn no_more_is_granted_than_is_paid_for(steps in steps()) {
        let mut now = Instant::now();
        let mut budget = budget();
        let mut window = ReceiveWindow::new(INITIAL);
        // What the peer may send, as the peer counts it.
        let mut sender = SendWindow::new(INITIAL);
        for step in steps {
            match step {
                Step::Receive(bytes) => {
                    let bytes = bytes.min(sender.left());
                    sender.take(bytes);
                    prop_assert_eq!(window.receive(bytes, now), Ok(()), "{} bytes for which credit was given", bytes);
                }
                Step::Consume(bytes) => {
                    let credit = window.consume(bytes.min(window.held()), now, &mut budget);
                    prop_assert_eq!(sender.add(credit), Ok(()), "{} bytes of credit", credit);
                }
                Step::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Rest => window.rest(now, &mut budget),
            }
            prop_assert_eq!(sender.left(), window.open(), "what the sender may send, and what is open here, after {:?}", step);
            window.check_invariants();
        }
        window.close(&mut budget);
        prop_assert!(!budget.is_used(), "the budget is whole again");
    }
}

/// One stream over a link with a rate and a delay, and a reader with a rate; time goes on in steps of 100 microseconds.
struct Simulation {
    now: Instant,
    bytes_per_step: u32,
    delay: Duration,
    reader_per_step: u32,
    sender: SendWindow,
    window: ReceiveWindow,
    budget: Budget,
    data: VecDeque<(Instant, u32)>,
    credit: VecDeque<(Instant, u32)>,
}

const STEP: Duration = Duration::from_micros(100);

impl Simulation {
    fn new(bytes_per_second: u64, delay: Duration, reader_per_second: u64) -> Self {
        let per_step = |rate: u64| u32::try_from(rate / 10_000).unwrap();
        Self {
            now: Instant::now(),
            bytes_per_step: per_step(bytes_per_second),
            delay,
            reader_per_step: per_step(reader_per_second),
            sender: SendWindow::new(INITIAL),
            window: ReceiveWindow::new(INITIAL),
            budget: budget(),
            data: VecDeque::new(),
            credit: VecDeque::new(),
        }
    }

    /// Lets time pass and returns how many bytes the reader has got in it.
    fn run(&mut self, time: Duration) -> u64 {
        let (end, mut read) = (self.now + time, 0);
        while self.now < end {
            self.now += STEP;
            read += u64::from(self.step());
        }
        read
    }

    fn step(&mut self) -> u32 {
        let now = self.now;
        let bytes = self.bytes_per_step.min(self.sender.left());
        self.sender.take(bytes);
        if bytes > 0 {
            self.data.push_back((now + self.delay, bytes));
        }
        while let Some((_, bytes)) = self.data.pop_front_if(|(due, _)| *due <= now) {
            self.window.receive(bytes, now).unwrap();
            self.window.touch(now);
        }
        let taken = self.reader_per_step.min(self.window.held());
        let credit = self.window.consume(taken, now, &mut self.budget);
        self.credit.push_back((now + self.delay, credit));
        while let Some((_, credit)) = self.credit.pop_front_if(|(due, _)| *due <= now) {
            self.sender.add(credit).unwrap();
        }
        taken
    }
}

const MBIT: u64 = 125_000;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_long_link_is_full_within_three_seconds() {
    for (rate, delay) in [
        (1000 * MBIT, 50),
        (200 * MBIT, 50),
        (1000 * MBIT, 15),
        (100 * MBIT, 100),
    ] {
        let mut link = Simulation::new(rate, Duration::from_millis(delay), 10 * rate);
        let start = link.run(seconds(3));
        let read = link.run(seconds(1));
        let window = link.window.size();
        println!(
            "{} Mbit/s at {delay} ms one way: window {window}, {start} bytes at first",
            rate / MBIT
        );
        assert!(
            read >= rate * 9 / 10,
            "{read} bytes a second of {rate} with a window of {window}"
        );
    }
}

#[test]
fn a_short_link_does_not_grow_the_window() {
    for rate in [10 * MBIT, 100 * MBIT, 1000 * MBIT] {
        let mut link = Simulation::new(rate, Duration::from_micros(200), 10 * rate);
        let read = link.run(seconds(20));
        assert!(read >= 19 * rate, "{read} of {rate}");
        assert!(
            link.window.size() <= 2 * INITIAL,
            "{} for {rate}",
            link.window.size()
        );
    }
}

#[test]
fn a_slow_reader_does_not_grow_the_window() {
    let mut link = Simulation::new(1000 * MBIT, Duration::from_millis(50), MBIT);
    link.run(seconds(30));
    assert_eq!(link.window.size(), INITIAL);
    assert!(link.window.held() >= INITIAL / 2, "it is full instead");
}

#[test]
fn a_window_that_brings_nothing_steps_back() {
    // The delay asks for 25 MB, and the link's window may not have so much: the last doubling is of no use.
    let mut link = Simulation::new(40 * MBIT, Duration::from_millis(100), 400 * MBIT);
    link.run(seconds(9));
    let size = link.window.size();
    assert!((INITIAL..=4 << 20).contains(&size), "{size}");
}

#[test]
fn the_budget_of_the_link_bounds_the_windows() {
    let mut budget = Budget::new(512 * u64::from(KIB), MAX);
    let mut link = Simulation::new(1000 * MBIT, Duration::from_millis(50), 10_000 * MBIT);
    std::mem::swap(&mut link.budget, &mut budget);
    link.run(seconds(5));
    assert_eq!(
        link.window.size(),
        512 * KIB,
        "a doubling to 1 MiB would need 768 KiB"
    );
}

#[test]
fn an_idle_stream_gives_its_growth_back() {
    let mut link = Simulation::new(1000 * MBIT, Duration::from_millis(50), 10_000 * MBIT);
    link.run(seconds(3));
    assert!(link.window.size() > 4 << 20 && link.budget.is_used());
    link.window.rest(link.now, &mut link.budget);
    assert!(link.window.size() > INITIAL, "it is not idle");
    // The peer has nothing to send for a while, and keeps its credit.
    link.bytes_per_step = 0;
    link.run(seconds(11));
    link.window.rest(link.now, &mut link.budget);
    assert_eq!(link.window.size(), INITIAL);
    assert!(link.budget.is_used() && link.window.open() > 4 << 20);
    // When it has used it, there is no more than at first.
    link.bytes_per_step = 12_500;
    while link.sender.left() > 0 && link.window.open() > INITIAL {
        link.step();
    }
    link.bytes_per_step = 0;
    link.run(seconds(1));
    assert!(!link.budget.is_used(), "{:?}", link.window);
}
