//! The queue in front of stage 1's server: many clients share the one connection that it serves at a time.

use std::net::SocketAddr;
use std::thread;

use harness::{Client, Hand, Rng, Test, lines};
use stage1_server::{ListenOptions, listen, local_addr, serve};

use crate::support::Mux;

/// Starts stage 1's server on a thread of its own, which ends with the test's process.
fn stage1() -> SocketAddr {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let listener = listen(any, &ListenOptions::default()).expect("a listener");
    let address = local_addr(&listener).expect("its address");
    thread::spawn(move || serve(&listener));
    address
}

fn line_mux() -> Mux {
    Mux::start(stage1(), &["--framing", "line"])
}

#[test]
fn e53_ten_clients_at_once_in_front_of_the_one_client_server() {
    let _test = Test::begin("The server serves one connection at a time, so open only one.");
    let mux = line_mux();
    let clients: Vec<_> = (0..10).map(|_| mux.client()).collect();
    let mut rng = Rng::for_test();
    for _ in 0..20 {
        let asked: Vec<_> = clients
            .iter()
            .map(|_| [rng.line(20), b"\n".to_vec()].concat())
            .collect();
        for (client, line) in clients.iter().zip(&asked) {
            client.send(line);
        }
        for (client, line) in clients.iter().zip(&asked) {
            client.expect(&lines::reversed(line));
        }
    }
}

#[test]
fn e53_the_conversations_of_stage_1_work_through_the_queue() {
    let _test = Test::begin("A client must not see a difference between the queue and the server.");
    let mux = line_mux();
    for conversation in [
        lines::served,
        lines::lines_in_turn,
        lines::one_byte_at_a_time,
        lines::several_lines_in_one_write,
        lines::a_last_line_without_newline,
        lines::an_empty_conversation,
    ] {
        conversation(mux.addr());
    }
}

#[test]
fn e56_a_reset_in_the_middle_and_then_another_client() {
    let _test = Test::begin("If a client resets, forget its request, or drop the response to it.");
    lines::a_reset_and_then_another(line_mux().addr());
}

#[test]
fn e53_a_line_cut_anywhere_leaves_the_next_one_intact() {
    let _test = Test::begin("One read is not one line, in either direction.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--framing", "line"]);
    let client = mux.client();
    let (request, response) = (b"a question\n", b"the answer\n");
    let mut upstream = None;
    for cut in 1..request.len() {
        client.send(&request[..cut]);
        client.wait_until_read();
        client.send(&request[cut..]);
        let upstream = upstream.get_or_insert_with(|| hand.next());
        upstream.expect(request);
        upstream.send(&response[..cut]);
        upstream.wait_until_read();
        upstream.send(&response[cut..]);
        client.expect(response);
    }
    assert_eq!(
        hand.accepts(),
        1,
        "connections that the upstream has accepted"
    );
}

#[test]
fn e53_a_line_that_is_too_long_ends_its_client_only() {
    let _test = Test::begin("A line without an end must not fill the memory.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--framing", "line", "--max-head", "100"]);
    let client: Client = mux.client();
    client.send(&[b'x'; 101]);
    client.expect_closed();
    assert_eq!(
        hand.accepts(),
        0,
        "connections that the upstream has accepted"
    );
    let client = mux.client();
    client.send(&[&[b'x'; 100][..], b"\n"].concat());
    let upstream = hand.next();
    upstream.expect(&[&[b'x'; 100][..], b"\n"].concat());
}

#[test]
fn e56_a_lost_answer_ends_the_client_that_waits_for_it() {
    let _test =
        Test::begin("The line protocol has no error reply: only the end of the connection.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--framing", "line"]);
    let (first, second) = (mux.client(), mux.client());
    first.send(b"one\n");
    let upstream = hand.next();
    upstream.expect(b"one\n");
    second.send(b"two\n");
    mux.wait_for("waiting", 1);
    upstream.close();
    first.expect_closed();
    let upstream = hand.next();
    upstream.expect(b"two\n");
    upstream.send(b"owt\n");
    second.expect(b"owt\n");
}

#[test]
fn e56_an_upstream_that_speaks_first_is_named_in_the_log() {
    let _test = Test::begin(
        "SMTP, FTP and POP3 begin with a greeting: it is no response, and the operator has to know.",
    );
    for (greeting, later) in [
        (&b"220 ready\n250 one\n"[..], &b""[..]),
        (b"220 ready\n", b"250 one\n"),
    ] {
        let hand = Hand::start();
        let mux = Mux::start(hand.addr(), &["--framing", "line"]);
        let (first, second) = (mux.client(), mux.client());
        first.send(b"one\n");
        let upstream = hand.next();
        upstream.expect(b"one\n");
        upstream.send(greeting);
        first.expect(b"220 ready\n");
        upstream.send(later);
        upstream.expect_closed();
        mux.wait_for_stderr("greeting");
        second.send(b"two\n");
        let upstream = hand.next();
        upstream.expect(b"two\n");
        upstream.send(b"250 two\n");
        second.expect(b"250 two\n");
    }
}

#[test]
fn e56_a_person_who_types_has_all_the_time_and_half_a_line_has_not() {
    let _test = Test::begin("An idle client is not closed; half a request has a deadline.");
    let mux = Mux::start(stage1(), &["--framing", "line", "--client-timeout", "1s"]);
    let (fresh, idle) = (mux.client(), mux.client());
    idle.send(b"ab\n");
    idle.expect(b"ba\n");
    let half = mux.client();
    half.send(b"half");
    half.expect_closed();
    for client in [&fresh, &idle] {
        client.send(b"cd\n");
        client.expect(b"dc\n");
    }
}
