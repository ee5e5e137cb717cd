//! Exercise 4.5b, accidents: a reset is passed on as a reset, and ends no other session.

use std::thread;
use std::time::Duration;

use harness::{
    Client, Connect, Digest, End, Hand, PATIENCE, Peer, Program, Rng, Scripted, Test, eventually,
    proc, sockets, strace,
};

use crate::support::{
    HALF_A_SECOND, KIB, MIB, Proxy, echoes, expect_reset_after_eof, expect_reset_while_sending,
    kernel_room, program, proxy_and_echo, proxy_and_hand, session, talk, unread, wait_until_still,
};

/// A pause without a byte, after which a stream counts as full.
const QUIET: Duration = Duration::from_millis(150);

#[test]
fn e45b_a_reset_of_one_side_is_a_reset_at_the_other() {
    let _test =
        Test::begin("An aborted stream must not look complete: SO_LINGER of 0, then close.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    client.reset();
    upstream.expect_reset();
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    upstream.reset();
    client.expect_reset();
    proxy.wait_for_rows(0);
}

#[test]
fn e45b_a_reset_after_a_half_close_is_still_a_reset() {
    let _test =
        Test::begin("One direction has ended in order, the other breaks: pass the reset on.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    client.half_close();
    upstream.expect_eof();
    upstream.send(b"half an ans");
    client.expect(b"half an ans");
    upstream.reset();
    client.expect_reset();
    proxy.wait_for_rows(0);
}

#[test]
fn e45b_a_client_that_breaks_after_its_end_has_not_finished() {
    let _test = Test::begin(
        "Only the upstream's EPIPE means that the answer is whole; the log tells a client that broke off from one that finished.",
    );
    let hand = Hand::start();
    let program = Program::new(program()).env("RUST_LOG", "info,stage4_proxy::sessions=debug");
    let proxy = Proxy::start(&program, hand.addr());
    let (client, upstream) = session(&proxy, &hand);
    let from = client.local();
    client.half_close();
    upstream.expect_eof();
    client.reset();
    eventually("the reset has reached the proxy's socket", PATIENCE, || {
        sockets::find(proxy.addr(), from).is_none()
    });
    // The proxy meets EPIPE when it passes this on.
    upstream.send(b"half an answer");
    let line = proxy.wait_for_stderr(&format!("[{from}"));
    harness::ensure(
        line.contains("client reset the connection"),
        format!(
            "A client ended its output, broke off, and did not get its answer, but the log says: {line}\nA likely cause: EPIPE \
             of either side is taken for an orderly end."
        ),
    );
    proxy.wait_for_rows(0);
}

#[test]
fn e45b_a_client_that_breaks_while_it_waits_frees_its_row() {
    let _test = Test::begin(
        "No read returns the error of a client that has ended its output, and no write while the upstream is silent: only SO_ERROR does.",
    );
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    client.send(b"a long question");
    client.half_close();
    upstream.expect(b"a long question");
    upstream.expect_eof();
    client.reset();
    // Long before the time limit of a session with one end.
    proxy.wait_for_rows(0);
    expect_reset_after_eof(&upstream);
}

#[test]
fn e45b_a_session_after_a_reset() {
    let _test = Test::begin("An error of one socket is the end of one session.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    let other = Client::connect(proxy.addr());
    for _ in 0..10 {
        let client = Client::connect(proxy.addr());
        echoes(&client);
        client.reset();
        echoes(&Client::connect(proxy.addr()));
        echoes(&other);
    }
    proxy.wait_for_rows(1);
    proxy.expect_alive();
}

#[test]
fn e45b_what_came_before_the_reset_is_delivered() {
    let _test = Test::begin(
        "EPOLLERR is a hint: read the bytes that are left until read(2) returns the error.",
    );
    let (proxy, hand) = proxy_and_hand(&[]);
    for _ in 0..5 {
        let (client, upstream) = session(&proxy, &hand);
        talk(&client, &upstream);
        let answer = Rng::for_test().nonce(20_000);
        proxy.stop();
        upstream.send(&answer);
        upstream.reset();
        proxy.cont();
        client.expect(&answer);
        client.expect_reset();
    }
    proxy.wait_for_rows(0);
}

#[test]
fn e45b_an_answer_of_an_upstream_that_never_reads() {
    let _test = Test::begin(
        "Writing fails, but the answer that came before can still be read: deliver it.",
    );
    let (proxy, hand) = proxy_and_hand(&[]);
    for _ in 0..5 {
        let (client, upstream) = session(&proxy, &hand);
        talk(&client, &upstream);
        // A server that answers 413 to an upload: it closes with unread input, so the kernel sends a reset.
        client.send(&Rng::for_test().bytes(30_000));
        eventually("the upload has arrived", PATIENCE, || {
            unread(&upstream) == 30_000
        });
        proxy.stop();
        upstream.send(b"413 too large");
        upstream.close();
        client.send(&[7; 30_000]);
        proxy.cont();
        client.expect(b"413 too large");
        assert_ne!(
            client.expect_closed(),
            End::TimedOut,
            "the client learns that the upstream has ended"
        );
    }
    proxy.wait_for_rows(0);
}

#[test]
fn e45b_a_slow_client_that_sends_on_keeps_its_answer() {
    let _test = Test::begin(
        "EPIPE says that the upstream had ended in order before: the client has a whole answer, and needs an end and no reset.",
    );
    let (proxy, hand) = proxy_and_hand(&[]);
    let slow = Connect::new().segment(88).receive_buffer(2 * KIB);
    // More than the kernel takes for such a client, so that bytes wait in the proxy when it meets EPIPE; no more than one
    // read of the proxy besides, so that the upstream's end is there, whatever its receive buffer takes.
    let length = kernel_room(&slow) + 30_000;
    let client = slow.to(proxy.addr());
    let upstream = hand.next();
    talk(&client, &upstream);
    let answer = Rng::for_test().bytes(length);
    upstream.send(&answer);
    let (here, there) = (upstream.local(), upstream.remote());
    upstream.close();
    let state = || sockets::find(there, here).map(|row| row.state);
    eventually("the answer and its end reach the proxy", PATIENCE, || {
        state() == Some(sockets::CLOSE_WAIT)
    });
    // The first byte makes the upstream's kernel answer with a reset, and the second one meets it.
    client.send_chunked(b"?", 1);
    eventually("the upstream's kernel refuses a byte", PATIENCE, || {
        state().is_none()
    });
    client.send_chunked(b"?", 1);
    let drained = client.drain();
    harness::ensure(
        drained.digest == Digest::of(&answer),
        format!(
            "The upstream sent a whole answer and ended in order, but the client got {:?} of {:?}.",
            drained.digest,
            Digest::of(&answer)
        ),
    );
    harness::ensure(
        drained.end == End::Eof,
        format!(
            "The client got the whole answer and then {:?} instead of its end. A client that still sends takes that for a broken \
             answer: after EPIPE close in order, and read the rest that it sends.",
            drained.end
        ),
    );
    client.close();
    proxy.wait_for_rows(0);
}

#[test]
fn e45b_what_is_under_way_outlives_the_side_that_sent_it() {
    let _test =
        Test::begin("A broken sink ends its own direction; the other one delivers its bytes.");
    let hand = Hand::with(Scripted::options("upstream").send_buffer(8 * KIB));
    let proxy = Proxy::to(hand.addr());
    let client = Connect::new().receive_buffer(16 * KIB).to(proxy.addr());
    let upstream = hand.next();
    let sent = upstream.send_until_blocked(&[5; 4 * KIB], QUIET, 256 * MIB) as u64;
    let here = sockets::find(upstream.local(), upstream.remote());
    let in_transit = sent - here.map_or(sent, |row| row.unsent);
    upstream.reset();
    // These bytes cannot be delivered any more, but the client must not lose those that it is about to read.
    client.send(b"are you there?");
    let seen = client.drain().digest.bytes;
    assert!(
        seen >= in_transit,
        "{in_transit} bytes were in transit, {seen} arrived"
    );
    proxy.wait_for_rows(0);
}

#[test]
fn e45b_a_slow_client_that_sends_on_keeps_what_is_under_way() {
    let _test = Test::begin(
        "After an abort one event counts: the kernel has sent everything. A byte of the client is another one.",
    );
    let hand = Hand::with(Scripted::options("upstream").send_buffer(8 * KIB));
    let proxy = Proxy::to(hand.addr());
    let client = Connect::new().receive_buffer(16 * KIB).to(proxy.addr());
    let upstream = hand.next();
    let sent = upstream.send_until_blocked(&[5; 4 * KIB], QUIET, 256 * MIB) as u64;
    let here = sockets::find(upstream.local(), upstream.remote());
    let in_transit = sent - here.map_or(sent, |row| row.unsent);
    upstream.reset();
    let mut seen = 0;
    while seen < in_transit {
        // It fails after the proxy's reset, but the bytes that came before can still be read.
        drop(client.try_send(b"?"));
        seen += client.read_some().len() as u64;
    }
    drop(client);
    proxy.wait_for_rows(0);
}

/// The reader of a running transfer has closed: the sender is reset, and the row is free again.
#[track_caller]
fn the_reader_leaves(proxy: &Proxy, from: &Peer, to: Peer, leave: fn(Peer)) {
    let bytes = vec![5; 64 * MIB];
    thread::scope(|scope| {
        let sending = scope.spawn(|| from.try_send(&bytes));
        eventually("the transfer has begun", PATIENCE, || unread(&to) > 0);
        wait_until_still(proxy);
        leave(to);
        expect_reset_while_sending(&sending.join().expect("a sender never panics"));
    });
    proxy.wait_for_rows(0);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
}

#[test]
fn e45b_a_reader_that_resets_in_the_middle() {
    let _test = Test::begin("Bytes for a broken sink are dropped, and the source is reset.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    the_reader_leaves(&proxy, &upstream, client, Peer::reset);
    let (client, upstream) = session(&proxy, &hand);
    the_reader_leaves(&proxy, &client, upstream, Peer::reset);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
}

#[test]
fn e45b_a_reader_that_closes_in_the_middle() {
    let _test =
        Test::begin("EPIPE and ECONNRESET are ends of a session; SIGPIPE must not end the proxy.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    the_reader_leaves(&proxy, &upstream, client, Peer::close);
    let (client, upstream) = session(&proxy, &hand);
    the_reader_leaves(&proxy, &client, upstream, Peer::close);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
}

#[test]
fn e45b_a_client_that_leaves_with_its_reply_pending() {
    let _test =
        Test::begin("Writing to a socket that is closed fails with EPIPE: an error, not a signal.");
    let (proxy, hand) = proxy_and_hand(&[]);
    for _ in 0..20 {
        let (client, upstream) = session(&proxy, &hand);
        talk(&client, &upstream);
        client.close();
        // The first write provokes the reset, the second meets it.
        drop(upstream.try_send(&[1; 1000]));
        drop(upstream.try_send(&[2; 100_000]));
        upstream.close();
    }
    proxy.wait_for_rows(0);
    proxy.expect_alive();
}

#[test]
fn e45b_a_peer_that_resets_while_the_other_direction_is_full() {
    let _test = Test::begin(
        "Both directions hold bytes when one socket breaks: nothing may hang, nothing leak.",
    );
    let small = Scripted::options("upstream").receive_buffer(8 * KIB);
    let hand = Hand::with(small);
    let proxy = Proxy::to(hand.addr());
    let before = proc::fd_count(proxy.pid());
    for number in 0..2 {
        let client = Connect::new().receive_buffer(8 * KIB).to(proxy.addr());
        let upstream = hand.next();
        for peer in [&client, &upstream] {
            peer.send_until_blocked(&[1; 64 * KIB], QUIET, 256 * MIB);
        }
        let (first, second) = if number % 2 == 0 {
            (client, upstream)
        } else {
            (upstream, client)
        };
        first.reset();
        second.expect_reset();
        proxy.wait_for_rows(0);
    }
    // Pipes of the bulk transfers may be kept for the next: a few descriptors, not a few for each session.
    proc::fds_return_to(proxy.pid(), before + 8);
}

/// `ENOBUFS` leaves the connection open, unlike the errors of a connection that has ended.
#[test]
fn e45b_bytes_that_a_send_has_lost_end_in_a_reset() {
    let _test =
        Test::begin("A send that fails has lost bytes: both sides must see it, and not wait.");
    for (fault, question) in [("when=1", &b"lost"[..]), ("when=2", b"?")] {
        let fault = format!("error=ENOBUFS:{fault}");
        let Some(program) = strace::inject(&Program::new(program()), "sendto", &fault) else {
            return;
        };
        let hand = Hand::start();
        let proxy = Proxy::start(&program, hand.addr());
        let (client, upstream) = session(&proxy, &hand);
        client.send(question);
        if fault.ends_with('2') {
            upstream.expect(question);
            upstream.send(b"lost");
        }
        client.expect_reset();
        upstream.expect_reset();
        let (client, upstream) = session(&proxy, &hand);
        talk(&client, &upstream);
    }
}
