//! The access rules: `--clients` says where clients may come from.

use std::net::SocketAddr;

use harness::{Client, Connect, PATIENCE, Test, eventually, scaled};

use crate::support::{HALF_A_SECOND, Proxy, connect_and_be_closed, echoes, proxy_and_echo};

/// A second address of this machine.
const OTHER: &str = "127.0.0.2:0";

#[track_caller]
fn connect_from(local: &str, proxy: &Proxy) -> Client {
    let local: SocketAddr = local.parse().expect("an address");
    Connect::new().from(local).to(proxy.addr())
}

#[test]
fn rules_a_client_that_may_not_come_is_reset() {
    let _test =
        Test::begin("Look at the address that accept has told, and reset who may not come.");
    for threads in ["1", "2"] {
        let (proxy, echo) = proxy_and_echo(&["--clients", "127.0.0.2", "--threads", threads]);
        connect_and_be_closed(proxy.addr());
        proxy.wait_for_metric("proxy_refusals_total", 1.0);
        assert_eq!(echo.accepts(), 0, "nothing reaches the upstream");
        echoes(&connect_from(OTHER, &proxy));
        assert_eq!(
            proxy.metrics()["proxy_sessions_total"],
            1.0,
            "proxy_sessions_total"
        );
        assert!(proxy.stderr().contains("--clients"), "the log says why");
    }
}

#[test]
fn rules_clients_may_come_from_every_network_of_the_list() {
    let _test = Test::begin("--clients takes words and networks, in one list or in several.");
    let lists: [&[&str]; 5] = [
        &["--clients", "any"],
        &["--clients", "loopback"],
        &["--clients", "10.0.0.0/8,127.0.0.0/8"],
        &["--clients", "10.0.0.0/8", "--clients", "127.0.0.0/30"],
        &[],
    ];
    for list in lists {
        let (proxy, _echo) = proxy_and_echo(list);
        echoes(&Client::connect(proxy.addr()));
        echoes(&connect_from(OTHER, &proxy));
    }
    for list in ["public", "private", "10.0.0.0/8,127.0.0.4/30,::1"] {
        let (proxy, _echo) = proxy_and_echo(&["--clients", list]);
        connect_and_be_closed(proxy.addr());
    }
}

#[test]
fn rules_clients_that_may_not_come_take_no_place() {
    let _test = Test::begin(
        "A client that may not come takes no row, no upstream, and no log without end.",
    );
    let arguments = ["--clients", "127.0.0.2", "--max-connections", "1"];
    let (proxy, _echo) = proxy_and_echo(&arguments);
    for _ in 0..100 {
        connect_and_be_closed(proxy.addr());
    }
    proxy.wait_for_metric("proxy_refusals_total", 100.0);
    echoes(&connect_from(OTHER, &proxy));
    let warnings = proxy.stderr().matches("127.0.0.1:").count();
    assert!(warnings < 100, "{warnings} lines for 100 clients");
    eventually("it is idle again", scaled(PATIENCE), || {
        proxy.metrics()["proxy_sessions_open"] == 0.0
    });
    harness::proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
}
