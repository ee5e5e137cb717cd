//! Exercise 5.10: the arithmetic of windows, through the library and over a link.

use std::time::{Duration, Instant};

use harness::deadline::holds_by;
use harness::wire::Incoming;
use harness::wire::yamux::{ACK, FIN, Frame, Kind, SYN, WINDOW};
use harness::{
    BlackHole, Connect, Deadline, Hand, Peer, Rng, Scripted, Test, expect_value, sockets,
};
use stage5_mux::tunnel::frame::Violation;
use stage5_mux::tunnel::window::{Budget, ReceiveWindow, SendWindow};

use crate::support::MIB;
use crate::tunnel_ends::{client_by_hand, server_by_hand};

/// A window of 400 bytes that cannot grow.
fn window() -> (ReceiveWindow, Budget, Instant) {
    (ReceiveWindow::new(400), Budget::new(0, 400), Instant::now())
}

#[test]
fn e5_10_credit_adds_up_and_is_never_more_than_32_bits_hold() {
    let _test =
        Test::begin("A peer that gives more has lost count: no receiver has that much room.");
    let mut window = SendWindow::new(5);
    assert_eq!(window.add(7), Ok(()), "7 more than 5");
    assert_eq!(window.left(), 12, "5 and 7");
    window.take(12);
    assert_eq!(window.left(), 0, "all of it was sent");
    assert_eq!(window.add(0), Ok(()), "no credit is no mistake");
    assert_eq!(window.add(u32::MAX), Ok(()), "as much as there can be");
    assert_eq!(window.left(), u32::MAX, "the largest window");
    for credit in [1, 2, u32::MAX] {
        assert_eq!(
            window.add(credit),
            Err(Violation::CreditOverflow),
            "{credit} more"
        );
    }
}

/// Checks how many bytes may still come, and how many wait for the reader.
#[track_caller]
fn expect_room(window: &ReceiveWindow, open: u32, held: u32) {
    expect_value(
        "The window (bytes that may come, bytes that wait for the reader)",
        &(open, held),
        &(window.open(), window.held()),
        "a byte that has arrived is taken from `open` and added to `held`.",
    );
}

#[test]
fn e5_10_a_peer_may_send_its_window_and_no_byte_more() {
    let _test =
        Test::begin("The last byte of a window is allowed; the next one breaks the protocol.");
    let (mut window, mut budget, now) = window();
    assert_eq!(window.receive(399, now), Ok(()), "399 of 400 bytes");
    expect_room(&window, 1, 399);
    assert_eq!(window.receive(0, now), Ok(()), "an empty frame");
    let mut other = self::window().0;
    assert_eq!(
        other.receive(401, now),
        Err(Violation::WindowOverrun),
        "401 bytes in a window of 400: a peer that ignores its window would fill the memory"
    );
    assert_eq!(
        window.receive(1, now),
        Ok(()),
        "the last byte of the window"
    );
    expect_room(&window, 0, 400);
    // Bytes that the reader has taken are room again only when the peer has credit for them.
    assert_eq!(
        window.consume(10, now, &mut budget),
        0,
        "too few for a credit"
    );
    for bytes in [1, 5, 256, u32::MAX] {
        let overrun = window.receive(bytes, now);
        assert_eq!(overrun, Err(Violation::WindowOverrun), "{bytes} more");
    }
}

#[test]
fn e5_10_credit_is_for_bytes_that_were_consumed() {
    let _test = Test::begin("What waits for its reader takes the room that credit would promise.");
    let (mut window, mut budget, now) = window();
    window.receive(400, now).expect("the whole window");
    let mut credit = 0;
    for consumed in 1..=400 {
        credit += window.consume(1, now, &mut budget);
        assert!(
            credit <= consumed,
            "{credit} bytes of credit for {consumed}"
        );
        assert_eq!(window.open(), credit, "credit that was given is open");
        assert_eq!(
            window.held(),
            400 - consumed,
            "bytes that wait for the reader"
        );
        if consumed == 200 {
            assert!(
                credit > 0,
                "half of the window is consumed, and the sender waits"
            );
        }
    }
    assert!(credit >= 200, "{credit} of 400");
    assert_eq!(
        window.consume(0, now, &mut budget),
        0,
        "nothing was consumed"
    );
}

#[test]
fn e5_10_credit_is_collected() {
    let _test = Test::begin("A frame of twelve bytes for each byte that is read would be a flood.");
    let (mut window, mut budget, now) = window();
    window.receive(400, now).expect("the whole window");
    let credits = (0..400).filter(|_| window.consume(1, now, &mut budget) > 0);
    let count = credits.count();
    assert!((1..=8).contains(&count), "{count} credits for one window");
    let mut small = ReceiveWindow::new(3);
    small.receive(3, now).expect("the whole window");
    let credit = (0..3)
        .map(|_| small.consume(1, now, &mut budget))
        .sum::<u32>();
    assert!(credit > 0, "a small window must not wait for ever");
}

#[test]
fn e5_10_sender_and_receiver_agree_after_any_sequence_of_steps() {
    let _test = Test::begin("The sender's left is the receiver's open, less what is on the way.");
    let mut rng = Rng::for_test();
    let (mut receiver, mut budget, now) = window();
    let mut sender = SendWindow::new(400);
    let mut below = |bound: u32| u32::try_from(rng.below(bound as usize + 1)).expect("small");
    let (mut sent, mut consumed) = (0_u64, 0_u64);
    for _ in 0..20_000 {
        let bytes = below(sender.left());
        sender.take(bytes);
        receiver
            .receive(bytes, now)
            .expect("the sender keeps to its window");
        sent += u64::from(bytes);
        let taken = below(receiver.held());
        consumed += u64::from(taken);
        let credit = receiver.consume(taken, now, &mut budget);
        sender.add(credit).expect("the window is small");
        assert_eq!(
            sender.left(),
            receiver.open(),
            "what the sender may send, and the receiver expects"
        );
        assert!(
            receiver.open() + receiver.held() <= 400,
            "more was promised than there is room for"
        );
        receiver.check_invariants();
    }
    assert_eq!(
        sent - consumed,
        u64::from(receiver.held()),
        "bytes sent and not consumed, and bytes held"
    );
    assert!(
        sent > 400_000,
        "the stream has come to a stop after {sent} bytes"
    );
}

/// A window that has grown from 400 bytes to 800, of which all may come, and then was idle and went back to 400.
fn shrunk() -> (ReceiveWindow, Budget, Instant) {
    let (mut window, mut budget) = (ReceiveWindow::new(400), Budget::new(4000, 1600));
    let mut now = Instant::now();
    for _ in 0..2 {
        window.receive(400, now).expect("the whole window");
        window.consume(400, now, &mut budget);
        // The sender stops for want of credit meanwhile: that is a reason to grow.
        now += Duration::from_millis(50);
    }
    assert_eq!(
        (window.size(), window.open()),
        (800, 800),
        "the size and the open part of a window that has grown"
    );
    now += Duration::from_secs(11);
    window.rest(now, &mut budget);
    assert_eq!(window.size(), 400, "the size of a window that has rested");
    (window, budget, now)
}

#[test]
fn e5_10_a_window_that_has_shrunk_keeps_its_promise_and_gives_no_more() {
    let _test = Test::begin(
        "Credit cannot be taken back, so a window that has shrunk has more open than its size: nothing is due meanwhile.",
    );
    let (mut window, mut budget, now) = shrunk();
    for (bytes, due) in [(100, 0), (300, 0), (400, 400)] {
        expect_value(
            format!("Whether {bytes} of the 800 bytes may come that were granted before"),
            &Ok(()),
            &window.receive(bytes, now),
            "the peer still has the credit of the larger window.",
        );
        let before = window.open();
        let consumed = std::panic::AssertUnwindSafe(|| window.consume(bytes, now, &mut budget));
        let credit = std::panic::catch_unwind(consumed).ok();
        expect_value(
            format!(
                "The credit for {bytes} bytes, when {before} are still open and the size is 400 (None: consume panics)"
            ),
            &Some(due),
            &credit,
            "`open` and `held` may be more than the size, so the difference must stop at 0 instead of overflowing.",
        );
    }
}

#[test]
fn e5_10_a_peer_that_overruns_its_window_is_told_so() {
    let _test =
        Test::begin("Nothing is consumed before the upstream is connected, so no credit is due.");
    let nowhere = BlackHole::start();
    let (_server, link) = server_by_hand(nowhere.addr());
    link.send(&Frame::open(1).bytes());
    let payload = vec![7; WINDOW];
    for part in payload.chunks(64 * 1024) {
        link.send(&Frame::data(1, part).bytes());
    }
    link.send(&Frame::ping(1).bytes());
    link.expect(&Frame::pong(1).bytes());
    link.send(&Frame::data(1, b"x").bytes());
    link.expect(&Frame::go_away(1).bytes());
    link.expect_closed();
}

/// Sends `total` bytes on stream 1 as the credit allows, or fewer if `stop` says so, which gets how many were sent; returns
/// that number, and the number of credits.
pub(crate) fn pour(link: &Peer, total: usize, stop: impl Fn(usize) -> bool) -> (usize, usize) {
    let mut incoming = Incoming::on(link);
    let (mut left, mut sent, mut credits) = (WINDOW, 0, 0);
    let chunk = vec![7; 16 * 1024];
    while sent < total {
        while left > 0 && sent < total {
            let bytes = left.min(chunk.len()).min(total - sent);
            link.send(&Frame::data(1, &chunk[..bytes]).bytes());
            left -= bytes;
            sent += bytes;
        }
        if sent == total || stop(sent) {
            break;
        }
        let frame = incoming.yamux();
        assert_eq!(
            (frame.kind, frame.stream),
            (Kind::WindowUpdate, 1),
            "{frame:?}"
        );
        credits += usize::from(frame.length > 0);
        left += frame.length as usize;
    }
    (sent, credits)
}

#[test]
fn e5_10_a_stream_goes_on_for_many_windows() {
    let _test = Test::begin("Each byte that is consumed comes back as credit, sooner or later.");
    let upstream = Hand::start();
    let (_server, link) = server_by_hand(upstream.addr());
    let total = 40 * WINDOW;
    link.send(&Frame::open(1).bytes());
    let peer = upstream.next();
    let reading = std::thread::spawn(move || peer.read_to_end().len());
    let (sent, credits) = pour(&link, total, |_| false);
    link.send(&Frame::credit(1, FIN, 0).bytes());
    let arrived = reading.join().expect("the upstream reads to the end");
    assert_eq!(
        (sent, arrived),
        (total, total),
        "bytes sent and bytes that arrived"
    );
    assert!(credits <= 40 * 8, "{credits} credits for 40 windows");
}

#[test]
fn e5_10_a_reader_that_does_not_read_stops_its_sender() {
    let _test =
        Test::begin("Credit is a promise of room, and a byte that was not consumed is in the way.");
    let options = Scripted::options("a slow reader").receive_buffer(4096);
    let upstream = Hand::with(options);
    let (server, link) = server_by_hand(upstream.addr());
    link.send(&Frame::open(1).bytes());
    let peer = upstream.next();
    // The kernel between the program and its upstream takes a few MiB at most.
    let (sent, _) = pour(&link, 32 * MIB, |_| is_stuck(&link));
    assert!(
        sent < 16 * MIB,
        "{sent} bytes were taken for a reader that has read none"
    );
    drop((peer, server));
}

/// Returns whether no credit comes for a while.
pub(crate) fn is_stuck(link: &Peer) -> bool {
    let has_credit = || {
        let row = sockets::find(link.local(), link.remote());
        row.is_some_and(|row| row.unread > 0)
    };
    let quiet = Deadline::exactly(Duration::from_millis(500));
    !holds_by(quiet, &mut { has_credit })
}

#[test]
fn e5_10_no_byte_is_sent_without_credit() {
    let _test =
        Test::begin("A client with a mebibyte may send 256 KiB, and then as much as it is told.");
    let (client, link, _far_end) = client_by_hand();
    let local = Connect::new().to(client.addr());
    let _sending = local.send_in_background(vec![7; MIB]);
    let open = Frame::read(&link);
    assert_eq!((open.stream, open.flags), (1, SYN), "{open:?}");
    let mut allowed = WINDOW;
    for credit in [0, 1000, 1, 70_000] {
        allowed += credit as usize;
        link.send(&Frame::credit(1, ACK, credit).bytes());
        while allowed > 0 {
            let frame = Frame::read(&link);
            assert_eq!((frame.kind, frame.stream), (Kind::Data, 1), "{frame:?}");
            let length = frame.payload.len();
            assert!(
                length <= allowed,
                "{length} bytes, and {allowed} were allowed"
            );
            allowed -= length;
        }
        link.expect_silence(Duration::from_millis(100));
    }
    let too_much = Frame::credit(1, 0, u32::MAX).bytes();
    link.send(&[&too_much[..], &too_much].concat());
    link.expect(&Frame::go_away(1).bytes());
    link.expect_closed();
}
