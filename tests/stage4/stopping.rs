//! Exercise 4.9: SIGTERM, SIGINT and SIGHUP let open sessions end; the second signal does not wait.

use std::time::{Duration, Instant};

use harness::{
    Client, Connect, Deadline, Digest, End, Hand, PATIENCE, Program, Rng, Scripted, Signal, Test,
    eventually, hangup, proc, scaled,
};

use crate::support::{
    HALF_A_SECOND, KIB, MIB, Proxy, echoes, listeners, program, proxy_and_echo, proxy_and_hand,
    session, talk,
};

/// Returns the signals that ask the proxy to end.
fn signals() -> Vec<Signal> {
    let mut signals = vec![Signal::SIGTERM, Signal::SIGINT];
    if !hangup::is_ignored() {
        signals.push(Signal::SIGHUP);
    }
    signals
}

/// A drain limit that no test waits for.
const LONG: [&str; 2] = ["--drain-timeout", "60s"];
const SHORT: [&str; 2] = ["--drain-timeout", "400ms"];

/// Waits until the proxy takes no more clients.
#[track_caller]
fn wait_until_closed(proxy: &Proxy) {
    // A connect to find it out would be a session itself, if it came too early.
    eventually("the listener is closed", PATIENCE, || {
        listeners(proxy.addr()) == 0
    });
    harness::ensure(
        Connect::new().try_to(proxy.addr()).is_err(),
        "A new client must be refused.",
    );
}

#[track_caller]
fn ends_with_0(proxy: &Proxy, within: Duration) {
    let status = proxy.wait_by(Deadline::after(within));
    harness::ensure(
        status.is_some_and(|status| status.code() == Some(0)),
        format!("The proxy should have ended with 0 within {within:?}: {status:?}."),
    );
}

#[test]
fn e49_without_sessions_a_signal_ends_the_proxy_at_once() {
    let _test = Test::begin("No session is open: end with 0 at once.");
    for signal in signals() {
        for threads in ["1", "3"] {
            let (proxy, _echo) = proxy_and_echo(&["--threads", threads, "--drain-timeout", "60s"]);
            proxy.signal(signal);
            ends_with_0(&proxy, PATIENCE);
        }
    }
}

#[test]
fn e49_a_signal_that_the_parent_has_blocked_ends_the_proxy() {
    let _test = Test::begin("A program inherits its signal mask: unblock what it waits for.");
    let echo = Scripted::echo();
    for signal in signals() {
        let program = Program::new(program()).blocking(signals());
        let proxy = Proxy::start(&program, echo.addr());
        echoes(&Client::connect(proxy.addr()));
        proxy.signal(signal);
        ends_with_0(&proxy, PATIENCE);
    }
}

#[test]
fn e49_open_sessions_may_finish() {
    let _test = Test::begin("Close the listener, keep the sessions, end with the last of them.");
    for signal in signals() {
        let (proxy, hand) = proxy_and_hand(&LONG);
        let (client, upstream) = session(&proxy, &hand);
        let (other, other_upstream) = session(&proxy, &hand);
        proxy.signal(signal);
        wait_until_closed(&proxy);
        talk(&client, &upstream);
        talk(&other, &other_upstream);
        proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
        client.close();
        upstream.expect_eof();
        upstream.close();
        talk(&other, &other_upstream);
        proxy.expect_alive();
        other_upstream.close();
        other.expect_eof();
        other.close();
        ends_with_0(&proxy, PATIENCE);
    }
}

#[test]
fn e49_a_transfer_under_way_is_delivered_to_its_last_byte() {
    let _test = Test::begin("A signal is no reason to lose bytes.");
    let (proxy, hand) = proxy_and_hand(&LONG);
    let client = Connect::new().receive_buffer(16 * KIB).to(proxy.addr());
    let upstream = hand.next();
    let bytes = Rng::for_test().bytes(8 * MIB);
    let sending = upstream.send_in_background(bytes.clone());
    client.expect(&bytes[..100]);
    proxy.signal(Signal::SIGTERM);
    wait_until_closed(&proxy);
    client.half_close();
    client.expect(&bytes[100..5 * MIB]);
    client.expect(&bytes[5 * MIB..]);
    sending.join();
    upstream.close();
    client.expect_eof();
    ends_with_0(&proxy, PATIENCE);
}

#[test]
fn e49_who_does_not_finish_is_reset_after_the_drain_limit() {
    let _test =
        Test::begin("--drain-timeout: then the rest is reset, and the exit code is still 0.");
    for signal in signals() {
        let (proxy, hand) = proxy_and_hand(&SHORT);
        let sessions = [session(&proxy, &hand), session(&proxy, &hand)];
        talk(&sessions[0].0, &sessions[0].1);
        let begun = Instant::now();
        proxy.signal(signal);
        ends_with_0(&proxy, PATIENCE);
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(390), "after {took:?} already");
        for (client, upstream) in &sessions {
            client.expect_reset();
            upstream.expect_reset();
        }
    }
}

#[test]
fn e49_the_second_signal_does_not_wait() {
    let _test = Test::begin("The first signal drains, the second ends at once.");
    let mut order = vec![
        (Signal::SIGTERM, Signal::SIGTERM),
        (Signal::SIGINT, Signal::SIGINT),
        (Signal::SIGTERM, Signal::SIGINT),
    ];
    if !hangup::is_ignored() {
        order.push((Signal::SIGHUP, Signal::SIGTERM));
    }
    for (first, second) in order {
        let (proxy, hand) = proxy_and_hand(&LONG);
        let (client, upstream) = session(&proxy, &hand);
        talk(&client, &upstream);
        proxy.signal(first);
        wait_until_closed(&proxy);
        talk(&client, &upstream);
        proxy.signal(second);
        ends_with_0(&proxy, PATIENCE);
        client.expect_reset();
        upstream.expect_reset();
    }
}

#[test]
fn e49_a_tiny_drain_limit_ends_at_once() {
    let _test = Test::begin("Do not wait for a limit that has passed.");
    for limit in ["1ms", "0s"] {
        let (proxy, hand) = proxy_and_hand(&["--drain-timeout", limit]);
        let (client, upstream) = session(&proxy, &hand);
        talk(&client, &upstream);
        proxy.signal(Signal::SIGTERM);
        ends_with_0(&proxy, PATIENCE);
        client.expect_reset();
        upstream.expect_reset();
    }
}

#[test]
fn e49_a_terminal_that_closes_lets_sessions_end() {
    let _test = Test::begin("A closed terminal sends SIGHUP, often twice: from kernel and shell.");
    if hangup::is_ignored() {
        return;
    }
    let (proxy, hand) = proxy_and_hand(&LONG);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    proxy.signal(Signal::SIGHUP);
    wait_until_closed(&proxy);
    proxy.signal(Signal::SIGHUP);
    talk(&client, &upstream);
    proxy.signal(Signal::SIGTERM);
    ends_with_0(&proxy, PATIENCE);
    client.expect_reset();
}

#[test]
fn e49_under_nohup_it_outlives_its_terminal() {
    let _test = Test::begin("nohup starts a program with SIGHUP ignored: leave it so.");
    let Some(program) = Program::new(program()).args(LONG).under_nohup() else {
        return;
    };
    let hand = Hand::start();
    let proxy = Proxy::start(&program, hand.addr());
    let (client, upstream) = session(&proxy, &hand);
    proxy.signal(Signal::SIGHUP);
    talk(&client, &upstream);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    assert!(
        !proxy.stderr().contains("draining"),
        "SIGHUP was ignored by nohup, but the proxy drains"
    );
}

#[test]
fn e49_who_came_before_the_signal_is_served() {
    let _test = Test::begin(
        "Closing a listener resets the clients in its accept queue: accept them first.",
    );
    let (proxy, _echo) = proxy_and_echo(&LONG);
    let mut rng = Rng::for_test();
    proxy.stop();
    let crowd: Vec<_> = (0..100)
        .map(|_| (Client::connect(proxy.addr()), rng.nonce(40)))
        .collect();
    for (client, nonce) in &crowd {
        client.send(nonce);
    }
    proxy.signal(Signal::SIGTERM);
    proxy.cont();
    for (client, nonce) in &crowd {
        client.expect(nonce);
        client.half_close();
        client.expect_eof();
    }
    ends_with_0(&proxy, PATIENCE);
}

#[test]
fn e49_who_came_before_the_signal_to_a_full_proxy_is_reset_at_once() {
    let _test = Test::begin(
        "No row is left for the clients in the accept queue: reset them now, so that they can go elsewhere.",
    );
    let arguments = [&LONG[..], &["--max-connections", "1"]].concat();
    let (proxy, hand) = proxy_and_hand(&arguments);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    let waiting = [Client::connect(proxy.addr()), Client::connect(proxy.addr())];
    proxy.wait_for_metric("proxy_accept_pauses_total", 1.0);
    proxy.signal(Signal::SIGTERM);
    waiting.iter().for_each(|client| client.expect_reset());
    talk(&client, &upstream);
    assert_eq!(
        hand.accepts(),
        1,
        "connections that the upstream has accepted"
    );
    client.close();
    upstream.close();
    ends_with_0(&proxy, PATIENCE);
}

#[test]
fn e49_a_download_that_ends_while_draining_ends_the_proxy() {
    let _test = Test::begin("The last session ends the proxy, however it ends.");
    let (proxy, hand) = proxy_and_hand(&LONG);
    let (client, upstream) = session(&proxy, &hand);
    proxy.signal(Signal::SIGTERM);
    wait_until_closed(&proxy);
    let bytes = Rng::for_test().bytes(MIB);
    let sending = upstream.send_in_background(bytes.clone());
    let begun = Instant::now();
    client.half_close();
    client.expect(&bytes);
    sending.join();
    upstream.close();
    let drained = client.drain();
    assert_eq!(
        (drained.digest, drained.end),
        (Digest::of(b""), End::Eof),
        "what comes behind the download: nothing, and a clean end"
    );
    ends_with_0(&proxy, PATIENCE);
    let took = begun.elapsed();
    assert!(
        took < scaled(2 * PATIENCE),
        "it ended {took:?} after its last session began to end"
    );
}
