//! The command line: help, invalid options, and the error of a program that cannot start.

use std::net::Ipv4Addr;

use harness::command_line::{self, FOREIGN};
use harness::{Client, ClosedPort, Program, Test};

use crate::support::{Mux, Site, ask, get, program};

/// The program with its subcommand.
fn queue() -> Program {
    Program::new(program()).arg("queue")
}

#[test]
fn e53_help_is_complete() {
    let _test = Test::begin("--help comes from the documentation of the arguments.");
    command_line::help(&Program::new(program()), &["queue"]);
    command_line::help_of_flags(
        &queue(),
        &[
            ("--listen", "127.0.0.1:8080"),
            ("--upstream", "localhost:3000"),
            ("--framing", "http1"),
            ("--prefer", "ipv6"),
            ("--max-queue", "1024"),
            ("--max-head", "64KiB"),
            ("--max-body", "1MiB"),
            ("--max-buffered", "1MiB"),
            ("--client-timeout", "30s"),
            ("--upstream-timeout", "60s"),
            ("--connect-timeout", "5s"),
            ("--max-connections", "default"),
            ("--keepalive", "60s"),
            ("--drain-timeout", "5s"),
            ("--inspect", "ADDR"),
        ],
    );
}

#[test]
fn e53_malformed_arguments_end_with_2() {
    let _test = Test::begin("clap checks every option before the program does anything else.");
    command_line::refuses(
        &queue(),
        &[
            (&["--listen", "nowhere"], "--listen"),
            (&["--upstream", "no-port"], "no port"),
            (&["--upstream", "http://h:80"], "HOST:PORT"),
            (&["--listen", "::1:80"], "brackets"),
            (&["--framing", "smoke"], "--framing"),
            (&["--max-body", "0"], "above zero"),
            (&["--max-body", "1 parsec"], "unknown unit"),
            (&["--client-timeout", "0s"], "longer than zero"),
            (&["--keepalive", "10h"], "--keepalive"),
            (&["--max-queue", "0"], "--max-queue"),
            (&["surplus"], "surplus"),
        ],
    );
    command_line::refuses(&Program::new(program()), &[(&["smoke"], "smoke")]);
    let nothing = Program::new(program()).run();
    let stderr = &nothing.expect_code(2).stderr;
    assert!(stderr.contains("Usage"), "{stderr}");
}

#[test]
fn e53_a_time_that_the_clock_cannot_add_ends_with_2() {
    let _test =
        Test::begin("An instant plus centuries overflows: refuse such a time at the start.");
    let flags = [
        "--client-timeout",
        "--upstream-timeout",
        "--connect-timeout",
        "--drain-timeout",
    ];
    for flag in flags {
        let arguments: &[&str] = &[flag, "300000000000years"];
        command_line::refuses(&queue(), &[(arguments, "longer than")]);
    }
}

#[test]
fn e53_an_address_that_cannot_be_had_is_one_clear_sentence() {
    let _test = Test::begin("The error of `listen` names the address; the exit code is 1.");
    let mux = Mux::start(Site::echo().addr(), &[]);
    let taken = mux.addr_text();
    let finished = command_line::cannot_start(&queue(), &["--listen", &taken], &[]);
    let sentence = format!(
        "stage5-mux: cannot listen on {taken}: address already in use (another program listens there)\n"
    );
    assert_eq!(
        finished.stderr, sentence,
        "what is said about an address in use"
    );
    command_line::cannot_start(&queue(), &["--listen", FOREIGN], &[FOREIGN]);
    let anywhere = queue().args(["--listen", "127.0.0.1:0"]);
    command_line::cannot_start(&anywhere, &["--inspect", FOREIGN], &[FOREIGN]);
    command_line::a_port_of_the_system(&queue());
}

#[test]
fn e55_one_line_on_stdout_says_where() {
    let _test =
        Test::begin("Print the real port, once, and flush it; everything else goes to stderr.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    for _ in 0..5 {
        assert_eq!(
            ask(&mux.client(), &get("/")).status(),
            "200",
            "the status of the response to /"
        );
    }
    command_line::announced_once(&mux);
}

#[test]
fn e55_it_serves_on_ipv6() {
    let _test = Test::begin("The queue works on IPv6 as on IPv4.");
    if ClosedPort::ipv6().is_none() {
        return;
    }
    let site = Site::echo();
    let arguments = ["--listen", "[::1]:0", "--upstream", &site.addr_text()];
    let mux = queue().args(arguments).serve();
    assert!(mux.addr().is_ipv6(), "an IPv6 address was asked for");
    let client = Client::connect(mux.addr());
    assert_eq!(
        ask(&client, &get("/v6")).text(),
        "/v6 ",
        "the body of the response to /v6"
    );
}

#[test]
fn e55_names_and_wildcards_are_addresses_to_listen_on() {
    let _test = Test::begin("People write localhost:8080, :8080 and *:8080.");
    let site = Site::echo();
    for listen in ["localhost:0", ":0", "*:0"] {
        let arguments = ["--listen", listen, "--upstream", &site.addr_text()];
        let mux = queue().args(arguments).serve();
        let (ip, port) = (mux.addr().ip(), mux.addr().port());
        let reached = if ip.is_unspecified() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            ip
        };
        assert!(reached.is_loopback(), "{listen}: {ip}");
        let client = Client::connect((reached, port).into());
        assert_eq!(
            ask(&client, &get("/named")).text(),
            "/named ",
            "the body of the response to /named"
        );
    }
}
