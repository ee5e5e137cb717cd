//! Exercise 4.9 through the library: which addresses may be dialled for a client that chooses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use harness::inner_addresses::spellings;
use harness::{Rng, Test, ensure};
use stage4_proxy::access::{Access, Denial, Network, Policy, Rule, embedded};

/// The access rules of a proxy whose clients choose; lists as on the command line.
fn choosing(allow: &str, deny: &str) -> Access {
    let rules = |list: &str| -> Vec<Rule> {
        let texts = list.split(',').filter(|text| !text.is_empty());
        texts.map(|text| text.parse().expect("a rule")).collect()
    };
    let policy = Policy::for_choosing(None, &rules(allow), &rules(deny), &[]);
    Access::new(policy.expect("a policy"), Vec::new())
}

/// Checks whether an address may be dialled that a client has asked for as an address, or as `name`.
#[track_caller]
fn judge(access: &Access, name: Option<&str>, address: &str, is_open: bool, because: &str) {
    let checked = access.check(address.parse().expect("an address"), name);
    let must = if is_open { "be dialled" } else { "be refused" };
    let seen = match &checked {
        Ok(()) => "it may be dialled".to_owned(),
        Err(denial) => format!("the verdict is \"{denial}\""),
    };
    ensure(
        checked.is_ok() == is_open,
        format!("{because}, so {address} must {must}, but {seen}."),
    );
}

/// Checks which of some addresses are in a network.
#[track_caller]
fn network_has(network: &str, inside: &[&str], outside: &[&str]) {
    let parsed: Network = network.parse().expect("a network");
    for (addresses, expected) in [(inside, true), (outside, false)] {
        for address in addresses {
            let seen = parsed.contains(address.parse().expect("an address"));
            assert_eq!(seen, expected, "is {address} in {network}?");
        }
    }
}

/// The bits of a random IPv4 address.
fn four_bytes(rng: &mut Rng) -> u32 {
    let bytes = rng.bytes(4).try_into().expect("four bytes");
    u32::from_be_bytes(bytes)
}

#[test]
fn e4_9_a_network_begins_and_ends_where_its_prefix_says() {
    let _test = Test::begin(
        "Two addresses are in one network if their first bits are the same: exclusive or, and a mask.",
    );
    network_has(
        "10.1.0.0/16",
        &["10.1.0.0", "10.1.128.7", "10.1.255.255"],
        &["10.0.255.255", "10.2.0.0", "11.1.0.0"],
    );
    network_has(
        "172.16.0.0/12",
        &["172.16.0.0", "172.31.255.255"],
        &["172.15.255.255", "172.32.0.0"],
    );
    network_has("192.0.2.8/31", &["192.0.2.8", "192.0.2.9"], &["192.0.2.10"]);
    network_has("192.0.2.8", &["192.0.2.8"], &["192.0.2.9", "192.0.2.7"]);
    network_has(
        "2001:db8:4000::/34",
        &["2001:db8:4000::", "2001:db8:7fff:ffff::1"],
        &["2001:db8:3fff::", "2001:db8:8000::"],
    );
    network_has("::1", &["::1"], &["::", "::2"]);
}

#[test]
fn e4_9_a_prefix_of_no_bits_has_every_address() {
    let _test = Test::begin(
        "With /0 all 32 bits would be shifted out, and Rust has no such shift: see u32::checked_shl.",
    );
    network_has(
        "0.0.0.0/0",
        &["0.0.0.0", "127.0.0.1", "255.255.255.255"],
        &[],
    );
    network_has("::/0", &["::", "::1", "ffff::"], &[]);
    network_has("0.0.0.0/1", &["127.255.255.255"], &["128.0.0.0"]);
    network_has("8000::/1", &["ffff::"], &["7fff::"]);
}

#[test]
fn e4_9_an_address_of_the_other_family_is_in_no_network() {
    let _test = Test::begin("The first bits of IPv4 and IPv6 mean different things.");
    // A mapped address is one of IPv6; the IPv4 address in it is judged as well, but not here.
    let mapped = "::ffff:192.0.2.1";
    network_has("0.0.0.0/0", &[], &["::", "::1", "2001:db8::1", mapped]);
    network_has("::/0", &[mapped], &["0.0.0.0", "192.0.2.1"]);
    network_has("2000::/3", &[], &["32.0.0.1", "63.255.255.255"]);
    network_has("32.0.0.0/3", &[], &["2001:db8::1"]);
}

#[test]
fn e4_9_a_network_has_the_addresses_that_begin_with_its_bits() {
    let _test = Test::begin("Written in binary, a prefix is the beginning of a text.");
    let mut rng = Rng::for_test();
    for _ in 0..3000 {
        let (bits, flip, prefix) = (four_bytes(&mut rng), rng.below(32), rng.below(33));
        let [digits, near] = [bits, bits ^ 1 << flip].map(|bits| format!("{bits:032b}"));
        let first = format!("{:0<32}", &digits[..prefix]);
        let [first, near_v4] = [&first, &near].map(|digits| {
            let bits = u32::from_str_radix(digits, 2).expect("32 digits");
            Ipv4Addr::from_bits(bits)
        });
        let network: Network = format!("{first}/{prefix}").parse().unwrap();
        let expected = near.starts_with(&digits[..prefix]);
        let seen = network.contains(near_v4.into());
        assert_eq!(seen, expected, "is {near_v4} in {network}?");
    }
}

#[test]
fn e4_9_deny_wins_whatever_allow_says() {
    let _test = Test::begin("Ask the rules of --deny first: the first that matches is the end.");
    let access = choosing("any,10.1.2.3,10.1.0.0/16", "10.0.0.0/8,example.com");
    let denied = access.check("10.1.2.3:80".parse().unwrap(), None);
    ensure(
        matches!(denied, Err(Denial::Rule(_))),
        format!(
            "10.1.2.3 is in 10.0.0.0/8 of --deny, so the verdict names that rule, not {denied:?}."
        ),
    );
    judge(
        &access,
        None,
        "11.1.2.3:80",
        true,
        "`any` opens every address",
    );
    let name = Some("example.com");
    let because = "--deny forbids the name";
    judge(&access, name, "192.0.2.1:80", false, because);
    let access = choosing("public", "8.8.8.8:53");
    judge(&access, None, "8.8.8.8:53", false, "--deny has 8.8.8.8:53");
    let because = "--deny has another port of this address";
    judge(&access, None, "8.8.8.8:80", true, because);
}

#[test]
fn e4_9_any_rule_of_allow_is_enough() {
    let _test = Test::begin("Each rule of --allow opens what it says; their order has no meaning.");
    for allow in ["10.0.0.0/8,192.0.2.0/24:443", "192.0.2.0/24:443,10.0.0.0/8"] {
        let access = choosing(allow, "");
        let because = format!("--allow has {allow}");
        judge(&access, None, "10.1.2.3:80", true, &because);
        judge(&access, None, "192.0.2.1:443", true, &because);
        judge(&access, None, "192.0.2.1:80", false, &because);
        judge(&access, None, "11.0.0.1:80", false, &because);
    }
}

#[test]
fn e4_9_no_rule_opens_nothing() {
    let _test =
        Test::begin("An address that no rule opens is refused: a list that is silent says no.");
    let access = choosing("private", "");
    let because = "`private` opens no other address";
    for address in ["8.8.8.8:80", "127.0.0.1:80", "[::1]:80", "[2606::1]:80"] {
        judge(&access, None, address, false, because);
    }
    judge(&access, None, "10.0.0.1:80", true, "10.0.0.1 is private");
    judge(&access, None, "[fd00::1]:80", true, "fd00::1 is private");
}

#[test]
fn e4_9_rules_of_one_family_say_nothing_about_the_other() {
    let _test = Test::begin("::/0 is every IPv6 address, and no IPv4 address.");
    let access = choosing("public", "::/0");
    judge(&access, None, "8.8.8.8:80", true, "--deny has IPv6 only");
    let because = "::/0 of --deny has every IPv6 address";
    judge(&access, None, "[2606:4700::1]:80", false, because);
    let access = choosing("0.0.0.0/0", "");
    let because = "0.0.0.0/0 of --allow has no IPv6 address";
    judge(&access, None, "[2606:4700::1]:80", false, because);
}

#[test]
fn e4_9_an_ipv4_address_is_found_in_each_of_its_disguises() {
    let _test = Test::begin("The picture at the top of embedded.rs says where the four bytes are.");
    let table = [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::192.0.2.1", "192.0.2.1"),
        ("::ffff:0:192.0.2.1", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
        ("64:ff9b:1::192.0.2.1", "192.0.2.1"),
        ("2002:c000:201::5", "192.0.2.1"),
        // Teredo: the server, and the client with all bits flipped.
        ("2001:0:c633:6401:0:0:3fff:fdfe", "198.51.100.1,192.0.2.1"),
    ];
    for (address, inside) in table {
        let found = embedded(address.parse().unwrap());
        let texts = found.iter().flatten().map(Ipv4Addr::to_string);
        assert_eq!(texts.collect::<Vec<_>>().join(","), inside, "in {address}");
    }
    // Below 64:ff9b:1::/48 a translator may have a prefix of any length, and all readings count (RFC 8215).
    let readings = embedded("64:ff9b:1:7f00:0:100:808:808".parse().unwrap());
    ensure(
        readings.contains(&Some(Ipv4Addr::LOCALHOST)),
        format!(
            "64:ff9b:1:7f00:0:100:808:808 may be 127.0.0.1 behind a prefix of 48 bits, but only {readings:?} was found. A likely \
             cause: 64:ff9b:1::/48 is read like 64:ff9b::/96, in its last bytes alone."
        ),
    );
    for address in [
        "::",
        "::1",
        "2001:db8::1",
        "fe80::1",
        "2001:1::1",
        "192.0.2.1",
    ] {
        let found = embedded(address.parse().unwrap());
        assert!(found.iter().all(Option::is_none), "{address}: {found:?}");
    }
}

#[test]
fn e4_9_no_disguise_gets_around_a_rule() {
    let _test = Test::begin(
        "The packets of an address with an IPv4 address inside may end up there: judge both.",
    );
    let access = choosing("any", "10.0.0.0/8");
    let mut rng = Rng::for_test();
    for _ in 0..200 {
        let v4 = four_bytes(&mut rng) >> 8 | 10 << 24;
        let bits = u128::from(v4);
        let disguises = [
            0xffff << 32 | bits,
            0xffff << 48 | bits,
            0x64_ff9b << 96 | bits,
            0x2002 << 112 | bits << 80,
            0x2001 << 112 | bits ^ 0xffff_ffff,
        ];
        for disguise in disguises.map(Ipv6Addr::from_bits) {
            let address = SocketAddr::from((disguise, 80)).to_string();
            let because = format!("{} is in 10.0.0.0/8", Ipv4Addr::from_bits(v4));
            judge(&access, None, &address, false, &because);
        }
    }
}

#[test]
fn e4_9_an_address_with_another_inside_is_judged_as_both() {
    let _test = Test::begin("A rule may also forbid the way there, such as a NAT64 gateway.");
    let access = choosing("any", "64:ff9b::/96");
    let because = "64:ff9b::/96 of --deny has it, although 8.8.8.8 is inside";
    judge(&access, None, "[64:ff9b::808:808]:80", false, because);
    let because = "--deny has only the way through the gateway";
    judge(&access, None, "8.8.8.8:80", true, because);
    let access = choosing("64:ff9b::/96", "");
    let because = "no rule opens 8.8.8.8, which is inside";
    judge(&access, None, "[64:ff9b::808:808]:80", false, because);
}

#[test]
fn e4_9_the_address_is_judged_and_not_the_name() {
    let _test = Test::begin(
        "The owner of a name decides which addresses it has: a rule with a name opens public ones only.",
    );
    let access = choosing("public,example.com", "");
    let name = Some("example.com");
    for inner in [
        "127.0.0.1:80",
        "10.0.0.1:80",
        "[::1]:80",
        "169.254.169.254:80",
    ] {
        let because = "example.com may have any address, and this one is not public";
        judge(&access, name, inner, false, because);
    }
    judge(&access, name, "93.184.215.14:80", true, "it is public");
    let only = choosing("example.com", "");
    let because = "a rule has this name";
    judge(&only, name, "93.184.215.14:80", true, because);
    let because = "no rule has another name";
    judge(
        &only,
        Some("example.org"),
        "93.184.215.14:80",
        false,
        because,
    );
    judge(
        &only,
        Some("notexample.com"),
        "93.184.215.14:80",
        false,
        because,
    );
    judge(&only, None, "93.184.215.14:80", false, because);
}

#[test]
fn e4_9_no_spelling_of_an_inner_address_is_public() {
    let _test = Test::begin("A battery of addresses, with what each of them really means.");
    let access = choosing("public", "");
    for spelling in spellings() {
        let address = SocketAddr::new(spelling.means(), 80);
        let checked = access.check(address, Some(spelling.host));
        ensure(
            checked.is_err(),
            format!("{spelling:?} leads inside, and may be dialled."),
        );
    }
}

#[test]
fn e4_9_special_addresses_must_be_named() {
    let _test = Test::begin(
        "169.254.169.254 gives a cloud's credentials to anyone who asks: no word, and no wide network, opens it.",
    );
    let metadata = "169.254.169.254:80";
    for allow in ["any", "0.0.0.0/0", "169.0.0.0/8", "any,private,public"] {
        let because = format!("--allow has only {allow}, which does not name it");
        judge(&choosing(allow, ""), None, metadata, false, &because);
    }
    for allow in ["169.254.0.0/16", "169.254.169.254", "169.254.169.254:80"] {
        let because = format!("--allow has {allow}");
        judge(&choosing(allow, ""), None, metadata, true, &because);
    }
    let because = "port 25 has to be named, because a proxy must not send mail for others";
    judge(&choosing("any", ""), None, "8.8.8.8:25", false, because);
    judge(
        &choosing("any:25", ""),
        None,
        "8.8.8.8:25",
        true,
        "it is named",
    );
}

#[test]
fn e4_9_a_target_of_the_operator_needs_no_rule() {
    let _test = Test::begin("With --upstream the operator has chosen, and no client can.");
    let access = Access::new(Policy::for_fixed(&[]), Vec::new());
    for spelling in spellings() {
        let address = SocketAddr::new(spelling.means(), 25);
        assert_eq!(access.check(address, None), Ok(()), "{spelling:?}");
    }
    let own = SocketAddr::from((IpAddr::V4(Ipv4Addr::LOCALHOST), 80));
    let access = Access::new(Policy::for_fixed(&[]), vec![own]);
    assert_eq!(
        access.check(own, None),
        Err(Denial::OwnListener),
        "the proxy itself, as a target of its operator"
    );
}
