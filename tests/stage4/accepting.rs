//! Exercise 4.7: accepting, workers, and the bound on sessions (requirement E8).

use std::fs;
use std::time::Duration;

use harness::{Client, Rng, Test, eventually_equal, proc};

use crate::support::{
    HALF_A_SECOND, Proxy, echoes, listeners, proxy_and_echo, proxy_and_hand, session, talk,
};

#[test]
fn e47_two_hundred_connect_at_once() {
    let _test = Test::begin("One event may mean many clients: accept until EAGAIN.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    let mut rng = Rng::for_test();
    proxy.stop();
    let crowd: Vec<_> = (0..200)
        .map(|_| (Client::connect(proxy.addr()), rng.nonce(40)))
        .collect();
    for (client, nonce) in &crowd {
        client.send(nonce);
    }
    proxy.cont();
    for (client, nonce) in &crowd {
        client.expect(nonce);
    }
}

#[test]
fn e47_a_hundred_visits_and_then_rest() {
    let _test = Test::begin(
        "A read of 0 is the end of a direction: a proxy that ignores it spins and leaks.",
    );
    let (proxy, _echo) = proxy_and_echo(&[]);
    echoes(&Client::connect(proxy.addr()));
    proxy.wait_for_rows(0);
    let before = proc::fd_count(proxy.pid());
    for _ in 0..100 {
        Client::connect(proxy.addr()).close();
    }
    proxy.wait_for_rows(0);
    proc::fds_return_to(proxy.pid(), before);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
}

#[test]
fn e47_who_leaves_before_being_accepted_harms_nobody() {
    let _test =
        Test::begin("accept may return a connection that is broken already, or none: go on.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    let other = Client::connect(proxy.addr());
    echoes(&other);
    proxy.stop();
    for number in 0..100 {
        let client = Client::connect(proxy.addr());
        if number % 2 == 0 {
            client.reset()
        } else {
            client.close()
        }
    }
    proxy.cont();
    echoes(&other);
    echoes(&Client::connect(proxy.addr()));
    proxy.wait_for_rows(1);
}

#[test]
fn e47_one_more_than_allowed_waits_in_the_accept_queue() {
    let _test = Test::begin("A full table pauses the listener; a session that ends resumes it.");
    let (proxy, hand) = proxy_and_hand(&["--max-connections", "3"]);
    let mut sessions: Vec<_> = (0..3).map(|_| session(&proxy, &hand)).collect();
    let waiting = Client::connect(proxy.addr());
    waiting.send(b"I can wait");
    waiting.expect_silence(Duration::from_millis(200));
    proxy.wait_for_metric("proxy_accept_pauses_total", 1.0);
    assert_eq!(
        (hand.accepts(), proxy.routes().sessions.len()),
        (3, 3),
        "connections to the upstream and sessions, with three allowed and a fourth client that waits"
    );
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
    for (client, upstream) in &sessions {
        talk(client, upstream);
    }
    let (client, upstream) = sessions.remove(1);
    client.close();
    upstream.expect_eof();
    upstream.close();
    let its_upstream = hand.next();
    its_upstream.expect(b"I can wait");
    talk(&waiting, &its_upstream);
    assert_eq!(
        hand.accepts(),
        4,
        "connections that the upstream has accepted"
    );
}

#[test]
fn e47_a_crowd_in_the_accept_queue_costs_no_memory() {
    let _test = Test::begin(
        "A client in the accept queue costs the proxy nothing; all are served in the end.",
    );
    let (proxy, _echo) = proxy_and_echo(&["--max-connections", "5"]);
    let first: Vec<_> = (0..5).map(|_| Client::connect(proxy.addr())).collect();
    first.iter().for_each(echoes);
    let before = (proc::private_kib(proxy.pid()), proc::fd_count(proxy.pid()));
    let crowd: Vec<_> = (0..300).map(|_| Client::connect(proxy.addr())).collect();
    let nonce = Rng::for_test().nonce(40);
    crowd.iter().for_each(|client| client.send(&nonce));
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
    let after = (proc::private_kib(proxy.pid()), proc::fd_count(proxy.pid()));
    assert!(
        after.0 <= before.0 + 256 && after.1 <= before.1,
        "{before:?}, then {after:?}"
    );
    drop(first);
    for client in crowd {
        client.expect(&nonce);
        client.close();
    }
    proxy.wait_for_rows(0);
}

/// Returns the names of the proxy's threads that begin with `worker-`.
fn workers(proxy: &Proxy) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", proxy.pid()));
    let names = tasks.into_iter().flatten().flatten();
    let names = names.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    let mut names: Vec<_> = names
        .map(|name| name.trim_end().to_owned())
        .filter(|name| name.starts_with("worker-"))
        .collect();
    names.sort();
    names
}

#[test]
fn e47_threads_are_workers_with_a_listener_each() {
    let _test = Test::begin("Each worker has its own poller, listener (SO_REUSEPORT) and table.");
    for count in [1, 3] {
        let threads = count.to_string();
        let (proxy, hand) = proxy_and_hand(&["--threads", &threads]);
        let expected: Vec<_> = (0..count)
            .map(|number| format!("worker-{number}"))
            .collect();
        eventually_equal("workers", &expected, || workers(&proxy));
        assert_eq!(listeners(proxy.addr()), count, "listeners");
        let sessions: Vec<_> = (0..40).map(|_| session(&proxy, &hand)).collect();
        for (client, upstream) in &sessions {
            talk(client, upstream);
        }
        proxy.wait_for_rows(40);
        assert_eq!(
            proxy.metrics()["proxy_sessions_total"],
            40.0,
            "proxy_sessions_total"
        );
    }
}

#[test]
fn e47_all_workers_together_keep_the_bound() {
    let _test = Test::begin("--max-connections is the bound of all workers together.");
    let (proxy, hand) = proxy_and_hand(&["--threads", "2", "--max-connections", "4"]);
    let crowd: Vec<_> = (0..40).map(|_| Client::connect(proxy.addr())).collect();
    hand.wait_for_accepts(4);
    crowd[39].expect_silence(Duration::from_millis(200));
    assert_eq!(
        hand.accepts(),
        4,
        "connections that the upstream has accepted"
    );
    assert_eq!(proxy.routes().sessions.len(), 4, "rows of the route table");
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
}

#[test]
fn e47_a_free_place_is_for_any_worker() {
    let _test = Test::begin("A client waits only while all workers together are full.");
    let (proxy, hand) = proxy_and_hand(&["--threads", "4", "--max-connections", "8"]);
    // The kernel spreads clients by a hash, so that hardly ever each worker gets two.
    let sessions: Vec<_> = (0..8).map(|_| session(&proxy, &hand)).collect();
    for (client, upstream) in &sessions {
        talk(client, upstream);
    }
    let waiting: Vec<_> = (0..8).map(|_| Client::connect(proxy.addr())).collect();
    waiting.iter().for_each(|client| client.send(b"I can wait"));
    waiting[7].expect_silence(Duration::from_millis(200));
    assert_eq!(
        hand.accepts(),
        8,
        "connections that the upstream has accepted"
    );
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
    let mut served = Vec::new();
    for (client, upstream) in sessions {
        client.close();
        upstream.expect_eof();
        upstream.close();
        // Its place was in one worker, and the client that waits may be in another one's accept queue.
        let its_upstream = hand.next();
        its_upstream.expect(b"I can wait");
        served.push(its_upstream);
        assert_eq!(
            hand.accepts(),
            8 + served.len(),
            "connections that the upstream has accepted"
        );
    }
    proxy.wait_for_rows(8);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
}
