//! Exercise 2.2: names become addresses, in the order in which they are tried.

use std::io::ErrorKind;
use std::net::SocketAddr;

use crate::support::program;
use harness::{Program, Test};
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
    let mut found = addresses(&mixed);
    order(&mut found, Prefer::default());
    assert_eq!(
        found,
        addresses(&[
            "[2001:db8::2]:1",
            "[2001:db8::1]:1",
            "192.0.2.2:1",
            "192.0.2.1:1"
        ])
    );
    let mut found = addresses(&mixed);
    order(&mut found, Prefer::Ipv4);
    assert_eq!(
        found,
        addresses(&[
            "192.0.2.2:1",
            "192.0.2.1:1",
            "[2001:db8::2]:1",
            "[2001:db8::1]:1"
        ])
    );
}

#[test]
fn e22_an_address_needs_no_lookup() {
    let _test = Test::begin("A target that is an address already is its own answer.");
    for text in ["192.0.2.7:80", "[2001:db8::7]:443"] {
        let target: Target = text.parse().unwrap();
        assert_eq!(resolve(&target, Prefer::Ipv4).unwrap(), addresses(&[text]));
    }
}

#[test]
fn e22_localhost_is_this_machine() {
    let _test = Test::begin("Ask getaddrinfo(3), and keep the port of the target.");
    let target: Target = "localhost:4711".parse().unwrap();
    let found = resolve(&target, Prefer::Ipv6).unwrap();
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|address| address.ip().is_loopback() && address.port() == 4711),
        "{found:?}"
    );
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
    let target: Target = "no-such-host.invalid:80".parse().unwrap();
    assert_eq!(
        resolve(&target, Prefer::Ipv6).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}
