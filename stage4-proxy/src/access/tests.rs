//! The rules as a whole: own listeners, and every spelling of an inner address.

use super::*;

use harness::expect_value;
use harness::inner_addresses::{Spelling, spellings};

mod cases;
mod grammar;
mod policies;
mod properties;

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn scopes(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The rules of a proxy whose clients choose, on an address that makes no difference.
fn choosing(allow: &[&str], deny: &[&str]) -> Access {
    let policy = Policy::for_choosing(None, &rules(allow), &rules(deny), &[]);
    Access::new(policy.unwrap(), Vec::new())
}

/// Splits a list as the command line does.
fn list(texts: &str) -> Vec<&str> {
    texts.split(',').filter(|text| !text.is_empty()).collect()
}

#[test]
fn the_own_listener_is_not_dialled_whatever_its_address_looks_like() {
    let table = [
        // listener, address, whether it may be dialled
        ("127.0.0.1:80", "127.0.0.1:80", false),
        ("127.0.0.1:80", "127.0.0.1:81", true),
        ("127.0.0.1:80", "127.0.0.2:80", true),
        ("127.0.0.1:80", "[::1]:80", true),
        ("127.0.0.1:80", "0.0.0.0:80", false),
        ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", false),
        ("127.0.0.2:80", "0.0.0.0:80", true),
        ("0.0.0.0:80", "127.0.0.1:80", false),
        ("0.0.0.0:80", "127.0.0.9:80", false),
        ("0.0.0.0:80", "0.0.0.0:80", false),
        ("0.0.0.0:80", "[::1]:80", true),
        ("0.0.0.0:80", "192.0.2.1:80", true),
        ("[::1]:80", "[::1]:80", false),
        ("[::1]:80", "[::]:80", false),
        ("[::]:80", "[::1]:80", false),
        ("[::]:80", "127.0.0.1:80", true),
    ];
    for (listener, address, allowed) in table {
        let access = Access::new(Policy::for_fixed(&[]), vec![listener.parse().unwrap()]);
        let checked = access.check(address.parse().unwrap(), None);
        let expected = if allowed {
            Ok(())
        } else {
            Err(Denial::OwnListener)
        };
        assert_eq!(checked, expected, "{listener} dials {address}");
    }
}

#[test]
fn the_own_listeners_are_not_dialled_inside_of_another_address_either() {
    let own = ["127.0.0.1:80", "10.0.0.1:90"].map(|own| own.parse().unwrap());
    let policy = Policy::for_choosing(None, &rules(&["any"]), &[], &[]).unwrap();
    let access = Access::new(policy, own.to_vec());
    let dialled = [
        "64:ff9b::7f00:1",
        "2002:a00:1::",
        "::ffff:10.0.0.1",
        "10.0.0.1",
    ];
    for (address, port) in dialled.into_iter().zip([80, 90, 90, 90]) {
        let address = SocketAddr::new(address.parse().unwrap(), port);
        expect_value(
            format!("The verdict on {address}, which leads to a listener of the proxy's own,"),
            &Err(Denial::OwnListener),
            &access.check(address, None),
            "embedded has not found the IPv4 address that is inside.",
        );
        let elsewhere = SocketAddr::new(address.ip(), 443);
        expect_value(
            format!("The verdict on {elsewhere}, with --allow any and no listener at that port,"),
            &Ok(()),
            &access.check(elsewhere, None),
            "a rule of --allow that opens the address is enough.",
        );
    }
}

#[test]
fn a_listener_on_every_address_has_addresses_that_only_the_kernel_knows() {
    let table = [
        // listener, address, whether the kernel has to be asked
        ("0.0.0.0:80", "192.0.2.1:80", true),
        ("0.0.0.0:80", "[::ffff:192.0.2.1]:80", true),
        ("0.0.0.0:80", "192.0.2.1:81", false),
        ("0.0.0.0:80", "[2001:db8::1]:80", false),
        ("192.0.2.1:80", "192.0.2.2:80", false),
        ("[::]:80", "[2001:db8::1]:80", true),
        ("[::]:80", "192.0.2.1:80", false),
    ];
    for (listener, address, expected) in table {
        let (listener, address) = (listener.parse().unwrap(), address.parse().unwrap());
        let access = Access::new(Policy::for_fixed(&[]), vec![listener]);
        assert_eq!(
            access.is_own_if_here(address),
            expected,
            "{listener} {address}"
        );
        let fixed = Access::new(Policy::for_fixed(&[]), Vec::new());
        fixed.add_inspector(listener);
        assert!(!fixed.is_own_if_here(address), "the operator may want it");
        let chosen = choosing(&["any"], &[]);
        chosen.add_inspector(listener);
        assert_eq!(
            chosen.is_own_if_here(address),
            expected,
            "{listener} {address}"
        );
    }
}

#[test]
fn clients_that_choose_do_not_reach_the_inspector() {
    let inspector = "127.0.0.1:9000".parse().unwrap();
    let chosen = choosing(&["any"], &[]);
    let another = chosen.clone();
    assert_eq!(another.check(inspector, None), Ok(()));
    chosen.add_inspector(inspector);
    for address in [
        "127.0.0.1:9000",
        "[::ffff:127.0.0.1]:9000",
        "[2002:7f00:1::]:9000",
    ] {
        expect_value(
            format!("The verdict on {address}, which leads to the inspector,"),
            &Err(Denial::OwnListener),
            &another.check(address.parse().unwrap(), None),
            "embedded has not found the IPv4 address that is inside.",
        );
    }
    let fixed = Access::new(Policy::for_fixed(&[]), Vec::new());
    fixed.add_inspector(inspector);
    assert_eq!(
        fixed.check(inspector, None),
        Ok(()),
        "the operator may want it"
    );
}

#[test]
fn a_target_that_the_operator_has_named_needs_no_rule() {
    let access = Access::new(Policy::for_fixed(&[]), Vec::new());
    for spelling in spellings() {
        let address = SocketAddr::new(spelling.means(), 25);
        assert_eq!(access.check(address, None), Ok(()), "{spelling:?}");
    }
}

#[test]
fn no_spelling_of_an_inner_address_is_public() {
    let public = choosing(&["public"], &[]);
    for spelling in spellings() {
        let address = SocketAddr::new(spelling.means(), 80);
        let checked = public.check(address, Some(spelling.host));
        assert!(
            checked.is_err(),
            "--allow public opens {spelling:?}, which is an inner address: see what embedded finds in {address}"
        );
    }
}

#[test]
fn a_name_rule_opens_no_inner_address_that_the_name_may_have() {
    let access = choosing(&["public", "rebound.example"], &[]);
    for spelling in spellings() {
        let address = SocketAddr::new(spelling.means(), 80);
        assert!(
            access.check(address, Some("rebound.example")).is_err(),
            "--allow rebound.example opens {spelling:?}, but a name opens public addresses only: judge asks rules whether they open"
        );
    }
}

#[test]
fn the_words_leave_special_addresses_closed_in_every_spelling() {
    let access = choosing(&["any", "0.0.0.0/0", "::/0"], &[]);
    let special: Vec<Spelling> = spellings()
        .filter(|spelling| {
            let inner = embedded(spelling.means())
                .into_iter()
                .flatten()
                .map(IpAddr::V4);
            let mut all = inner.chain([spelling.means()]);
            all.any(|address| matches!(Class::of(address), Class::Special(_)))
        })
        .collect();
    assert!(special.len() > 20, "{}", special.len());
    for spelling in special {
        let address = SocketAddr::new(spelling.means(), 80);
        assert!(
            access.check(address, None).is_err(),
            "--allow any and the networks of all addresses open {spelling:?}, but special addresses must be named: judge asks rules \
             whether they open, and embedded finds what is inside of {address}"
        );
    }
}
