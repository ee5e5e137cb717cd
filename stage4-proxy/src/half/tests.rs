use super::*;

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::collection::vec;
use proptest::prelude::*;

/// The bytes of one event.
const BYTES: &[u8] = b"abc";
const COUNT: usize = BYTES.len();

/// Every situation that a half can be in: its state, and the place of its pending bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Open, and no byte is pending.
    Open,
    /// Open, bytes are pending in memory.
    Kept,
    /// Open, bytes are pending in a pipe.
    Piped,
    /// Draining, bytes are pending in memory.
    LastKept,
    /// Draining, bytes are pending in a pipe.
    LastPiped,
    /// Draining, and only the FIN is missing.
    Owing,
    Closed,
}

const SITUATIONS: [At; 7] = [
    At::Open,
    At::Kept,
    At::Piped,
    At::LastKept,
    At::LastPiped,
    At::Owing,
    At::Closed,
];

impl At {
    /// Brings a new half into the situation.
    fn half(self) -> Half {
        let mut half = Half::new();
        match self {
            Self::Open | Self::Owing | Self::Closed => {}
            Self::Kept | Self::LastKept => half.keep(BYTES),
            Self::Piped | Self::LastPiped => half.entered_pipe(COUNT),
        }
        match self {
            Self::Open | Self::Kept | Self::Piped => {}
            Self::LastKept | Self::LastPiped | Self::Owing => half.end_of_input(),
            Self::Closed => {
                half.end_of_input();
                half.fin_sent();
            }
        }
        half
    }

    /// Returns the situation of a half.
    fn of(half: &Half) -> Self {
        let (kept, piped) = (!half.pending().is_empty(), half.piped() > 0);
        match (half.state(), kept, piped) {
            (HalfState::Open, false, false) => Self::Open,
            (HalfState::Open, true, false) => Self::Kept,
            (HalfState::Open, false, true) => Self::Piped,
            (HalfState::Draining, true, false) => Self::LastKept,
            (HalfState::Draining, false, true) => Self::LastPiped,
            (HalfState::Draining, false, false) => Self::Owing,
            (HalfState::Closed, false, false) => Self::Closed,
            impossible => panic!("{impossible:?}"),
        }
    }
}

/// What the owner of the sockets tells a half.
#[derive(Clone, Copy, Debug)]
enum Tell {
    Keep,
    EnterPipe,
    Pass,
    Send,
    LeavePipe,
    End,
    Fin,
    Broken,
}

const EVENTS: [Tell; 8] = [
    Tell::Keep,
    Tell::EnterPipe,
    Tell::Pass,
    Tell::Send,
    Tell::LeavePipe,
    Tell::End,
    Tell::Fin,
    Tell::Broken,
];

impl Tell {
    fn to(self, half: &mut Half) {
        match self {
            Self::Keep => half.keep(BYTES),
            Self::EnterPipe => half.entered_pipe(COUNT),
            Self::Pass => half.passed(COUNT),
            Self::Send => half.sent(COUNT),
            Self::LeavePipe => half.left_pipe(COUNT),
            Self::End => half.end_of_input(),
            Self::Fin => half.fin_sent(),
            Self::Broken => half.sink_broken(),
        }
    }

    /// Returns whether the event is a read of bytes.
    fn is_read(self) -> bool {
        match self {
            Self::Keep | Self::EnterPipe | Self::Pass => true,
            Self::Send | Self::LeavePipe | Self::End | Self::Fin | Self::Broken => false,
        }
    }
}

/// The outcome in a cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The half reaches this situation.
    Go(At),
    /// The half panics: its owner has a bug.
    Bug,
    /// It cannot happen, because the owner reads only if the half wants to.
    Unread,
}

#[test]
fn every_situation_and_event() {
    use At::{Closed, Kept, LastKept, LastPiped, Open, Owing, Piped};
    use Then::{Bug, Go, Unread};
    let no_read = |[sent, left, end, fin, broken]: [Then; 5]| {
        [Unread, Unread, Unread, sent, left, end, fin, broken]
    };
    #[rustfmt::skip]
    let table = [
        // Keep, EnterPipe, Pass,          Send       LeavePipe  End             Fin         Broken
        [Go(Kept), Go(Piped), Go(Open),    Bug,       Bug,       Go(Owing),      Bug,        Go(Closed)], // Open
        no_read([                          Go(Open),  Bug,       Go(LastKept),   Bug,        Go(Closed)]), // Kept
        no_read([                          Bug,       Go(Open),  Go(LastPiped),  Bug,        Go(Closed)]), // Piped
        no_read([                          Go(Owing), Bug,       Go(LastKept),   Bug,        Go(Closed)]), // LastKept
        no_read([                          Bug,       Go(Owing), Go(LastPiped),  Bug,        Go(Closed)]), // LastPiped
        no_read([                          Bug,       Bug,       Go(Owing),      Go(Closed), Go(Closed)]), // Owing
        no_read([                          Bug,       Bug,       Go(Closed),     Bug,        Go(Closed)]), // Closed
    ];
    for (situation, row) in SITUATIONS.into_iter().zip(table) {
        for (event, expected) in EVENTS.into_iter().zip(row) {
            assert_eq!(
                outcome_of(situation, event),
                expected,
                "{situation:?}, {event:?}"
            );
        }
    }
}

fn outcome_of(situation: At, event: Tell) -> Then {
    let mut half = situation.half();
    if event.is_read() && !half.wants_read() {
        return Then::Unread;
    }
    match catch_unwind(AssertUnwindSafe(|| event.to(&mut half))) {
        Ok(()) => Then::Go(At::of(&half)),
        Err(_) => Then::Bug,
    }
}

#[test]
fn what_a_half_wants_follows_from_its_situation() {
    // (situation, wants_read, wants_write, owes_fin)
    let table = [
        (At::Open, true, false, false),
        (At::Kept, false, true, false),
        (At::Piped, false, true, false),
        (At::LastKept, false, true, false),
        (At::LastPiped, false, true, false),
        (At::Owing, false, true, true),
        (At::Closed, false, false, false),
    ];
    assert_eq!(table.map(|(situation, ..)| situation), SITUATIONS);
    for (situation, read, write, fin) in table {
        let half = situation.half();
        let wants = (half.wants_read(), half.wants_write(), half.owes_fin());
        assert_eq!(wants, (read, write, fin), "{situation:?}");
    }
}

#[test]
fn a_short_write_leaves_the_rest_in_order() {
    let mut half = At::LastKept.half();
    half.sent(1);
    assert_eq!((half.pending(), half.moved()), (&b"bc"[..], 1));
    assert!(!half.owes_fin(), "two bytes come before the FIN");
    half.sent(2);
    assert!(half.owes_fin());
}

#[test]
fn a_handshake_takes_bytes_that_the_sink_never_gets() {
    let mut half = At::Kept.half();
    half.consume(2);
    assert_eq!((half.pending(), half.moved()), (&b"c"[..], 0));
}

#[test]
#[cfg(debug_assertions)]
fn no_byte_comes_after_the_end() {
    for situation in [At::Owing, At::Closed] {
        for event in [Tell::Keep, Tell::EnterPipe] {
            let mut half = situation.half();
            let told = catch_unwind(AssertUnwindSafe(|| event.to(&mut half)));
            assert!(told.is_err(), "{situation:?}, {event:?}");
        }
    }
}

/// The next step of a random owner; the numbers are limited to the possible ones.
#[derive(Clone, Debug)]
enum Step {
    /// Reads some bytes, of which the sink takes some at once.
    Copy(usize, usize),
    FillPipe(usize),
    Write(usize),
    End,
    Broken,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let count = || 0..100_usize;
    let step = prop_oneof![
        5 => (count(), count()).prop_map(|(read, written)| Step::Copy(read, written)),
        5 => count().prop_map(Step::FillPipe),
        10 => count().prop_map(Step::Write),
        1 => Just(Step::End),
        1 => Just(Step::Broken),
    ];
    vec(step, 0..80)
}

/// Plays the owner, which does only what the half wants, and returns how many bytes it read from
/// the source and how many were lost with the sink.
fn play(half: &mut Half, step: &Step) -> (usize, usize) {
    match *step {
        Step::Copy(read, written) if half.wants_read() => {
            let written = written.min(read);
            half.passed(written);
            half.keep(&vec![0; read - written]);
            (read, 0)
        }
        Step::FillPipe(count) if half.wants_read() => {
            half.entered_pipe(count);
            (count, 0)
        }
        Step::Write(count) if half.wants_write() => {
            write(half, count);
            (0, 0)
        }
        Step::Copy(..) | Step::FillPipe(_) | Step::Write(_) => (0, 0),
        Step::End => {
            half.end_of_input();
            (0, 0)
        }
        Step::Broken => {
            let lost = pending_bytes(half);
            half.sink_broken();
            (0, lost)
        }
    }
}

fn write(half: &mut Half, count: usize) {
    if half.owes_fin() {
        half.fin_sent();
    } else if half.piped() > 0 {
        half.left_pipe(count.min(half.piped()));
    } else {
        half.sent(count.min(half.pending().len()));
    }
}

fn pending_bytes(half: &Half) -> usize {
    half.pending().len() + half.piped()
}

proptest! {
    /// Whatever happens in whatever order: every byte that was read was moved, is pending, or was
    /// lost with a broken sink; and a half never wants both to read and to write.
    #[test]
    fn every_byte_is_accounted_for(steps in steps()) {
        let mut half = Half::new();
        let (mut taken, mut lost) = (0, 0);
        for step in steps {
            let (more_taken, more_lost) = play(&mut half, &step);
            taken += more_taken;
            lost += more_lost;
            let moved = usize::try_from(half.moved()).unwrap();
            prop_assert_eq!(moved + pending_bytes(&half) + lost, taken);
            prop_assert!(!(half.wants_read() && half.wants_write()));
            prop_assert_eq!(half.has_pending(), pending_bytes(&half) > 0);
            let stuck = !half.wants_read() && !half.wants_write();
            prop_assert_eq!(stuck, half.state() == HalfState::Closed);
        }
    }
}
