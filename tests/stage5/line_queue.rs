//! The queue of lines, seen only from outside: no test here asks the inspector, or needs a function of the library.
//!
//! So these tests judge a program in any language (`cargo course scratch stage5`).

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::command_line::{self, FOREIGN};
use harness::{ClosedPort, Hand, Program, Rng, Scripted, Signal, Test, ensure, fail, lines, proc};

use crate::support::{Mux, program};

/// A moment in which a queue that does too much would be seen.
const MOMENT: Duration = Duration::from_millis(2);

/// Starts a queue of lines.
#[track_caller]
fn queue_to(upstream: &Scripted, arguments: &[&str]) -> Mux {
    let framing = [&["--framing", "line"], arguments].concat();
    Mux::start(upstream.addr(), &framing)
}

/// Starts an upstream that reverses lines, and fails if it gets two at a time, or two connections at a time.
fn reverser() -> Scripted {
    let open = AtomicUsize::new(0);
    Scripted::start("upstream", move |peer| {
        let before = open.fetch_add(1, Ordering::SeqCst);
        ensure(before == 0, "The upstream has two connections at a time.");
        let (mut line, mut piece) = (Vec::new(), [0; 65_536]);
        // Any end of the connection ends the script: the test sees it from the other side.
        while let Ok(count @ 1..) = peer.stream().as_ref().read(&mut piece) {
            line.extend_from_slice(&piece[..count]);
            match line.iter().position(|&byte| byte == b'\n') {
                None => {}
                Some(end) if end + 1 == line.len() => {
                    peer.send(&lines::reversed(&line));
                    line.clear();
                }
                Some(_) => fail("The upstream has got a second line before it answered the first."),
            }
        }
        open.fetch_sub(1, Ordering::SeqCst);
    })
}

#[test]
fn e53_the_queue_of_lines_explains_itself_and_refuses_wrong_arguments() {
    let _test = Test::begin("Check every argument before the program does anything else.");
    let queue = Program::new(program()).arg("queue");
    command_line::help_of_flags(
        &queue,
        &[
            ("--listen", "127.0.0.1:8080"),
            ("--upstream", "localhost:3000"),
            ("--framing", "line"),
            ("--client-timeout", "30s"),
            ("--upstream-timeout", "60s"),
            ("--connect-timeout", "5s"),
            ("--drain-timeout", "5s"),
        ],
    );
    command_line::refuses(
        &queue,
        &[
            (&["--listen", "nowhere"], "--listen"),
            (&["--framing", "smoke"], "--framing"),
            (&["--client-timeout", "soon"], "--client-timeout"),
            (&["--framing", "line", "surplus"], "surplus"),
        ],
    );
    command_line::refuses(&Program::new(program()), &[(&["smoke"], "smoke")]);
}

#[test]
fn e53_a_queue_of_lines_that_cannot_listen_says_why_in_one_sentence() {
    let _test = Test::begin("The sentence names the address; the exit code is 1.");
    let upstream = reverser();
    let mux = queue_to(&upstream, &[]);
    let queue = Program::new(program())
        .args(["queue", "--framing", "line"])
        .args(["--upstream", &upstream.addr_text()]);
    let taken = mux.addr_text();
    command_line::cannot_start(
        &queue,
        &["--listen", &taken],
        &[&taken, "ddress already in use"],
    );
    command_line::cannot_start(&queue, &["--listen", FOREIGN], &[FOREIGN]);
    command_line::announced_once(&mux);
}

#[test]
fn e53_lines_of_many_clients_share_one_connection() {
    let _test =
        Test::begin("Send the next line only when the answer to the one before is complete.");
    let upstream = reverser();
    let mux = queue_to(&upstream, &[]);
    thread::scope(|scope| {
        for number in 0..32 {
            let (mux, mut rng) = (&mux, Rng::from_seed(number));
            scope.spawn(move || {
                let client = mux.client();
                for _ in 0..20 {
                    let length = 1 + rng.below(3000);
                    let line = [rng.line(length), b"\n".to_vec()].concat();
                    client.send(&line);
                    client.expect(&lines::reversed(&line));
                }
            });
        }
    });
    assert_eq!(upstream.accepts(), 1, "connections to the upstream");
}

#[test]
fn e53_the_longest_line_passes_the_queue_and_comes_back() {
    let _test = Test::begin("An answer may come in many pieces, and each is passed on.");
    let upstream = reverser();
    let mux = queue_to(&upstream, &[]);
    lines::the_longest_line(mux.addr());
}

#[test]
fn e53_lines_are_served_in_the_order_of_their_arrival() {
    let _test = Test::begin("Lines leave the queue in the order in which they arrived.");
    let hand = Hand::start();
    let mux = queue_to(&hand, &[]);
    let clients: Vec<_> = (0..6)
        .map(|number| {
            let client = mux.client();
            client.send(format!("line {number}\n").as_bytes());
            client.wait_until_read();
            client
        })
        .collect();
    let upstream = hand.next();
    for (number, client) in clients.iter().enumerate() {
        upstream.expect(format!("line {number}\n").as_bytes());
        upstream.expect_silence(MOMENT);
        let answer = format!("answer {number}\n");
        upstream.send(answer.as_bytes());
        client.expect(answer.as_bytes());
    }
    assert_eq!(hand.accepts(), 1, "connections to the upstream");
}

#[test]
fn e53_a_client_with_many_lines_gets_one_turn_for_each() {
    let _test = Test::begin("The next line of a client joins at the end of the queue.");
    let hand = Hand::start();
    let mux = queue_to(&hand, &[]);
    let (many, one) = (mux.client(), mux.client());
    many.send(b"many 0\nmany 1\nmany 2\n");
    let upstream = hand.next();
    upstream.expect(b"many 0\n");
    one.send(b"one\n");
    one.wait_until_read();
    for line in ["many 0\n", "one\n", "many 1\n", "many 2\n"] {
        if line != "many 0\n" {
            upstream.expect(line.as_bytes());
        }
        upstream.expect_silence(MOMENT);
        upstream.send(line.as_bytes());
    }
    one.expect(b"one\n");
    many.expect(b"many 0\nmany 1\nmany 2\n");
}

#[test]
fn e53_a_client_of_the_queue_that_ends_its_input_gets_all_answers() {
    let _test = Test::begin("A FIN means that no further line follows; the client still reads.");
    let upstream = reverser();
    let mux = queue_to(&upstream, &[]);
    let client = mux.client();
    client.send(b"one\ntwo\nlast");
    client.half_close();
    client.expect(b"eno\nowt\ntsal");
    client.expect_eof();
    lines::an_empty_conversation(mux.addr());
    lines::served(mux.addr());
}

#[test]
fn e53_a_client_that_takes_no_answers_holds_no_other() {
    let _test = Test::begin("Ask a client for its next line when it has taken its answer.");
    let upstream = reverser();
    let mux = queue_to(&upstream, &[]);
    let (stalled, input) = lines::a_stalled_client(mux.addr());
    lines::served(mux.addr());
    proc::assert_cpu_idle(mux.pid(), Duration::from_millis(500));
    let whole = input.iter().rposition(|&byte| byte == b'\n').unwrap_or(0) + 1;
    stalled.expect(&lines::reversed(&input[..whole]));
}

#[test]
fn e56_a_line_whose_client_has_gone_while_it_waits_is_not_sent() {
    let _test = Test::begin("The client has gone before its line was sent: forget the line.");
    let hand = Hand::start();
    let mux = queue_to(&hand, &[]);
    let (first, gone, last) = (mux.client(), mux.client(), mux.client());
    first.send(b"first\n");
    let upstream = hand.next();
    upstream.expect(b"first\n");
    for (client, line) in [(&gone, b"gone\n"), (&last, b"last\n")] {
        client.send(line);
        client.wait_until_read();
    }
    gone.reset();
    expect_handled(&mux);
    upstream.send(b"tsrif\n");
    first.expect(b"tsrif\n");
    upstream.expect(b"last\n");
    upstream.send(b"tsal\n");
    last.expect(b"tsal\n");
}

/// Waits until the queue has handled everything that came before, because it has read the byte of a new client.
#[track_caller]
fn expect_handled(mux: &Mux) {
    let client = mux.client();
    client.send(b"?");
    client.wait_until_read();
}

#[test]
fn e56_an_answer_whose_client_has_gone_reaches_no_other() {
    let _test = Test::begin("Read the answer to its newline and drop it, or close the connection.");
    for pieces in [&["late\n"][..], &["la", "te\n"]] {
        let hand = Hand::start();
        let mux = queue_to(&hand, &[]);
        let (gone, next) = (mux.client(), mux.client());
        gone.send(b"gone\n");
        let upstream = hand.next();
        upstream.expect(b"gone\n");
        next.send(b"next\n");
        next.wait_until_read();
        gone.reset();
        expect_handled(&mux);
        let kept = pieces.iter().all(|piece| {
            upstream.expect_silence(MOMENT);
            upstream.try_send(piece.as_bytes()).is_ok()
        });
        ensure(
            kept,
            "The queue reads the answer of a client that has gone.",
        );
        upstream.expect(b"next\n");
        upstream.send(b"txen\n");
        next.expect(b"txen\n");
    }
}

#[test]
fn e56_a_lost_connection_ends_the_client_in_flight_and_no_other() {
    let _test =
        Test::begin("The line protocol has no error reply: only the end of the connection.");
    let hand = Hand::start();
    let mux = queue_to(&hand, &[]);
    let (first, second) = (mux.client(), mux.client());
    first.send(b"one\n");
    let upstream = hand.next();
    upstream.expect(b"one\n");
    second.send(b"two\n");
    second.wait_until_read();
    upstream.close();
    first.expect_closed();
    let upstream = hand.next();
    upstream.expect(b"two\n");
    upstream.send(b"ha");
    second.expect(b"ha");
    upstream.reset();
    second.expect_closed();
    expect_served_by(&hand, &mux);
}

/// Checks that a new client is served on a new connection.
#[track_caller]
fn expect_served_by(hand: &Hand, mux: &Mux) {
    let client = mux.client();
    client.send(b"abc\n");
    let upstream = hand.next();
    upstream.expect(b"abc\n");
    upstream.send(b"cba\n");
    client.expect(b"cba\n");
}

#[test]
fn e56_bytes_behind_an_answer_are_no_answer_to_the_next_line() {
    let _test = Test::begin("No line is in flight, so no byte may come: close the connection.");
    for (answer, later) in [("eno\nsurplus\n", ""), ("eno\n", "surplus\n")] {
        let hand = Hand::start();
        let mux = queue_to(&hand, &[]);
        let first = mux.client();
        first.send(b"one\n");
        let upstream = hand.next();
        upstream.expect(b"one\n");
        upstream.send(answer.as_bytes());
        first.expect(b"eno\n");
        upstream.send(later.as_bytes());
        upstream.expect_closed();
        expect_served_by(&hand, &mux);
        first.expect_silence(MOMENT);
    }
}

#[test]
fn e56_visits_of_the_line_queue_leave_nothing_behind() {
    let _test = Test::begin("Close the socket of every client, however it has left.");
    let upstream = reverser();
    let mux = queue_to(&upstream, &[]);
    lines::served(mux.addr());
    expect_handled(&mux);
    let before = proc::fd_count(mux.pid());
    for _ in 0..50 {
        lines::served(mux.addr());
        mux.client().reset();
        lines::a_last_line_without_newline(mux.addr());
    }
    lines::a_crowd(mux.addr(), 100);
    proc::fds_return_to(mux.pid(), before);
}

#[test]
fn e56_an_upstream_that_refuses_costs_each_client_one_line() {
    let _test = Test::begin("A failed connect ends the client in front, not the queue.");
    let closed = ClosedPort::start();
    let mux = Mux::start(closed.addr(), &["--framing", "line"]);
    for _ in 0..2 {
        let clients = [mux.client(), mux.client()];
        clients.iter().for_each(|client| client.send(b"line\n"));
        for client in &clients {
            client.expect_closed();
        }
    }
    mux.expect_alive();
}

#[test]
fn e56_an_upstream_that_never_answers_a_line_is_left_after_its_time() {
    let _test = Test::begin("An answer that comes too late must not go to the next client.");
    let hand = Hand::start();
    let mux = queue_to(&hand, &["--upstream-timeout", "1s"]);
    let (first, second) = (mux.client(), mux.client());
    first.send(b"one\n");
    let silent = hand.next();
    silent.expect(b"one\n");
    second.send(b"two\n");
    first.expect_closed();
    let upstream = hand.next();
    upstream.expect(b"two\n");
    upstream.send(b"owt\n");
    second.expect(b"owt\n");
    silent.expect_closed();
}

#[test]
fn e56_half_a_line_has_a_deadline_and_silence_between_lines_has_none() {
    let _test = Test::begin("An idle client is not closed; half a line has a deadline.");
    let upstream = reverser();
    let mux = queue_to(&upstream, &["--client-timeout", "1s"]);
    let (fresh, idle, half) = (mux.client(), mux.client(), mux.client());
    idle.send(b"ab\n");
    idle.expect(b"ba\n");
    half.send(b"half");
    half.expect_closed();
    for client in [&fresh, &idle] {
        client.send(b"cd\n");
        client.expect(b"dc\n");
    }
}

#[test]
fn e56_a_signal_lets_the_lines_that_wait_be_answered() {
    let _test = Test::begin("SIGTERM: stop accepting, answer the lines in the queue, then exit.");
    let hand = Hand::start();
    let mux = queue_to(&hand, &[]);
    let (idle, first, second) = (mux.client(), mux.client(), mux.client());
    first.send(b"one\n");
    let upstream = hand.next();
    upstream.expect(b"one\n");
    second.send(b"two\n");
    second.wait_until_read();
    mux.signal(Signal::SIGTERM);
    idle.expect_eof();
    upstream.send(b"eno\n");
    first.expect(b"eno\n");
    first.expect_eof();
    upstream.expect(b"two\n");
    upstream.send(b"owt\n");
    second.expect(b"owt\n");
    second.expect_eof();
    drop((idle, first, second));
    assert_eq!(mux.wait().code(), Some(0), "the exit code");
}

#[test]
fn e56_a_second_signal_does_not_wait_for_the_lines() {
    let _test = Test::begin("The second signal, or the end of the drain, stops the queue at once.");
    for (limit, signals) in [("10m", 2), ("200ms", 1)] {
        let hand = Hand::start();
        let mux = queue_to(&hand, &["--drain-timeout", limit]);
        let (idle, client) = (mux.client(), mux.client());
        client.send(b"one\n");
        hand.next().expect(b"one\n");
        mux.signal(Signal::SIGINT);
        idle.expect_eof();
        for _ in 1..signals {
            mux.signal(Signal::SIGINT);
        }
        assert_eq!(mux.wait().code(), Some(0), "the exit code");
        client.expect_closed();
    }
}
