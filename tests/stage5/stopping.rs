//! Shutdown: draining after the first signal, stopping after the second.

use std::time::Duration;

use harness::{Hand, PATIENCE, Program, Signal, Test, eventually, hangup};

use crate::support::{Mux, Site, answer, ask, field, get, program, reply};

#[test]
fn e56_a_signal_lets_the_requests_that_wait_be_answered() {
    let _test =
        Test::begin("SIGTERM: stop accepting, answer the requests in the queue, then exit.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let (idle, first, second) = (mux.client(), mux.client(), mux.client());
    first.send(&get("/first"));
    mux.wait_for("in flight", 1);
    second.send(&get("/second"));
    mux.wait_for("waiting", 1);
    mux.wait_for("idle", 1);
    mux.signal(Signal::SIGTERM);
    idle.expect_eof();
    let upstream = hand.next();
    for (client, body) in [(&first, "first"), (&second, "second")] {
        answer(&upstream, body.as_bytes());
        let reply = reply(client);
        assert_eq!(reply.text(), body, "the body of the response");
        assert_eq!(
            field(&reply.head, "connection"),
            Some("close"),
            "the field connection"
        );
        client.expect_eof();
    }
    drop((idle, first, second));
    assert_eq!(mux.wait().code(), Some(0), "the exit code");
}

#[test]
fn e56_a_signal_that_the_parent_has_blocked_ends_the_queue() {
    let _test = Test::begin("A program inherits its signal mask: unblock what it waits for.");
    let mut signals = vec![Signal::SIGTERM, Signal::SIGINT];
    if !hangup::is_ignored() {
        signals.push(Signal::SIGHUP);
    }
    let site = Site::echo();
    for &signal in &signals {
        let program = Program::new(program()).blocking(signals.clone());
        let mux = Mux::from_program(&program, site.addr(), &[]);
        assert_eq!(
            ask(&mux.client(), &get("/")).status(),
            "200",
            "the status of the response to /"
        );
        mux.signal(signal);
        assert_eq!(mux.wait().code(), Some(0), "the exit code");
    }
}

#[test]
fn e56_clients_in_the_accept_queue_at_the_signal_are_served() {
    let _test = Test::begin(
        "Closing a listener resets the clients in its accept queue: accept them first.",
    );
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &["--drain-timeout", "1h"]);
    mux.stop();
    let clients: Vec<_> = (0..200).map(|_| mux.client()).collect();
    for client in &clients {
        client.send(&get("/early"));
    }
    mux.signal(Signal::SIGTERM);
    mux.cont();
    for client in &clients {
        assert_eq!(
            reply(client).text(),
            "/early ",
            "the body of the response to the client"
        );
        client.expect_eof();
    }
    drop(clients);
    assert_eq!(mux.wait().code(), Some(0), "the exit code");
}

#[test]
fn e56_clients_in_the_accept_queue_of_a_full_queue_are_reset_at_once() {
    let _test = Test::begin(
        "No row is left for the clients in the accept queue: reset them now, so that they can go elsewhere.",
    );
    let hand = Hand::start();
    let arguments = ["--drain-timeout", "1h", "--max-connections", "1"];
    let mux = Mux::start(hand.addr(), &arguments);
    let client = mux.client();
    client.send(&get("/first"));
    mux.wait_for("in flight", 1);
    let waiting = [mux.client(), mux.client()];
    waiting.iter().for_each(|client| client.send(&get("/late")));
    eventually("the table is full", PATIENCE, || {
        mux.routes()["totals"]["accept_pauses"] == 1
    });
    mux.signal(Signal::SIGTERM);
    waiting.iter().for_each(|client| client.expect_reset());
    answer(&hand.next(), b"first");
    assert_eq!(
        reply(&client).text(),
        "first",
        "the body of the response to the client"
    );
    client.expect_eof();
    drop(client);
    assert_eq!(mux.wait().code(), Some(0), "the exit code");
}

#[test]
fn e56_a_second_signal_ends_it_at_once() {
    let _test = Test::begin("The second signal stops the queue at once.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--drain-timeout", "1h"]);
    let client = mux.client();
    client.send(&get("/"));
    mux.wait_for("in flight", 1);
    mux.signal(Signal::SIGINT);
    mux.wait_for_stderr("draining");
    mux.signal(Signal::SIGINT);
    assert_eq!(mux.wait().code(), Some(0), "the exit code");
    client.expect_reset();
}

#[test]
fn e56_the_drain_has_a_limit() {
    let _test = Test::begin("Draining has a deadline, too.");
    let hand = Hand::start();
    let [patient, prompt] = ["1h", "200ms"].map(|limit| {
        let mux = Mux::start(hand.addr(), &["--drain-timeout", limit]);
        let client = mux.client();
        client.send(&get("/"));
        mux.wait_for("in flight", 1);
        mux.signal(Signal::SIGTERM);
        mux.wait_for_stderr("draining");
        (mux, client)
    });
    assert_eq!(prompt.0.wait().code(), Some(0), "the exit code");
    prompt.1.expect_reset();
    patient.1.expect_silence(Duration::from_millis(1));
}

#[test]
fn e56_a_pause_of_the_process_ends_nothing() {
    let _test = Test::begin("epoll_wait fails with EINTR after SIGSTOP and SIGCONT: wait again.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    assert_eq!(
        ask(&client, &get("/before")).text(),
        "/before ",
        "the body of the response to /before"
    );
    for _ in 0..3 {
        mux.stop();
        mux.cont();
        assert_eq!(
            ask(&client, &get("/after")).text(),
            "/after ",
            "the body of the response to /after"
        );
    }
}

#[test]
fn e56_a_terminal_that_closes_lets_the_requests_that_wait_be_answered() {
    let _test = Test::begin("A closed terminal sends SIGHUP, often twice: from kernel and shell.");
    if hangup::is_ignored() {
        return;
    }
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--drain-timeout", "1h"]);
    let client = mux.client();
    client.send(&get("/"));
    mux.wait_for("in flight", 1);
    mux.signal(Signal::SIGHUP);
    mux.wait_for_stderr("draining");
    mux.signal(Signal::SIGHUP);
    answer(&hand.next(), b"answered");
    assert_eq!(
        reply(&client).text(),
        "answered",
        "the body of the response to the client"
    );
    client.expect_eof();
    drop(client);
    assert_eq!(mux.wait().code(), Some(0), "the exit code");
}

#[test]
fn e56_a_drain_limit_of_zero_ends_at_once() {
    let _test = Test::begin("--drain-timeout 0s: no client gets any more time.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--drain-timeout", "0s"]);
    let client = mux.client();
    client.send(&get("/"));
    mux.wait_for("in flight", 1);
    mux.signal(Signal::SIGTERM);
    assert_eq!(mux.wait().code(), Some(0), "the exit code");
    client.expect_reset();
}
