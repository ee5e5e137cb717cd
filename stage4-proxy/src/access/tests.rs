//! The rules as a whole: own listeners, the order of the rules, and what each policy opens.

use super::*;

use harness::inner_addresses::{Spelling, spellings};

mod grammar;
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
        assert_eq!(
            access.check(address, None),
            Err(Denial::OwnListener),
            "{address}"
        );
        let elsewhere = SocketAddr::new(address.ip(), 443);
        assert_eq!(access.check(elsewhere, None), Ok(()), "{elsewhere}");
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
        let checked = another.check(address.parse().unwrap(), None);
        assert_eq!(checked, Err(Denial::OwnListener), "{address}");
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

/// Each row: `--allow`, `--deny`, the name that was asked for, the address, and what the log says, or nothing.
const CASES: &[(&str, &str, &str, &str, &str)] = &[
    // Words.
    ("public", "", "", "8.8.8.8:53", ""),
    ("public", "", "", "[2606:4700::1111]:443", ""),
    (
        "public",
        "",
        "",
        "10.0.0.1:80",
        "no rule of --allow opens this private address",
    ),
    ("public", "", "", "127.0.0.1:80", "this loopback address"),
    ("public", "", "", "198.51.100.1:80", "this reserved address"),
    ("private", "", "", "192.168.1.1:80", ""),
    ("private", "", "", "100.64.0.1:80", ""),
    ("private", "", "", "[fd00::1]:80", ""),
    ("private", "", "", "8.8.8.8:80", "this public address"),
    ("loopback", "", "", "[::1]:80", ""),
    ("loopback", "", "", "127.8.8.8:80", ""),
    ("loopback", "", "", "10.0.0.1:80", "this private address"),
    ("any", "", "", "203.0.113.1:80", ""),
    ("any", "", "", "[2001:db8::1]:80", ""),
    ("public:443", "", "", "8.8.8.8:443", ""),
    ("public:443", "", "", "8.8.8.8:80", "this public address"),
    // Networks.
    ("10.1.0.0/16:443", "", "", "10.1.255.255:443", ""),
    (
        "10.1.0.0/16:443",
        "",
        "",
        "10.1.255.255:80",
        "this private address",
    ),
    (
        "10.1.0.0/16:443",
        "",
        "",
        "10.2.0.0:443",
        "this private address",
    ),
    ("[2001:db8::/32]:443", "", "", "[2001:db8:ffff::1]:443", ""),
    (
        "[2001:db8::]/32:443",
        "",
        "",
        "[2001:db9::1]:443",
        "this public address",
    ),
    ("10.0.0.0/8", "", "", "[::ffff:10.0.0.1]:80", ""),
    ("::ffff:10.0.0.0/104", "", "", "10.0.0.1:80", ""),
    // Special addresses are named by themselves or by a network within their range.
    (
        "any",
        "",
        "",
        "169.254.169.254:80",
        "this link-local address is reached only if a rule",
    ),
    (
        "0.0.0.0/0,::/0",
        "",
        "",
        "169.254.169.254:80",
        "this link-local address is reached only",
    ),
    (
        "0.0.0.0/0,::/0",
        "",
        "",
        "[fd00:ec2::254]:80",
        "this metadata address is reached only",
    ),
    (
        "private,fc00::/7",
        "",
        "",
        "[fd00:ec2::254]:80",
        "this metadata address is reached only",
    ),
    ("fd00:ec2::254", "", "", "[fd00:ec2::254]:80", ""),
    ("169.254.0.0/16", "", "", "169.254.169.254:80", ""),
    ("169.254.169.254:80", "", "", "169.254.169.254:80", ""),
    (
        "169.254.169.254:80",
        "",
        "",
        "169.254.169.254:81",
        "this link-local address",
    ),
    ("fe80::/10", "", "", "[fe80::1]:80", ""),
    (
        "any,loopback",
        "",
        "",
        "0.0.0.0:80",
        "this unspecified address is reached only",
    ),
    ("0.0.0.0", "", "", "0.0.0.0:80", ""),
    ("::", "", "", "[::]:80", ""),
    (
        "any",
        "",
        "",
        "224.0.0.1:80",
        "this multicast address is reached only",
    ),
    (
        "any",
        "",
        "",
        "[ff02::1]:80",
        "this multicast address is reached only",
    ),
    (
        "any",
        "",
        "",
        "255.255.255.255:80",
        "this broadcast address is reached only",
    ),
    // Names open public addresses only.
    ("example.com", "", "example.com", "8.8.8.8:80", ""),
    ("example.com", "", "EXAMPLE.com.", "8.8.8.8:80", ""),
    (
        "example.com",
        "",
        "example.com.",
        "127.0.0.1:80",
        "this loopback address",
    ),
    (
        "example.com",
        "",
        "example.com",
        "10.0.0.1:80",
        "this private address",
    ),
    (
        "example.com",
        "",
        "example.com",
        "169.254.169.254:80",
        "this link-local address",
    ),
    (
        "example.com",
        "",
        "example.com",
        "[64:ff9b::808:808]:80",
        "",
    ),
    (
        "example.com",
        "",
        "example.com",
        "[64:ff9b::7f00:1]:80",
        "this loopback address",
    ),
    (
        "example.com",
        "",
        "www.example.com",
        "8.8.8.8:80",
        "this public address",
    ),
    ("example.com", "", "", "8.8.8.8:80", "this public address"),
    (
        "example.com:443",
        "",
        "example.com",
        "8.8.8.8:80",
        "this public address",
    ),
    ("example.com:443", "", "example.com", "8.8.8.8:443", ""),
    ("*.example.org", "", "a.b.Example.ORG", "8.8.8.8:80", ""),
    (
        "*.example.org",
        "",
        "example.org",
        "8.8.8.8:80",
        "this public address",
    ),
    (
        "*.example.org",
        "",
        ".example.org",
        "8.8.8.8:80",
        "this public address",
    ),
    (
        "*.example.org",
        "",
        "badexample.org",
        "8.8.8.8:80",
        "this public address",
    ),
    (
        "example.com,10.0.0.0/8",
        "",
        "example.com",
        "10.0.0.1:80",
        "",
    ),
    // --deny comes first.
    (
        "any",
        "10.0.0.0/8",
        "",
        "10.0.0.1:80",
        "the rule 10.0.0.0/8 of --deny forbids it",
    ),
    (
        "10.0.0.1",
        "private",
        "",
        "10.0.0.1:80",
        "the rule private of --deny",
    ),
    (
        "any",
        "private",
        "",
        "[2002:a00:1::]:80",
        "the rule private of --deny",
    ),
    (
        "any",
        "10.0.0.0/8",
        "",
        "[64:ff9b::a00:1]:80",
        "the rule 10.0.0.0/8 of --deny",
    ),
    (
        "any",
        "64:ff9b::/96",
        "",
        "[64:ff9b::808:808]:80",
        "the rule 64:ff9b::/96 of --deny",
    ),
    ("any", "10.0.0.0/8:22", "", "10.0.0.1:80", ""),
    (
        "any",
        "any:22",
        "",
        "10.0.0.1:22",
        "the rule any:22 of --deny",
    ),
    (
        "public",
        "example.com",
        "Example.Com.",
        "8.8.8.8:80",
        "the rule example.com of --deny",
    ),
    (
        "public",
        "*.example.com",
        "a.example.com",
        "8.8.8.8:80",
        "the rule *.example.com of --deny",
    ),
    ("public", "example.com", "", "8.8.8.8:80", ""),
    (
        "",
        "loopback",
        "",
        "127.0.0.1:80",
        "the rule loopback of --deny",
    ),
    ("", "loopback", "", "10.0.0.1:80", ""),
    // Port 25.
    (
        "any",
        "",
        "",
        "8.8.8.8:25",
        "port 25 is reached only if a rule",
    ),
    ("any:25", "", "", "8.8.8.8:25", ""),
    (
        "public,mail.example.com:25",
        "",
        "mail.example.com",
        "8.8.8.8:25",
        "",
    ),
    (
        "public,mail.example.com:25",
        "",
        "www.example.com",
        "8.8.8.8:25",
        "port 25 is reached only",
    ),
    ("public", "", "", "10.0.0.1:25", "this private address"),
    // An embedded address and the one around it must both be allowed.
    (
        "10.0.0.0/8",
        "",
        "",
        "[64:ff9b::a00:1]:80",
        "this private address",
    ),
    (
        "64:ff9b::/96",
        "",
        "",
        "[64:ff9b::a00:1]:80",
        "this private address",
    ),
    ("64:ff9b::/96,10.0.0.0/8", "", "", "[64:ff9b::a00:1]:80", ""),
    ("private", "", "", "[64:ff9b::a00:1]:80", ""),
    (
        "64:ff9b::/96,public",
        "",
        "",
        "[64:ff9b::a9fe:a9fe]:80",
        "this link-local address",
    ),
    (
        "any",
        "",
        "",
        "[64:ff9b:1:a9fe:a9:fe00::]:80",
        "this link-local address",
    ),
    ("public", "", "", "[64:ff9b:1::808:808]:80", ""),
    ("public", "", "", "[64:ff9b:1:808:8:800::]:80", ""),
    (
        "any",
        "",
        "",
        "[64:ff9b:1::]:80",
        "this unspecified address",
    ),
    // Without --allow, on a loopback address.
    ("", "", "", "8.8.8.8:80", ""),
    ("", "", "", "10.0.0.1:80", ""),
    ("", "", "", "[::1]:80", ""),
    ("", "", "", "169.254.169.254:80", "this link-local address"),
    ("", "", "", "240.0.0.1:80", "this reserved address"),
    ("", "", "", "8.8.8.8:25", "port 25"),
];

#[test]
fn the_table_of_cases() {
    for &(allow, deny, name, address, expected) in CASES {
        let access = choosing(&list(allow), &list(deny));
        let name = Some(name).filter(|name| !name.is_empty());
        let case = format!("--allow {allow} --deny {deny}: {name:?} at {address}");
        match access.check(address.parse().unwrap(), name) {
            Ok(()) => assert_eq!(expected, "", "{case} is allowed"),
            Err(denial) => {
                let said = denial.to_string();
                assert!(!expected.is_empty(), "{case}: {said}");
                assert!(said.contains(expected), "{case}: {said}");
            }
        }
    }
}

#[test]
fn no_spelling_of_an_inner_address_is_public() {
    let public = choosing(&["public"], &[]);
    for spelling in spellings() {
        let address = SocketAddr::new(spelling.means(), 80);
        let checked = public.check(address, Some(spelling.host));
        assert!(checked.is_err(), "{spelling:?}");
    }
}

#[test]
fn a_name_rule_opens_no_inner_address_that_the_name_may_have() {
    let access = choosing(&["public", "rebound.example"], &[]);
    for spelling in spellings() {
        let address = SocketAddr::new(spelling.means(), 80);
        assert!(
            access.check(address, Some("rebound.example")).is_err(),
            "{spelling:?}"
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
        assert!(access.check(address, None).is_err(), "{spelling:?}");
    }
}

#[test]
fn a_choosing_ingress_that_others_can_reach_needs_rules() {
    let open = |listen: &str, allow: &[&str]| {
        let listen = Some(listen.parse().unwrap());
        Policy::for_choosing(listen, &rules(allow), &[], &[]).is_ok()
    };
    for listen in [
        "127.0.0.1:1",
        "127.9.9.9:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ] {
        assert!(open(listen, &[]), "{listen}");
        assert!(open(listen, &["any"]), "{listen}");
    }
    for listen in [
        "0.0.0.0:1",
        "[::]:1",
        "10.0.0.1:1",
        "169.254.1.1:1",
        "8.8.8.8:1",
    ] {
        assert!(!open(listen, &[]), "{listen}");
        assert!(open(listen, &["public"]), "{listen}");
    }
    let listen = "0.0.0.0:1080".parse().unwrap();
    let only_denied = Policy::for_choosing(Some(listen), &[], &rules(&["private"]), &[]);
    let sentence = only_denied.unwrap_err().to_string();
    assert!(
        sentence.contains("0.0.0.0:1080") && sentence.contains("--allow"),
        "{sentence}"
    );
}

#[test]
fn the_clients_of_each_policy() {
    let choosing = |clients: &[&str]| {
        Policy::for_choosing(None, &rules(&["any"]), &[], &scopes(clients)).unwrap()
    };
    let fixed = |clients: &[&str]| Policy::for_fixed(&scopes(clients));
    let table = [
        // policy, client, whether it may come
        (fixed(&[]), "8.8.8.8", true),
        (fixed(&["loopback"]), "127.0.0.9", true),
        (fixed(&["loopback"]), "10.0.0.1", false),
        (fixed(&["loopback", "any"]), "10.0.0.1", true),
        (
            fixed(&["192.168.1.0/24", "2001:db8::/32"]),
            "192.168.1.255",
            true,
        ),
        (
            fixed(&["192.168.1.0/24", "2001:db8::/32"]),
            "::ffff:192.168.1.7",
            true,
        ),
        (
            fixed(&["192.168.1.0/24", "2001:db8::/32"]),
            "2001:db8::7",
            true,
        ),
        (
            fixed(&["192.168.1.0/24", "2001:db8::/32"]),
            "192.168.2.0",
            false,
        ),
        (fixed(&["public"]), "8.8.8.8", true),
        (fixed(&["public"]), "169.254.1.1", false),
        (fixed(&["169.254.0.0/16"]), "169.254.1.1", true),
        (choosing(&[]), "127.0.0.1", true),
        (choosing(&[]), "::1", true),
        (choosing(&[]), "192.168.1.1", true),
        (choosing(&[]), "100.64.0.1", true),
        (choosing(&[]), "fd00::1", true),
        (choosing(&[]), "8.8.8.8", false),
        (choosing(&[]), "fe80::1", false),
        // Sent over the internet, whatever it embeds.
        (choosing(&[]), "2002:a00:1::1", false),
        (choosing(&["any"]), "8.8.8.8", true),
    ];
    for (policy, client, expected) in table {
        let may_come = policy.clients().contains(client.parse().unwrap());
        assert_eq!(may_come, expected, "{client}: {policy:?}");
    }
}
