//! Exercise 2.2: names become addresses, in the order in which they are tried.

use std::io::ErrorKind;
use std::net::SocketAddr;

use crate::support::program;
use harness::{Program, Test, ensure, expect_value, fail};
use stage2_client::{Prefer, Target, order, resolve};

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

#[test]
fn e22_the_preferred_family_comes_first() {
    let _test = Test::begin("A stable sort by family keeps the resolver's order within each.");
    let mixed = [
        "192.0.2.2:1",
        "[2001:db8::2]:1",
        "192.0.2.1:1",
        "[2001:db8::1]:1",
    ];
    let (six, four) = (
        ["[2001:db8::2]:1", "[2001:db8::1]:1"],
        ["192.0.2.2:1", "192.0.2.1:1"],
    );
    for (prefer, expected) in [
        (Prefer::Ipv6, [six, four].concat()),
        (Prefer::Ipv4, [four, six].concat()),
    ] {
        let mut found = addresses(&mixed);
        order(&mut found, prefer);
        expect_value(
            format!("The order of {mixed:?} with {prefer:?} preferred"),
            &addresses(&expected),
            &found,
            "within a family the resolver's order has changed, or the other family comes first.",
        );
    }
}

#[test]
fn e22_an_address_needs_no_lookup() {
    let _test = Test::begin("A target that is an address already is its own answer.");
    for text in ["192.0.2.7:80", "[2001:db8::7]:443"] {
        let target: Target = text.parse().unwrap();
        let found = resolve(&target, Prefer::Ipv4)
            .unwrap_or_else(|error| fail(format!("{text}: {error}.")));
        expect_value(
            format!("What {text} was resolved to"),
            &addresses(&[text]),
            &found,
            "the address was looked up as if it were a name, or its port was lost.",
        );
    }
}

#[test]
fn e22_localhost_is_this_machine() {
    let _test = Test::begin("Ask getaddrinfo(3), and keep the port of the target.");
    let target: Target = "localhost:4711".parse().unwrap();
    for prefer in [Prefer::Ipv6, Prefer::Ipv4] {
        let found = resolve(&target, prefer).unwrap_or_else(|error| fail(format!("{error}.")));
        let is_ours = |address: &SocketAddr| address.ip().is_loopback() && address.port() == 4711;
        ensure(
            !found.is_empty() && found.iter().all(is_ours),
            format!("localhost:4711 is this machine's port 4711, but it became {found:?}."),
        );
        // Many machines have both; where there is one family, no order can be wrong.
        let is_wrong = |address: &SocketAddr| address.is_ipv4() == (prefer == Prefer::Ipv6);
        let wrong = found.iter().filter(|address| is_wrong(address)).count();
        ensure(
            wrong == found.len() || !is_wrong(&found[0]),
            format!(
                "With {prefer:?} preferred, localhost became {found:?}: call order on the addresses of a name, too."
            ),
        );
    }
}

#[test]
fn e22_an_unknown_host_is_one_clear_sentence() {
    let _test =
        Test::begin("The error of resolve names the host; main prints it once and ends with 1.");
    // .invalid never exists (RFC 6761).
    let finished = Program::new(program()).arg("no-such-host.invalid:80").run();
    finished
        .expect_code(1)
        .expect_one_sentence(&["no-such-host.invalid"]);
}

#[test]
fn e22_an_unknown_host_is_not_found() {
    let _test = Test::begin("The kind of the error tells the caller that the host has no address.");
    let target: Target = "no-such-host.invalid:80".parse().unwrap();
    assert_eq!(
        resolve(&target, Prefer::Ipv6).unwrap_err().kind(),
        ErrorKind::NotFound,
        "the kind of the error"
    );
}
