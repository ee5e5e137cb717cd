//! Exercise 2.1: a target is a host and a port; which ones the command line takes and refuses.

use std::mem::discriminant;
use std::net::IpAddr;

use crate::support::program;
use harness::{Program, Test, command_line, expect_value, fail};
use stage2_client::{Host, Target, TargetError};

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
    let table = [
        ("localhost:8080", named("localhost", 8080)),
        ("a.b-c.example:1", named("a.b-c.example", 1)),
        ("127.0.0.1:65535", at("127.0.0.1", 65535)),
        // Digits only, and a number up to 65535: no rule forbids zeros in front.
        ("localhost:000080", named("localhost", 80)),
        ("[::1]:80", at("::1", 80)),
        ("[2001:db8::7]:443", at("2001:db8::7", 443)),
        // It is looked up, like a name: only this machine knows which interface eth0 is.
        ("[fe80::1%eth0]:80", named("fe80::1%eth0", 80)),
    ];
    for (text, expected) in table {
        expect_value(
            format!("The target {text:?}"),
            &expected,
            &parse(text),
            "it is split at the first colon, or the brackets are left in the address, or the digits of the port are counted (None: it was refused).",
        );
    }
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
        let seen = parse(text).map(|target| target.to_string());
        let cause = "the brackets are missing (None: the text was refused).";
        expect_value(
            format!("The text of the target {text:?}"),
            &Some(text.to_owned()),
            &seen,
            cause,
        );
    }
}

/// A kind of reason why a text is no target.
type Reason = fn(String) -> TargetError;

/// Texts that are no target, and the kind of the reason.
const REFUSED: [(&str, Reason); 20] = [
    ("", TargetError::MissingPort),
    ("localhost", TargetError::MissingPort),
    ("[::1]", TargetError::MissingPort),
    (":80", TargetError::MissingHost),
    ("localhost:", TargetError::BadPort),
    ("localhost:0", TargetError::BadPort),
    ("localhost:+80", TargetError::BadPort),
    ("localhost:-1", TargetError::BadPort),
    ("localhost:0x50", TargetError::BadPort),
    ("localhost:65536", TargetError::BadPort),
    ("::1:80", TargetError::MissingBrackets),
    ("http://localhost:80", TargetError::MissingBrackets),
    ("one:two:80", TargetError::MissingBrackets),
    ("[::1:80", TargetError::BadAddress),
    ("[::g]:80", TargetError::BadAddress),
    ("[127.0.0.1]:80", TargetError::BadAddress),
    ("[localhost]:80", TargetError::BadAddress),
    ("local host:80", TargetError::BadName),
    ("local/host:80", TargetError::BadName),
    ("ada@localhost:80", TargetError::BadName),
];

#[test]
fn e21_what_is_no_target_is_refused() {
    let _test = Test::begin("Name the missing part: the port, the host, the brackets.");
    for (text, expected) in REFUSED {
        let why = match text.parse::<Target>() {
            Ok(target) => fail(format!("{text:?} should be refused and became {target:?}.")),
            Err(why) => why,
        };
        let wanted = expected(String::new());
        harness::ensure(
            discriminant(&why) == discriminant(&wanted),
            format!(
                "{text:?} is refused for another reason.\n  expected  {}\n  seen      {why:?}\n\
                 Look for the missing part first (port, host, brackets), then parse the parts.",
                // What the reason quotes is not compared.
                format!("{wanted:?}").replace("\"\"", "_")
            ),
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
            (&["[127.0.0.1]:80"], "[127.0.0.1]"),
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
fn e21_the_error_of_a_target_quotes_the_whole_host() {
    let _test = Test::begin("The sentence has the whole host in its quotes, brackets too.");
    command_line::refuses(
        &Program::new(program()),
        &[(&["[127.0.0.1]:80"], "\"[127.0.0.1]\"")],
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
