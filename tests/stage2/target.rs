//! Exercise 2.1: a target is a host and a port; which ones the command line takes and refuses.

use std::net::IpAddr;

use crate::support::program;
use harness::{Program, Test, command_line};
use stage2_client::{Host, Target};

fn parse(text: &str) -> Option<Target> {
    text.parse().ok()
}

fn named(name: &str, port: u16) -> Option<Target> {
    Some(Target {
        host: Host::Name(name.to_owned()),
        port,
    })
}

fn at(address: &str, port: u16) -> Option<Target> {
    let address: IpAddr = address.parse().ok()?;
    Some(Target {
        host: Host::Address(address),
        port,
    })
}

#[test]
fn e21_a_target_is_a_host_and_a_port() {
    let _test = Test::begin("Split at the last colon; brackets mark an IPv6 address.");
    assert_eq!(parse("localhost:8080"), named("localhost", 8080));
    assert_eq!(parse("a.b-c.example:1"), named("a.b-c.example", 1));
    assert_eq!(parse("127.0.0.1:65535"), at("127.0.0.1", 65535));
    assert_eq!(parse("[::1]:80"), at("::1", 80));
    assert_eq!(parse("[2001:db8::7]:443"), at("2001:db8::7", 443));
    // What is looked up, like a name: only this machine knows which interface eth0 is.
    assert_eq!(parse("[fe80::1%eth0]:80"), named("fe80::1%eth0", 80));
}

#[test]
fn e21_a_target_prints_as_it_is_written() {
    let _test =
        Test::begin("Display is the opposite of FromStr: an IPv6 address needs its brackets.");
    for text in [
        "localhost:8080",
        "127.0.0.1:1",
        "[::1]:80",
        "[2001:db8::7]:443",
    ] {
        assert_eq!(
            parse(text).map(|target| target.to_string()).as_deref(),
            Some(text)
        );
    }
}

#[test]
fn e21_what_is_no_target_is_refused() {
    let _test = Test::begin("Name the missing part: the port, the host, the brackets.");
    let wrong = [
        "",
        "localhost",
        ":80",
        "localhost:",
        "localhost:0x50",
        "localhost:65536",
        "::1:80",
        "[::1]",
        "[::1:80",
    ];
    for text in wrong {
        assert!(
            text.parse::<Target>().is_err(),
            "{text:?} should be refused"
        );
    }
}

#[test]
fn e21_malformed_arguments_end_with_2() {
    let _test =
        Test::begin("clap checks the arguments, Target among them, before anything else happens.");
    command_line::refuses(
        &Program::new(program()),
        &[
            (&["localhost"], "localhost"),
            (&["localhost:99999"], "localhost:99999"),
            (&["::1:80"], "::1:80"),
            (&["localhost:80", "surplus"], "surplus"),
            (&["--prefer", "ipv5", "localhost:80"], "ipv5"),
            (&["--connect-timeout", "soon", "localhost:80"], "soon"),
            (
                &["--conect-timeout", "5s", "localhost:80"],
                "--conect-timeout",
            ),
        ],
    );
}

#[test]
fn e21_help_names_the_flags_and_their_defaults() {
    let _test = Test::begin("--help comes from the documentation of the arguments.");
    let program = Program::new(program());
    command_line::help(&program, &["TARGET", "localhost:8080"]);
    command_line::help_of_flags(
        &program,
        &[
            ("--prefer", "ipv6"),
            ("--prefer", "ipv4"),
            ("--connect-timeout", "5s"),
        ],
    );
}
