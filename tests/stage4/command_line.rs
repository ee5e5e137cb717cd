//! Exercise 4.9: the command line, and the messages of a program that cannot start.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use harness::command_line::{self, FOREIGN};
use harness::{Client, ClosedPort, Program, Scripted, Test, ensure};

use crate::support::{Proxy, echoes, program, proxy_and_echo};

/// The program with some number of threads.
fn with_threads(threads: &str) -> Program {
    Program::new(program()).args(["--threads", threads])
}

#[test]
fn e49_help_is_complete() {
    let _test = Test::begin("--help comes from the documentation of the arguments.");
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
        ("--keepalive", "60s"),
        ("--drain-timeout", "5s"),
        ("--inspect", "ADDR"),
    ];
    command_line::help_of_flags(&Program::new(program()), &flags);
}

#[test]
fn e49_malformed_flags_end_with_2() {
    let _test = Test::begin("clap checks every argument before anything else happens.");
    let wrong: [(&[&str], &str); 22] = [
        (&["--listen"], "--listen"),
        (&["--listen", "nowhere"], "--listen"),
        (&["--listen", "127.0.0.1:99999"], "--listen"),
        (&["--listen", "::1:80"], "brackets"),
        (&["--lisen", "127.0.0.1:0"], "--lisen"),
        (&["surplus"], "surplus"),
        (&["--upstream", "localhost"], "--upstream"),
        (&["--upstream", "::1:80"], "--upstream"),
        (&["--upstream", "http://h:80"], "HOST:PORT"),
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
        (&["--keepalive", "0s"], "--keepalive"),
        (&["--keepalive", "10h"], "--keepalive"),
        (&["--inspect", "here"], "--inspect"),
    ];
    command_line::refuses(&Program::new(program()), &wrong);
}

#[test]
fn e49_a_time_that_the_clock_cannot_add_ends_with_2() {
    let _test =
        Test::begin("An instant plus centuries overflows: refuse such a time at the start.");
    let flags = [
        "--connect-timeout",
        "--handshake-timeout",
        "--idle-timeout",
        "--half-close-timeout",
        "--drain-timeout",
    ];
    for flag in flags {
        let arguments: &[&str] = &[flag, "300000000000years"];
        command_line::refuses(&Program::new(program()), &[(arguments, "longer than")]);
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
        let program = with_threads(threads);
        command_line::cannot_start(&program, &["--listen", &address], &[&address]);
    }
    let anywhere = Program::new(program()).args(["--listen", "127.0.0.1:0"]);
    command_line::cannot_start(&anywhere, &["--inspect", &address], &[&address]);
}

#[test]
fn e49_a_second_proxy_does_not_share_the_port() {
    let _test = Test::begin(
        "SO_REUSEPORT shares the port with every process of the same user: check first.",
    );
    for threads in ["1", "2"] {
        let (proxy, _echo) = proxy_and_echo(&["--threads", threads]);
        let address = proxy.addr_text();
        for others in ["1", "2"] {
            let program = with_threads(others);
            command_line::cannot_start(&program, &["--listen", &address], &[&address]);
        }
        echoes(&Client::connect(proxy.addr()));
    }
}

#[test]
fn e49_a_foreign_address_is_one_clear_sentence() {
    let _test = Test::begin("bind(2) fails with EADDRNOTAVAIL: say which address it was.");
    for threads in ["1", "2"] {
        let program = with_threads(threads);
        command_line::cannot_start(&program, &["--listen", FOREIGN], &[FOREIGN]);
    }
    let anywhere = Program::new(program()).args(["--listen", "127.0.0.1:0"]);
    command_line::cannot_start(&anywhere, &["--inspect", FOREIGN], &[FOREIGN]);
}

#[test]
fn e49_a_port_of_the_system_is_one_clear_sentence() {
    let _test =
        Test::begin("bind(2) fails with EACCES for a port below 1024: say which address it was.");
    command_line::a_port_of_the_system(&Program::new(program()));
}

#[test]
fn e49_one_line_on_stdout_says_where() {
    let _test =
        Test::begin("Print the real port, once, and flush it; everything else goes to stderr.");
    let (proxy, _echo) = proxy_and_echo(&["--threads", "2"]);
    ensure(
        proxy.addr().ip().is_loopback() && proxy.addr().port() != 0,
        format!(
            "127.0.0.1:0 was asked for, but the program announces {}: it should be the port that the kernel has chosen.",
            proxy.addr()
        ),
    );
    for _ in 0..5 {
        echoes(&Client::connect(proxy.addr()));
    }
    command_line::announced_once(&proxy);
}

#[test]
fn e49_the_port_can_be_used_again_at_once() {
    let _test =
        Test::begin("Connections of the last run are in TIME_WAIT: SO_REUSEADDR before bind.");
    // It closes first, and so does the proxy towards its client: that end stays in TIME_WAIT.
    let source = Scripted::source(b"hello".to_vec());
    let start = |listen: &str, threads: &str| {
        let program = Program::new(program()).args(["--listen", listen, "--threads", threads]);
        let program = program.args(["--upstream", &source.addr_text()]);
        program.serve()
    };
    for threads in ["1", "2"] {
        // An address of its own: on 127.0.0.1 any client of this machine could get the port meanwhile.
        let proxy = start("127.0.0.77:0", threads);
        Client::connect(proxy.addr()).expect(b"hello");
        assert_eq!(
            proxy.terminate().code(),
            Some(0),
            "the exit code after SIGTERM"
        );
        let again = start(&proxy.addr_text(), threads);
        assert_eq!(again.addr(), proxy.addr(), "the address of the second run");
        Client::connect(again.addr()).expect(b"hello");
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
    if ClosedPort::ipv6().is_none() {
        return;
    }
    let upstream = Program::new(program()).args(["--listen", "[::1]:0"]);
    let echo = Scripted::echo();
    let upstream = upstream.args(["--upstream", &echo.addr_text()]).serve();
    assert!(upstream.addr().is_ipv6(), "an IPv6 address was asked for");
    let proxy = Proxy::to(upstream.addr());
    echoes(&Client::connect(proxy.addr()));
}

#[test]
fn e49_names_and_wildcards_are_addresses_to_listen_on() {
    let _test = Test::begin("People write localhost:8080, :8080 and *:8080.");
    let echo = Scripted::echo();
    for listen in ["localhost:0", ":0", "*:0"] {
        let program =
            Program::new(program()).args(["--listen", listen, "--inspect", "localhost:0"]);
        let proxy = program.args(["--upstream", &echo.addr_text()]).serve();
        let (ip, port) = (proxy.addr().ip(), proxy.addr().port());
        assert!(ip.is_loopback() || ip.is_unspecified(), "{listen}: {ip}");
        let reached = if ip.is_unspecified() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            ip
        };
        echoes(&Client::connect(SocketAddr::new(reached, port)));
    }
}

/// Returns a link-local address of this machine and the name of its interface, if it has one.
fn link_local() -> Option<(Ipv6Addr, String)> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    table.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [address, _, _, "20", _, name] = fields[..] else {
            return None;
        };
        let address = u128::from_str_radix(address, 16).ok()?;
        Some((address.into(), name.to_owned()))
    })
}

#[test]
fn e49_a_link_local_address_has_a_zone() {
    let _test = Test::begin("fe80::1%eth0: the same address exists on each link.");
    let Some((address, zone)) = link_local() else {
        eprintln!("skipped: this machine has no link-local address");
        return;
    };
    let echo = Scripted::echo();
    let listen = format!("[{address}%{zone}]:0");
    let behind = Program::new(program()).args(["--listen", &listen]);
    let behind = behind.args(["--upstream", &echo.addr_text()]).serve();
    let port = behind.addr().port();
    let upstream = format!("[{address}%{zone}]:{port}");
    let proxy = Proxy::to(upstream.as_str());
    echoes(&Client::connect(proxy.addr()));
    let SocketAddr::V6(listens) = behind.addr() else {
        panic!("an IPv6 address");
    };
    let by_number = format!("[{address}%{}]:{port}", listens.scope_id());
    echoes(&Client::connect(Proxy::to(by_number.as_str()).addr()));
    let taken = command_line::cannot_start(&with_threads("1"), &["--listen", &by_number], &[]);
    assert!(taken.stderr.contains("in use"), "{}", taken.stderr);
}
