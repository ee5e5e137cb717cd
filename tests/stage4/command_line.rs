//! Exercise 4.9: the command line, and what the program says when it cannot start.

use std::net::TcpListener;
use std::time::Duration;

use harness::{Client, PATIENCE, Program, Scripted, Test, eventually};

use crate::support::{Proxy, echoes, program, proxy_and_echo};

/// Checks that the proxy ends with 1 and one sentence that contains each of `words`.
#[track_caller]
fn cannot_start(arguments: &[&str], words: &[&str]) {
    let finished = Program::new(program()).args(arguments).run();
    finished.expect_code(1).expect_one_sentence(words);
    harness::ensure(
        finished.stdout.is_empty(),
        "Nothing listens, so nothing may be announced.",
    );
}

#[test]
fn e49_help_is_complete() {
    let _test = Test::begin("--help comes from the documentation of the arguments.");
    let finished = Program::new(program()).arg("--help").run();
    let help = String::from_utf8_lossy(&finished.expect_code(0).stdout).into_owned();
    let flags = [
        ("--listen", "127.0.0.1:8080"),
        ("--ingress", "fixed"),
        ("--upstream", "localhost:3000"),
        ("--prefer", "ipv6"),
        ("--threads", "1"),
        ("--max-connections", "default"),
        ("--connect-timeout", "5s"),
        ("--handshake-timeout", "10s"),
        ("--idle-timeout", "off"),
        ("--half-close-timeout", "60s"),
        ("--drain-timeout", "5s"),
        ("--inspect", "ADDR"),
    ];
    for (flag, word) in flags {
        // An entry begins with its flag at the usual place and goes to the next one.
        let entry = help
            .split("\n      --")
            .find(|entry| entry.starts_with(&flag[2..]));
        let entry = entry.unwrap_or_else(|| panic!("{flag} is missing in {help}"));
        assert!(entry.contains(word), "{flag} does not say {word:?}: {help}");
    }
    assert_eq!(finished.stderr, "");
}

#[test]
fn e49_malformed_flags_end_with_2() {
    let _test = Test::begin("clap checks every argument before anything else happens.");
    let wrong: [(&[&str], &str); 18] = [
        (&["--listen"], "--listen"),
        (&["--listen", "nowhere"], "--listen"),
        (&["--listen", "127.0.0.1:99999"], "--listen"),
        (&["--lisen", "127.0.0.1:0"], "--lisen"),
        (&["surplus"], "surplus"),
        (&["--upstream", "localhost"], "--upstream"),
        (&["--upstream", "::1:80"], "--upstream"),
        (&["--upstream", "localhost:http"], "--upstream"),
        (&["--prefer", "ipv5"], "--prefer"),
        (&["--ingress", "carrier-pigeon"], "--ingress"),
        (&["--threads", "0"], "--threads"),
        (&["--threads", "many"], "--threads"),
        (&["--max-connections", "0"], "--max-connections"),
        (&["--connect-timeout", "5"], "--connect-timeout"),
        (&["--connect-timeout", "0s"], "--connect-timeout"),
        (&["--idle-timeout", "never"], "--idle-timeout"),
        (&["--half-close-timeout", "off"], "--half-close-timeout"),
        (&["--inspect", "here"], "--inspect"),
    ];
    for (arguments, word) in wrong {
        let finished = Program::new(program()).args(arguments).run();
        finished.expect_code(2);
        assert_eq!(finished.stdout, b"", "{arguments:?}");
        let first = finished.stderr.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("error: ") && first.contains(word),
            "{arguments:?}: {first}"
        );
    }
}

#[test]
fn e49_a_port_in_use_is_one_clear_sentence() {
    let _test = Test::begin(
        "The error of listen names the address; with SO_REUSEPORT it must not be lost.",
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for threads in ["1", "2"] {
        cannot_start(&["--listen", &address, "--threads", threads], &[&address]);
    }
    let anywhere = ["--listen", "127.0.0.1:0", "--inspect", &address];
    cannot_start(&anywhere, &[&address]);
}

#[test]
fn e49_a_second_proxy_does_not_share_the_port() {
    let _test = Test::begin("SO_REUSEPORT shares with every process of the same user: look first.");
    for threads in ["1", "2"] {
        let (proxy, _echo) = proxy_and_echo(&["--threads", threads]);
        let address = proxy.addr_text();
        for others in ["1", "2"] {
            cannot_start(&["--listen", &address, "--threads", others], &[&address]);
        }
        echoes(&Client::connect(proxy.addr()));
    }
}

#[test]
fn e49_a_foreign_address_is_one_clear_sentence() {
    let _test = Test::begin("bind(2) fails with EADDRNOTAVAIL: say which address it was.");
    // 192.0.2.0/24 is reserved for documentation (RFC 5737); this one is nobody's.
    for threads in ["1", "2"] {
        cannot_start(
            &["--listen", "192.0.2.213:8080", "--threads", threads],
            &["192.0.2.213:8080"],
        );
    }
    let inspect = ["--listen", "127.0.0.1:0", "--inspect", "192.0.2.213:8080"];
    cannot_start(&inspect, &["192.0.2.213:8080"]);
}

#[test]
fn e49_a_port_of_the_system_is_one_clear_sentence() {
    let _test =
        Test::begin("bind(2) fails with EACCES for a port below 1024: say which address it was.");
    // Whoever runs the tests may have the right (as root has), so only a refusal is judged here.
    let process = Program::new(program())
        .args(["--listen", "127.0.0.1:1"])
        .spawn();
    eventually("the program listens or ends", PATIENCE, || {
        !process.stdout().is_empty() || process.wait_by(Duration::ZERO.into()).is_some()
    });
    if process.stdout().is_empty() {
        process
            .finish()
            .expect_code(1)
            .expect_one_sentence(&["127.0.0.1:1"]);
    }
}

#[test]
fn e49_one_line_on_stdout_says_where() {
    let _test =
        Test::begin("Print the real port, once, and flush it; everything else goes to stderr.");
    let (proxy, _echo) = proxy_and_echo(&["--threads", "2"]);
    assert!(proxy.addr().ip().is_loopback() && proxy.addr().port() != 0);
    for _ in 0..5 {
        echoes(&Client::connect(proxy.addr()));
    }
    let expected = format!("listening on {}\n", proxy.addr());
    assert_eq!(proxy.terminate().code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&proxy.stdout()), expected);
}

#[test]
fn e49_the_port_can_be_used_again_at_once() {
    let _test =
        Test::begin("Connections of the last run rest in TIME_WAIT: SO_REUSEADDR before bind.");
    // It closes first, and so does the proxy towards its client: that end rests in TIME_WAIT.
    let source = Scripted::source(b"hello".to_vec());
    let start = |listen: &str, threads: &str| {
        let program = Program::new(program()).args(["--listen", listen, "--threads", threads]);
        let program = program.args(["--upstream", &source.addr_text()]);
        program.serve()
    };
    for threads in ["1", "2"] {
        // An address of its own: on 127.0.0.1 any client of this machine could get the port meanwhile.
        let proxy = start("127.0.0.77:0", threads);
        assert_eq!(Client::connect(proxy.addr()).read_to_end(), b"hello");
        assert_eq!(proxy.terminate().code(), Some(0));
        let again = start(&proxy.addr_text(), threads);
        assert_eq!(again.addr(), proxy.addr());
        assert_eq!(Client::connect(again.addr()).read_to_end(), b"hello");
    }
}

#[test]
fn e49_a_log_that_nobody_reads_stops_nobody() {
    let _test = Test::begin("Writing the log must not wait for its reader.");
    let echo = Scripted::echo();
    let program = Program::new(program()).env("RUST_LOG", "trace");
    let proxy = Proxy::start(&program, echo.addr());
    for _ in 0..20 {
        echoes(&Client::connect(proxy.addr()));
    }
    proxy.wait_for_stderr("finished");
    proxy.expect_alive();
}

#[test]
fn e49_ipv6_is_an_address_like_any_other() {
    let _test = Test::begin("The domain of a socket follows from its address, on both sides.");
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let upstream = Program::new(program()).args(["--listen", "[::1]:0"]);
    let echo = Scripted::echo();
    let upstream = upstream.args(["--upstream", &echo.addr_text()]).serve();
    assert!(upstream.addr().is_ipv6());
    drop(listener);
    let proxy = Proxy::to(upstream.addr());
    echoes(&Client::connect(proxy.addr()));
}
