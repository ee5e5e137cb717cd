//! Exercise 4.7: too few file descriptors are a reason to wait, never to end or to spin.

use std::thread;

use harness::{Client, Program, Rng, Scripted, Test, command_line, ensure, proc, strace};

use crate::support::{HALF_A_SECOND, Proxy, echoes, program};

/// Starts a proxy with at most `limit` open files in front of an echo.
#[track_caller]
fn with_few(limit: u64, arguments: &[&str]) -> (Proxy, Scripted) {
    let echo = Scripted::echo();
    let program = Program::new(program()).args(arguments).open_files(limit);
    (Proxy::start(&program, echo.addr()), echo)
}

#[test]
fn e47_five_hundred_clients_die_at_once_under_64_descriptors() {
    let _test = Test::begin("Pause accepting when there is no room, and go on when there is.");
    let (proxy, _echo) = with_few(64, &[]);
    echoes(&Client::connect(proxy.addr()));
    proxy.wait_for_rows(0);
    let before = proc::fd_count(proxy.pid());
    let crowd: Vec<_> = (0..500).map(|_| Client::connect(proxy.addr())).collect();
    for (number, client) in crowd.into_iter().enumerate() {
        match number % 3 {
            0 => client.close(),
            1 => client.reset(),
            _ => {
                client.send(b"last words");
                client.reset();
            }
        }
    }
    echoes(&Client::connect(proxy.addr()));
    proxy.wait_for_rows(0);
    proc::fds_return_to(proxy.pid(), before);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
}

#[test]
fn e47_sixty_clients_at_once_under_32_descriptors() {
    let _test = Test::begin(
        "A client without a free row waits in the accept queue; a session that ends makes room.",
    );
    let (proxy, _echo) = with_few(32, &[]);
    let mut rng = Rng::for_test();
    let crowd: Vec<_> = (0..60)
        .map(|_| (Client::connect(proxy.addr()), rng.nonce(30)))
        .collect();
    for (client, nonce) in &crowd {
        client.send(nonce);
    }
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
    for (client, nonce) in crowd {
        client.expect(&nonce);
        client.close();
    }
    proxy.wait_for_rows(0);
    proxy.expect_alive();
}

#[test]
fn e47_a_bound_above_the_descriptors_is_no_promise() {
    let _test = Test::begin("EMFILE from accept or socket: pause, do not spin and do not end.");
    let (proxy, _echo) = with_few(48, &["--max-connections", "1000"]);
    let mut rng = Rng::for_test();
    for _ in 0..3 {
        let crowd: Vec<_> = (0..80)
            .map(|_| (Client::connect(proxy.addr()), rng.nonce(30)))
            .collect();
        for (client, nonce) in &crowd {
            client.send(nonce);
        }
        for (client, nonce) in crowd {
            client.expect(&nonce);
            client.close();
        }
    }
    proxy.wait_for_rows(0);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
}

#[test]
fn e47_descriptors_that_run_out_are_waited_for() {
    let _test =
        Test::begin("EMFILE leaves the client in the accept queue: try again later, do not spin.");
    let echo = Scripted::echo();
    let proxy = Proxy::to(echo.addr());
    let first: Vec<_> = (0..3).map(|_| Client::connect(proxy.addr())).collect();
    first.iter().for_each(echoes);
    proxy.wait_for_rows(3);
    if !proc::limit_files(proxy.pid(), proxy.inspector().rest()) {
        return;
    }
    let mut rng = Rng::for_test();
    let crowd: Vec<_> = (0..20)
        .map(|_| (Client::connect(proxy.addr()), rng.nonce(30)))
        .collect();
    for (client, nonce) in &crowd {
        client.send(nonce);
    }
    proxy.wait_for_stderr("cannot accept");
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
    let warnings = proxy.stderr().matches("cannot accept").count();
    ensure(
        warnings < 3,
        format!(
            "{warnings} warnings in half a second: a state that lasts is told once, and then now and then."
        ),
    );
    first.iter().for_each(echoes);
    assert_eq!(echo.accepts(), 3, "connections that the echo has accepted");
    assert!(proc::limit_files(proxy.pid(), 1000));
    for (client, nonce) in &crowd {
        client.expect(nonce);
    }
    ensure(
        proxy.metrics()["proxy_accept_pauses_total"] >= 1.0,
        "No descriptor was left, but proxy_accept_pauses_total counts no pause: pause_starved counts it.",
    );
}

#[test]
fn e47_bulk_works_under_few_descriptors() {
    let _test = Test::begin(
        "The pipe of a transfer is optional: without a descriptor for it, fall back to copying.",
    );
    let (proxy, _echo) = with_few(40, &[]);
    let bytes = Rng::for_test().bytes(3_000_000);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let client = Client::connect(proxy.addr());
                let sending = client.send_in_background(bytes.clone());
                assert!(
                    client.read_exact(bytes.len()) == bytes,
                    "the client got other bytes than were sent"
                );
                sending.join();
            });
        }
    });
    proxy.wait_for_rows(0);
}

#[test]
fn e47_a_limit_that_may_not_be_raised_stays() {
    let _test = Test::begin("setrlimit(2) may fail with EPERM: go on with the soft limit.");
    let echo = Scripted::echo();
    let program = Program::new(program());
    let Some(program) = strace::inject(&program, "prlimit64", "error=EPERM") else {
        return;
    };
    let proxy = Proxy::start(&program, echo.addr());
    echoes(&Client::connect(proxy.addr()));
    let log = proxy.wait_for_stderr("limit of open files");
    assert!(log.contains("WARN"), "{log}");
}

#[test]
fn e47_without_a_descriptor_for_a_session_it_does_not_start() {
    let _test = Test::begin("Say in one sentence what failed; never listen without ever serving.");
    for limit in [4, 5, 6, 7, 8, 9] {
        let program = Program::new(program()).open_files(limit);
        let arguments = ["--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9"];
        command_line::cannot_start(&program, &arguments, &["cannot", "oo many open files"]);
    }
}
