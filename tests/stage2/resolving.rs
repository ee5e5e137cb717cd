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

/// Set for the run of a test with its own hosts.
const INSIDE: &str = "STAGE2_OWN_HOSTS";

/// Starts `$0` as root of a mount namespace of its own; a shell does it, so that a machine without unshare(1) is told apart.
const OUTSIDE: &str = "exec unshare --user --map-root-user --mount sh -c \"$0\" sh \"$@\"";
/// Puts `$1` in the place of /etc/hosts, and becomes the command behind it.
const PREPARE: &str =
    "file=$(mktemp) && printf %s \"$1\" > \"$file\" && mount --bind \"$file\" /etc/hosts &&
rm \"$file\" && shift && exec \"$@\"";

/// Runs a test once more, in a mount namespace (`mount_namespaces(7)`) whose `hosts(5)` has these lines, and `body` there.
#[track_caller]
fn with_hosts(name: &str, hosts: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let inside = |command: &[&str]| {
        let program = Program::new("/bin/sh").args(["-c", OUTSIDE, PREPARE, hosts]);
        program.args(command).env(INSIDE, "1").run()
    };
    let probe = inside(&["true"]);
    if !probe.status.success() {
        return eprintln!("skipped: no mount namespace here: {}", probe.stderr);
    }
    let tests = std::env::current_exe().unwrap_or_else(|error| fail(error.to_string()));
    let end = inside(&[&tests.to_string_lossy(), "--exact", name, "--nocapture"]);
    let told = String::from_utf8_lossy(&end.stdout);
    ensure(end.status.success(), format!("{told}{}", end.stderr));
}

#[test]
fn e22_a_name_keeps_all_its_addresses() {
    let _test = Test::begin(
        "A preference is an order, and no filter: behind the preferred family comes the other one.",
    );
    let hosts = "127.0.0.3 both.example\n127.0.0.2 both.example\n::1 both.example\n";
    with_hosts(
        "resolving::e22_a_name_keeps_all_its_addresses",
        hosts,
        || {
            let target: Target = "both.example:4711".parse().unwrap();
            for prefer in [Prefer::Ipv6, Prefer::Ipv4] {
                let mut found =
                    resolve(&target, prefer).unwrap_or_else(|error| fail(format!("{error}.")));
                found.sort();
                expect_value(
                    format!(
                        "The addresses of a name that has three, with {prefer:?} preferred, sorted,"
                    ),
                    &addresses(&["127.0.0.2:4711", "127.0.0.3:4711", "[::1]:4711"]),
                    &found,
                    "only the first address is kept, or only those of the preferred family: a server may listen at another one.",
                );
            }
        },
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
}

#[test]
fn e22_an_unknown_host_is_not_found() {
    let _test = Test::begin("The kind of the error tells the caller that the host has no address.");
    let target: Target = "no-such-host.invalid:80".parse().unwrap();
    expect_value(
        "The kind of the error of an unknown host",
        &Err(ErrorKind::NotFound),
        &resolve(&target, Prefer::Ipv6).map_err(|error| error.kind()),
        "getaddrinfo(3) has a kind of its own for it: use not_found.",
    );
}
