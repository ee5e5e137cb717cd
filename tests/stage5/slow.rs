//! Slow clients: each delays only itself, within a bound of memory and of time.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::{
    Connect, Digest, End, Hand, PATIENCE, Rng, Test, ensure, eventually, eventually_equal, proc,
    scaled,
};

use crate::support::{MIB, Mux, Site, Then, ask, expect_service, get, ok, reply};

/// An upstream with a response of 10 MiB at `/large`.
fn large_site(large: &[u8]) -> Site {
    let large = ok(large);
    Site::start(move |peer, asked| {
        // The queue may close the connection because of a slow reader: that is what is tested.
        let sent = match asked.path() {
            "/large" => peer.try_send(&large),
            path => peer.try_send(&ok(path.as_bytes())),
        };
        if sent.is_ok() {
            Then::Next
        } else {
            Then::Close
        }
    })
}

#[test]
fn e56_a_slow_reader_with_room_for_its_response_holds_nobody() {
    let _test = Test::begin("Read the response as fast as the upstream sends it, and buffer it.");
    let large = Rng::for_test().bytes(10 * MIB);
    let site = large_site(&large);
    let mux = Mux::start(site.addr(), &["--max-buffered", "16MiB"]);
    let slow = Connect::new().receive_buffer(64 * 1024).to(mux.addr());
    slow.send(&get("/large"));
    let head = slow.read_until(b"\r\n\r\n");
    assert!(
        head.starts_with(b"HTTP/1.1 200 OK"),
        "the head is {:?}",
        String::from_utf8_lossy(&head)
    );
    for byte in &large[..200] {
        slow.expect(&[*byte]);
        assert_eq!(
            ask(&mux.client(), &get("/other")).text(),
            "/other",
            "the body of the response to /other"
        );
    }
    let rest = slow.read_exact(large.len() - 200);
    assert_eq!(
        Digest::of(&rest),
        Digest::of(&large[200..]),
        "every byte arrives"
    );
    assert_eq!(site.accepts(), 1, "connections that the site has accepted");
}

#[test]
fn e56_a_slow_reader_beyond_its_room_has_a_deadline() {
    let _test =
        Test::begin("Buffered bytes have a bound; at the bound, the slow reader gets a deadline.");
    let large = Rng::for_test().bytes(32 * MIB);
    let site = large_site(&large);
    let mux = Mux::start(site.addr(), &["--client-timeout", "1s"]);
    let before = proc::private_kib(mux.pid());
    let slow = Connect::new().receive_buffer(4096).to(mux.addr());
    slow.send(&get("/large"));
    let mut seen = slow.read_until(b"\r\n\r\n").len();
    // Some kilobytes in a second are progress, but too slow to catch up. Without a pause a fast machine reads far more.
    let others = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            for _ in 0..10 {
                expect_service(&mux);
            }
        });
        while !others.is_finished() {
            if matches!(soon(&slow).read(&mut [0]), Ok(1)) {
                seen += 1;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        others.join()
    });
    assert!(others.is_ok(), "the others are served");
    let grown = proc::private_kib(mux.pid()).saturating_sub(before);
    ensure(grown < 4096, format!("The queue has grown by {grown} KiB."));
    // A reset drops the bytes in transit, and an earlier read may have consumed the error.
    let rest = slow.drain();
    ensure(
        rest.end != End::TimedOut,
        "The slow reader must be disconnected.",
    );
    ensure(
        seen as u64 + rest.digest.bytes < large.len() as u64,
        "It was not slow.",
    );
}

#[test]
fn e56_a_slow_reader_that_keeps_the_pace_gets_everything() {
    let _test = Test::begin("A client that reads its response steadily is not disconnected.");
    let large = Rng::for_test().bytes(10 * MIB);
    let site = large_site(&large);
    // Even on a busy machine a steady reader moves more in this time than all buffers hold.
    let limit = harness::option(PATIENCE);
    let mux = Mux::start(
        site.addr(),
        &["--client-timeout", &limit, "--max-buffered", "64KiB"],
    );
    let client = Connect::new().receive_buffer(16 * 1024).to(mux.addr());
    client.send(&get("/large"));
    assert_eq!(
        Digest::of(&reply(&client).body),
        Digest::of(&large),
        "length and hash of all that was received"
    );
}

/// A response that is read in parts: their number and their size. The queue holds more than one part, so the client
/// never catches up.
const PARTS: u32 = 200;
const PART: usize = 24 * 1024;

#[test]
fn e56_a_reader_that_is_always_behind_but_keeps_the_pace_is_no_slow_reader() {
    let _test = Test::begin(
        "A client that reads a buffer's worth of bytes in time gets the time limit again.",
    );
    let large = Rng::for_test().bytes(20 * MIB);
    let site = large_site(&large);
    let limit = Duration::from_secs(2);
    let mux = Mux::start(
        site.addr(),
        &[
            "--client-timeout",
            &harness::option(limit),
            "--max-buffered",
            "4MiB",
        ],
    );
    let client = Connect::new().receive_buffer(16 * 1024).to(mux.addr());
    client.send(&get("/large"));
    drop(client.read_until(b"\r\n\r\n"));
    let (begin, time) = (Instant::now(), scaled(limit).mul_f64(1.5));
    for part in 0..PARTS {
        // At even intervals, and for longer than the limit.
        eventually("the next part is due", PATIENCE, || {
            begin.elapsed() >= time * part / PARTS
        });
        drop(client.read_exact(PART));
    }
    let seen = PARTS as usize * PART;
    let rest = client.read_exact(large.len() - seen);
    assert_eq!(
        Digest::of(&rest),
        Digest::of(&large[seen..]),
        "length and hash of all that was received"
    );
}

#[test]
fn e56_a_slow_reader_that_holds_nobody_is_not_silent_while_the_kernel_sends() {
    let _test = Test::begin(
        "A slow reader takes bytes from the kernel, which asks for more only after a megabyte: its time counts from the last byte that left.",
    );
    const PIECE: usize = 16 * 1024;
    let large = Rng::for_test().bytes(10 * MIB);
    let site = large_site(&large);
    let limit = Duration::from_secs(1);
    let mux = Mux::start(
        site.addr(),
        &[
            "--client-timeout",
            &harness::option(limit),
            "--max-buffered",
            "16MiB",
        ],
    );
    let slow = Connect::new().receive_buffer(PIECE).to(mux.addr());
    slow.send(&get("/large"));
    drop(slow.read_until(b"\r\n\r\n"));
    mux.wait_for("in flight", 0);
    let begin = Instant::now();
    let mut seen = 0;
    while begin.elapsed() < scaled(limit) * 3 {
        slow.expect(&large[seen..seen + PIECE]);
        seen += PIECE;
        let due = begin.elapsed() + scaled(limit) / 20;
        eventually("the next part is due", PATIENCE, || begin.elapsed() >= due);
    }
    slow.expect(&large[seen..]);
}

#[test]
fn e56_half_a_head_and_silence_is_a_408_and_idle_clients_are_closed() {
    let _test = Test::begin("Every wait for a client has a deadline.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &["--client-timeout", "1s"]);
    let half = mux.client();
    half.send(b"GET / HTTP/1.1\r\nHos");
    assert_eq!(
        reply(&half).status(),
        "408",
        "the status of the response to the client"
    );
    half.expect_eof();
    mux.client().expect_eof();
    let asked = mux.client();
    assert_eq!(
        ask(&asked, &get("/")).status(),
        "200",
        "the status of the response to /"
    );
    asked.expect_eof();
}

#[test]
fn e56_idle_clients_cost_no_processor_time() {
    let _test = Test::begin("Wait for events; do not poll in a loop.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let clients: Vec<_> = (0..20).map(|_| mux.client()).collect();
    clients[0].send(&get("/unanswered"));
    let _upstream = hand.next();
    for client in &clients[1..10] {
        client.send(&get("/waiting"));
    }
    clients[10].send(b"GET / HT");
    mux.wait_for("waiting", 9);
    proc::assert_cpu_idle(mux.pid(), Duration::from_millis(500));
}

#[test]
fn e56_2000_clients_leave_nothing_behind() {
    let _test =
        Test::begin("When a client goes, free its socket, its row and its place in the queue.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    expect_service(&mux);
    let before = proc::fd_count(mux.pid());
    for number in 0..2000 {
        let client = mux.client();
        match number % 4 {
            0 => drop(ask(&client, &get("/"))),
            1 => client.reset(),
            2 => {
                client.send(&get("/gone"));
                client.reset();
            }
            _ => client.send(b"GET /half HTTP/1.1\r\n"),
        }
    }
    proc::fds_return_to(mux.pid(), before);
    expect_service(&mux);
}

#[test]
fn e56_whoever_takes_no_answers_is_not_asked_for_its_next_request() {
    let _test = Test::begin(
        "A client must read its last response before its next request joins the queue.",
    );
    let site = large_site(&Rng::for_test().bytes(4 * MIB));
    let mux = Mux::start(
        site.addr(),
        &["--max-buffered", "16MiB", "--client-timeout", "1h"],
    );
    let never = Connect::new().receive_buffer(4096).to(mux.addr());
    never.send(&get("/large").repeat(20));
    mux.wait_for("reading", 1);
    for _ in 0..10 {
        expect_service(&mux);
    }
    let asked = site.paths();
    let asked = asked.iter().filter(|path| *path == "/large").count();
    ensure(
        asked < 10,
        format!("{asked} requests were sent whose responses are not read."),
    );
}

#[test]
fn e56_whoever_never_takes_its_answer_is_sent_away() {
    let _test = Test::begin("A response that is buffered for a client needs a deadline, too.");
    let site = large_site(&Rng::for_test().bytes(10 * MIB));
    let mux = Mux::start(
        site.addr(),
        &["--max-buffered", "16MiB", "--client-timeout", "1s"],
    );
    let never = Connect::new().receive_buffer(4096).to(mux.addr());
    never.send(&get("/large"));
    eventually_equal("clients that timed out", &Some(1), || {
        mux.routes()["totals"]["timeouts"]["idle"].as_u64()
    });
    mux.wait_for("reading", 0);
    let seen = never.drain();
    ensure(seen.end != End::TimedOut, "The connection must end.");
    expect_service(&mux);
}

#[test]
fn e56_a_head_that_comes_byte_by_byte_has_its_time_from_its_first_byte() {
    let _test = Test::begin("A byte now and then must not keep a row forever.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &["--client-timeout", "1s"]);
    let slow = mux.client();
    slow.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    eventually("the queue gives up", PATIENCE, || {
        slow.send(b"x");
        matches!(soon(&slow).peek(&mut [0]), Ok(1))
    });
    assert_eq!(
        reply(&slow).status(),
        "408",
        "the status of the response to the slow client"
    );
}

/// Limits the next read to a millisecond and returns the stream.
fn soon(client: &harness::Client) -> &TcpStream {
    let limit = Some(Duration::from_millis(1));
    let stream = &**client.stream();
    stream.set_read_timeout(limit).expect("a time limit");
    stream
}
