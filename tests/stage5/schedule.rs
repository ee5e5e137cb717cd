//! Exercise 5.9: which stream sends next, through the library and over a link that is slow.

use harness::wire::{Incoming, multiplex};
use harness::{
    Client, Connect, Hand, PATIENCE, Peer, Rng, Scripted, Sending, Server, Test, eventually,
    expect_value, proc, sockets,
};
use stage5_mux::tunnel::key::StreamKey;
use stage5_mux::tunnel::scheduler::{MIN_QUANTUM, Scheduler};

use crate::support::MIB;
use crate::tunnel_ends::client_program;

fn key(slot: u32) -> StreamKey {
    StreamKey::new(slot, 1)
}

/// A scheduler in which these streams have something to send.
fn ready(slots: &[u32]) -> Scheduler {
    let mut scheduler = Scheduler::default();
    slots.iter().for_each(|&slot| scheduler.wake(key(slot)));
    scheduler
}

/// Lets the stream whose turn it is send up to `most` bytes; returns its slot and how many it has sent.
fn send(scheduler: &mut Scheduler, most: usize) -> Option<(usize, usize)> {
    let turn = scheduler.turn()?;
    let bytes = turn.allowance.min(most);
    scheduler.charge(turn.key, bytes);
    scheduler.check_invariants();
    Some((turn.key.slot(), bytes))
}

/// The slots of the next turns, each used up.
fn order(scheduler: &mut Scheduler, turns: usize) -> Vec<usize> {
    let slots = (0..turns).filter_map(|_| send(scheduler, usize::MAX));
    slots.map(|(slot, _)| slot).collect()
}

#[test]
fn e59_streams_take_turns_of_one_quantum() {
    let _test = Test::begin("A turn lasts until the quantum is used, in however many frames.");
    let mut scheduler = ready(&[4, 7, 2]);
    let half = MIN_QUANTUM / 2;
    let seen: Vec<_> = (0..12).filter_map(|_| send(&mut scheduler, half)).collect();
    let slots: Vec<_> = seen.iter().map(|&(slot, _)| slot).collect();
    expect_value(
        "The streams of twelve sends of half a quantum each",
        &vec![4, 4, 7, 7, 2, 2, 4, 4, 7, 7, 2, 2],
        &slots,
        "a turn ends after one send although some of the quantum is left, or a stream that was served goes to the front.",
    );
    assert!(
        seen.iter().all(|&(_, bytes)| bytes == half),
        "an allowance was below half a quantum (stream, bytes): {seen:?}"
    );
    assert_eq!(Scheduler::default().turn(), None, "no stream, no turn");
}

#[test]
fn e59_a_stream_that_was_idle_is_first_once() {
    let _test = Test::begin("A small request must not wait for a round of bulk.");
    let mut scheduler = ready(&[0, 1, 2]);
    order(&mut scheduler, 4);
    scheduler.wake(key(9));
    let turn = scheduler.turn().expect("four streams are ready");
    assert_eq!(
        turn.key,
        key(9),
        "a stream that was idle goes in front of the bulk"
    );
    assert!(
        turn.is_fresh,
        "stream 9 was idle, but is not marked as fresh"
    );
    let next = order(&mut scheduler, 5);
    assert_eq!(next[0], 9, "in front of the others: {next:?}");
    let mut round = next[1..].to_vec();
    round.sort_unstable();
    assert_eq!(round, [0, 1, 2, 9], "then each has a turn: {next:?}");
    let turn = scheduler.turn().expect("four streams are ready");
    assert!(
        !turn.is_fresh,
        "{turn:?} comes from the list of the waiting"
    );
}

#[test]
fn e59_a_long_frame_is_paid_for_later() {
    let _test = Test::begin("What a stream sends beyond its quantum is missing in its next turns.");
    let mut scheduler = ready(&[0, 1]);
    let turn = scheduler.turn().expect("two streams are ready");
    scheduler.charge(turn.key, 3 * MIN_QUANTUM);
    expect_value(
        "The streams of four turns, after stream 0 has sent three quanta in one",
        &vec![1, 1, 1, 0],
        &order(&mut scheduler, 4),
        "the deficit is set to a new quantum instead of growing by one.",
    );
    // And what it has left over is not lost, because its turn has not ended.
    let mut scheduler = ready(&[0, 1]);
    assert_eq!(
        send(&mut scheduler, 1000),
        Some((0, 1000)),
        "the first send (stream, bytes)"
    );
    assert_eq!(
        send(&mut scheduler, usize::MAX),
        Some((0, MIN_QUANTUM - 1000)),
        "the rest of the quantum belongs to the same turn (stream, bytes)"
    );
    assert_eq!(
        send(&mut scheduler, usize::MAX),
        Some((1, MIN_QUANTUM)),
        "then it is the next one's turn (stream, bytes)"
    );
}

#[test]
fn e59_a_stream_that_pauses_gets_no_more_than_its_share() {
    let _test = Test::begin(
        "If each pause made a new quantum, a stream that pauses would always be first.",
    );
    let mut scheduler = ready(&[0, 1, 2]);
    let mut sent = [0; 4];
    for _ in 0..4000 {
        scheduler.wake(key(3));
        let (slot, bytes) = send(&mut scheduler, 1000).expect("four streams are ready");
        sent[slot] += bytes;
        // It pauses while another one sends.
        scheduler.sleep(key(3));
        let (slot, bytes) = send(&mut scheduler, 1000).expect("three streams are ready");
        sent[slot] += bytes;
    }
    let share = sent.iter().sum::<usize>() / 4;
    let most = 2 * MIN_QUANTUM;
    assert!(
        sent.iter().all(|bytes| bytes.abs_diff(share) <= most),
        "{sent:?}"
    );
}

#[test]
fn e59_a_stream_that_sleeps_is_passed_over() {
    let _test = Test::begin("It keeps its place until its turn comes, and then it has none.");
    let mut scheduler = ready(&[0, 1, 2]);
    order(&mut scheduler, 3);
    scheduler.sleep(key(1));
    expect_value(
        "The streams of four turns while stream 1 sleeps",
        &vec![0, 2, 0, 2],
        &order(&mut scheduler, 4),
        "a stream that sleeps is given a turn, or holds up the list.",
    );
    for slot in [0, 2] {
        scheduler.sleep(key(slot));
    }
    assert_eq!(scheduler.turn(), None, "nothing is ready");
    scheduler.wake(key(1));
    assert_eq!(
        order(&mut scheduler, 3),
        [1, 1, 1],
        "alone, it is always its turn"
    );
}

#[test]
fn e59_a_stream_that_was_alone_has_had_no_turn_of_a_round() {
    let _test = Test::begin(
        "A quantum is the share of those that wait. While none waits, no round ends, and a stream alone uses up none.",
    );
    let mut scheduler = ready(&[5]);
    assert_eq!(
        send(&mut scheduler, usize::MAX),
        Some((5, MIN_QUANTUM)),
        "the only stream sends a whole quantum (stream, bytes)"
    );
    scheduler.sleep(key(5));
    assert_eq!(scheduler.turn(), None, "nothing is ready");
    scheduler.wake(key(5));
    scheduler.wake(key(6));
    let turn = scheduler.turn().expect("two streams are ready");
    expect_value(
        "The stream whose turn it is, and whether it is fresh, when 5, which was alone, and then 6 have woken",
        &(5, true),
        &(turn.key.slot(), turn.is_fresh),
        "the quantum that it used while no stream waited is held against it, so that a later stream overtakes it: enter() gives \
         a new one also if no stream waits.",
    );
}

#[test]
fn e59_any_order_of_pauses_is_fair() {
    let _test =
        Test::begin("Two streams that are always ready get the same, whatever the others do.");
    let mut rng = Rng::for_test();
    let mut scheduler = ready(&[0, 1]);
    let (mut sent, mut turns) = ([0_usize; 8], 0);
    while turns < 20_000 {
        let slot = u32::try_from(2 + rng.below(6)).expect("small");
        match rng.below(3) {
            0 => scheduler.wake(key(slot)),
            1 => scheduler.sleep(key(slot)),
            _ => {
                let (slot, bytes) = send(&mut scheduler, 1 + rng.below(9000)).expect("0 is ready");
                sent[slot] += bytes;
                turns += 1;
            }
        }
    }
    let bound = 2 * MIN_QUANTUM;
    assert!(sent[0].abs_diff(sent[1]) <= bound, "{sent:?}");
    let most = sent.iter().max().copied().unwrap_or_default();
    assert!(most <= sent[0] + bound, "no other gets more: {sent:?}");
}

/// Clients that send without an end, and the threads that write for them.
struct Bulk {
    sending: Vec<Sending>,
    clients: Vec<Client>,
}

impl Bulk {
    /// Waits until each client has bytes in front of the link: on a busy machine, one whose thread has no processor
    /// has none, and then its share goes to the others.
    #[track_caller]
    fn wait_until_all_wait(&self) {
        eventually("each client has bytes for the link", PATIENCE, || {
            self.clients
                .iter()
                .zip(&self.sending)
                .all(|(client, sending)| {
                    let row = sockets::find(client.remote(), client.local());
                    sending.is_done() || row.is_some_and(|row| row.unread > 0)
                })
        });
    }
}

/// A client's end over multiplex, whose far end is the test; the bytes of each client are channel data.
struct SlowLink {
    client: Server,
    link: Peer,
    _far_end: Hand,
}

impl SlowLink {
    #[track_caller]
    fn start() -> Self {
        let far_end = Hand::with(Scripted::options("far end").receive_buffer(16 * 1024));
        let client = client_program(far_end.addr(), &["--wire", "multiplex"]).serve();
        let link = far_end.next();
        Self {
            client,
            link,
            _far_end: far_end,
        }
    }

    /// Connects clients whose bytes fill the link, and everything in front of it.
    #[track_caller]
    fn fill(&self, clients: usize) -> Bulk {
        let connect = |_| Connect::new().send_buffer(64 * 1024).to(self.client.addr());
        let clients: Vec<_> = (0..clients).map(connect).collect();
        let send = |client: &Client| client.send_in_background(vec![7; 4 * MIB]);
        let sending = clients.iter().map(send).collect();
        self.wait_until_full();
        Bulk { sending, clients }
    }

    #[track_caller]
    fn wait_until_full(&self) {
        eventually("the link is full", PATIENCE, || {
            let before = self.unread();
            before > 0 && proc::is_asleep(self.client.pid()) && before == self.unread()
        });
    }

    /// Returns how many bytes of the link nothing can overtake any more: they are in the kernel.
    fn unread(&self) -> usize {
        let unread = sockets::find(self.link.local(), self.link.remote()).map(|row| row.unread);
        let unsent = sockets::find(self.link.remote(), self.link.local()).map(|row| row.unsent);
        usize::try_from(unread.unwrap_or(0) + unsent.unwrap_or(0)).expect("small")
    }
}

#[test]
fn e59_a_small_request_overtakes_the_bulk_of_forty_clients() {
    let _test = Test::begin("Behind 40 turns of 16 KiB, a keystroke would come 640 KiB too late.");
    let slow = SlowLink::start();
    let _bulk = slow.fill(40);
    let mut incoming = Incoming::on(&slow.link);
    // All of them are new at first: wait until each has had its turn.
    let mut frames = [0; 40];
    while frames.iter().any(|&frames| frames < 6) {
        frames[incoming.multiplex().channel as usize] += 1;
    }
    slow.wait_until_full();
    let descriptors = proc::fd_count(slow.client.pid());
    let small = Client::connect(slow.client.addr());
    small.send(b"x");
    eventually("the program knows of the request", PATIENCE, || {
        let is_accepted = proc::fd_count(slow.client.pid()) > descriptors;
        is_accepted && proc::is_asleep(slow.client.pid())
    });
    let in_the_kernel = slow.unread();
    let mut before = 0;
    loop {
        let frame = incoming.multiplex();
        if frame.channel == 40 && frame.payload == b"x" {
            break;
        }
        before += frame.payload.len();
    }
    let beyond = before.saturating_sub(in_the_kernel);
    assert!(
        beyond <= 300 * 1024,
        "{beyond} bytes of bulk went before it that were not on the link when it came"
    );
}

#[test]
fn e59_four_clients_get_a_quarter_of_the_link_each() {
    let _test = Test::begin("One stream after the other, a quantum each: deficit round robin.");
    let slow = SlowLink::start();
    let bulk = slow.fill(4);
    let mut incoming = Incoming::on(&slow.link);
    // The first bytes belong to the clients that came first.
    let mut skipped = 0;
    while skipped < MIB {
        skipped += incoming.multiplex().payload.len();
    }
    let (mut all, mut each) = (0, [0; 4]);
    let mut pause = 0;
    while all < 4 * MIB {
        if all >= pause {
            bulk.wait_until_all_wait();
            pause += 64 * 1024;
        }
        let frame = incoming.multiplex();
        if let multiplex::Kind::Data { .. } = frame.kind {
            each[frame.channel as usize] += frame.payload.len();
            all += frame.payload.len();
        }
    }
    let bound = MIB / 2..=MIB * 3 / 2;
    harness::ensure(
        each.iter().all(|bytes| bound.contains(bytes)),
        format!(
            "Four clients always have bytes for the link, and of {all} bytes they got {each:?}: not within a half of a fair \
             share. Does a stream go on as long as it has bytes, instead of one quantum?"
        ),
    );
}
