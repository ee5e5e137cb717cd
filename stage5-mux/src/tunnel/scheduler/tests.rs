//! Turns by hand, and a simulated link that counts who waits for how long.

use harness::expect_value;
use proptest::prelude::*;

use super::*;

fn key(slot: u32) -> StreamKey {
    StreamKey::new(slot, 1)
}

/// Lets the next stream send up to `frame` bytes, and returns its slot.
fn step(scheduler: &mut Scheduler, frame: usize) -> Option<usize> {
    let turn = scheduler.turn()?;
    scheduler.charge(turn.key, turn.allowance.min(frame));
    scheduler.check_invariants();
    Some(turn.key.slot())
}

fn awake(slots: impl IntoIterator<Item = u32>) -> Scheduler {
    let mut scheduler = Scheduler::default();
    slots.into_iter().for_each(|slot| scheduler.wake(key(slot)));
    scheduler
}

#[test]
fn each_stream_gets_one_quantum_after_the_other() {
    let mut scheduler = awake(0..3);
    let slots: Vec<_> = (0..12)
        .filter_map(|_| step(&mut scheduler, 8 * 1024))
        .collect();
    expect_value(
        "The order of three streams that send frames of half a quantum",
        &vec![0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2],
        &slots,
        "a stream sends as long as its deficit is above 0, then it goes to the end of the list and gets one quantum more.",
    );
}

#[test]
fn a_stream_that_was_idle_comes_first_once() {
    let mut scheduler = awake(0..3);
    while scheduler.turn().is_some_and(|turn| turn.is_fresh) {
        step(&mut scheduler, usize::MAX);
    }
    scheduler.wake(key(9));
    let order: Vec<_> = (0..5)
        .filter_map(|_| step(&mut scheduler, usize::MAX))
        .collect();
    expect_value(
        "The order when stream 9 wakes up while 0, 1 and 2 send",
        &vec![9, 0, 1, 2, 9],
        &order,
        "a stream that was idle is fresh: in front of all waiting ones, but for one quantum only.",
    );
}

#[test]
fn a_stream_that_pauses_gets_its_share_and_no_more() {
    let mut scheduler = awake(0..4);
    let mut sent = [0_usize; 5];
    for _ in 0..4000 {
        // It is always ready again at once, and would be in front each time.
        scheduler.wake(key(4));
        let turn = scheduler.turn().unwrap();
        let bytes = turn.allowance.min(1000);
        scheduler.charge(turn.key, bytes);
        sent[turn.key.slot()] += bytes;
        if turn.key == key(4) {
            scheduler.sleep(key(4));
        }
        scheduler.check_invariants();
    }
    let most = *sent.iter().max().unwrap();
    let least = *sent.iter().min().unwrap();
    assert!(
        most - least <= 2 * 16 * 1024,
        "each of the five streams gets the same, but they have sent {sent:?} bytes, and the last one pauses after each frame: it \
         gets a new quantum once in a round, and `entry.round` is the round in which it became idle"
    );
}

#[test]
fn long_frames_are_paid_for_later() {
    let mut scheduler = awake(0..2);
    let turn = scheduler.turn().unwrap();
    scheduler.charge(turn.key, 4 * 16 * 1024);
    let order: Vec<_> = (0..5)
        .filter_map(|_| step(&mut scheduler, usize::MAX))
        .collect();
    expect_value(
        "The order of two streams, after a frame of four quanta of stream 0,",
        &vec![1, 1, 1, 1, 0],
        &order,
        "a deficit may be negative, and is paid back by one quantum in each round.",
    );
}

#[test]
fn a_fast_link_takes_longer_turns() {
    let mut scheduler = awake(0..2);
    scheduler.set_quantum(64 * 1024);
    while scheduler.turn().is_some_and(|turn| turn.is_fresh) {
        step(&mut scheduler, usize::MAX);
    }
    expect_value(
        "The allowance of a turn with a quantum of 64 KiB",
        &(64 * 1024),
        &scheduler.turn().unwrap().allowance,
        "the quantum is a field and changes with the speed of the link.",
    );
    scheduler.set_quantum(4 * 1024);
    step(&mut scheduler, usize::MAX);
    step(&mut scheduler, usize::MAX);
    assert_eq!(
        scheduler.turn().unwrap().allowance,
        MIN_QUANTUM,
        "never shorter than this"
    );
}

#[test]
fn a_stream_is_alone_when_it_has_sent_much_and_no_other_stream_anything() {
    let mut scheduler = awake(0..1);
    assert!(!scheduler.is_alone(key(0)), "it has only begun");
    scheduler.charge(key(0), ALONE_AFTER / 2);
    scheduler.charge(key(0), ALONE_AFTER / 2);
    assert!(scheduler.is_alone(key(0)));
    scheduler.wake(key(1));
    assert!(!scheduler.is_alone(key(0)), "another one is ready");
    scheduler.charge(key(1), 64);
    scheduler.sleep(key(1));
    assert!(!scheduler.is_alone(key(0)), "another one has sent");
    scheduler.charge(key(0), ALONE_AFTER - 1);
    assert!(!scheduler.is_alone(key(0)));
    scheduler.charge(key(0), 1);
    assert!(scheduler.is_alone(key(0)));
    assert!(!scheduler.is_alone(key(1)));
}

#[test]
fn a_stream_that_has_ended_is_never_named() {
    let mut scheduler = awake(0..3);
    scheduler.remove(key(1));
    scheduler.remove(key(7));
    let order: Vec<_> = (0..4)
        .filter_map(|_| step(&mut scheduler, usize::MAX))
        .collect();
    expect_value(
        "The order of streams 0, 1 and 2 when 1 has ended",
        &vec![0, 2, 0, 2],
        &order,
        "an entry that is not ready ends its turn: see end_turn.",
    );
    scheduler.remove(key(0));
    scheduler.remove(key(2));
    expect_value(
        "The turn when all streams have ended",
        &None,
        &scheduler.turn(),
        "both lists are empty in the end.",
    );
    assert!(!scheduler.has_ready(), "all streams have ended");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wake(u32),
    Sleep(u32),
    Remove(u32),
    Send(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..6_u32).prop_map(Step::Wake),
        (0..6_u32).prop_map(Step::Sleep),
        (0..6_u32).prop_map(Step::Remove),
        (1..100_000_usize).prop_map(Step::Send),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn only_streams_that_are_ready_are_named_and_none_is_forgotten(steps in steps()) {
        let mut scheduler = Scheduler::default();
        let mut ready = [false; 6];
        for step in steps {
            match step {
                Step::Wake(slot) => {
                    scheduler.wake(key(slot));
                    ready[slot as usize] = true;
                }
                Step::Sleep(slot) => {
                    scheduler.sleep(key(slot));
                    ready[slot as usize] = false;
                }
                Step::Remove(slot) => {
                    scheduler.remove(key(slot));
                    ready[slot as usize] = false;
                }
                Step::Send(bytes) => match scheduler.turn() {
                    Some(turn) => {
                        prop_assert!(ready[turn.key.slot()], "{:?} is not ready, and has its turn", turn);
                        prop_assert!(turn.allowance > 0, "a turn of nothing: {:?}", turn);
                        scheduler.charge(turn.key, bytes.min(turn.allowance));
                    }
                    None => prop_assert_eq!(ready, [false; 6], "no stream has its turn, but some are ready"),
                },
            }
            scheduler.check_invariants();
        }
        // Within a bounded number of turns, each one that is ready is named.
        let mut named = [false; 6];
        for _ in 0..100 {
            let Some(turn) = scheduler.turn() else { break };
            named[turn.key.slot()] = true;
            scheduler.charge(turn.key, turn.allowance);
        }
        prop_assert_eq!(named, ready, "the streams that had turns, and those that are ready");
    }
}

/// A link that carries so many bytes in a second; time is the number of bytes that it has carried.
struct Link {
    scheduler: Scheduler,
    /// For each stream, how many bytes it has sent.
    sent: Vec<u64>,
    carried: u64,
}

impl Link {
    fn with_bulk(streams: u32) -> Self {
        Self {
            scheduler: awake(0..streams),
            sent: vec![0; streams as usize + 1],
            carried: 0,
        }
    }

    /// Sends one frame and returns its stream, unless no stream is ready.
    fn carry(&mut self, bytes: impl Fn(usize, usize) -> usize) -> Option<usize> {
        let turn = self.scheduler.turn()?;
        let slot = turn.key.slot();
        let bytes = bytes(slot, turn.allowance);
        self.scheduler.charge(turn.key, bytes);
        self.carried += bytes as u64;
        self.sent[slot] += bytes as u64;
        Some(slot)
    }
}

#[test]
fn eight_bulk_streams_share_a_link_evenly() {
    let mut link = Link::with_bulk(8);
    // Some have only small pieces at a time, others long ones.
    while link.carried < 64 << 20 {
        link.carry(|slot, allowance| allowance.min(500 + 3000 * slot))
            .unwrap();
    }
    let sum: f64 = link.sent.iter().map(|&bytes| bytes as f64).sum();
    let squares: f64 = link.sent.iter().map(|&bytes| (bytes as f64).powi(2)).sum();
    let jain = sum * sum / (8.0 * squares);
    assert!(jain >= 0.99, "Jain's index {jain}: {:?}", link.sent);
}

#[test]
fn a_small_request_under_bulk_waits_for_one_frame_at_most() {
    const REQUEST: usize = 64;
    let mut link = Link::with_bulk(8);
    let small = key(8);
    // At first all of them are fresh.
    for _ in 0..8 {
        link.carry(|_, allowance| allowance);
    }
    let mut longest = 0;
    for round in 0..2000_u64 {
        // The requests come in any rhythm, also much faster than the bulk streams take turns.
        for _ in 0..round % 13 {
            link.carry(|_, allowance| allowance);
        }
        link.scheduler.wake(small);
        let since = link.carried;
        while link.carry(|slot, allowance| if slot == 8 { REQUEST } else { allowance }) != Some(8) {
        }
        link.scheduler.sleep(small);
        longest = longest.max(link.carried - since - REQUEST as u64);
    }
    assert!(
        longest <= MIN_QUANTUM as u64,
        "a request has waited for {longest} bytes of bulk"
    );
}
