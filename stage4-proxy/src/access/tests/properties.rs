//! What holds for all addresses and all rules.

use super::*;

use proptest::prelude::*;

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()),
        any_ipv4().prop_map(IpAddr::V4),
    ]
}

/// IPv4 addresses of which most lie in or beside a special block.
fn any_ipv4() -> impl Strategy<Value = Ipv4Addr> {
    let firsts = vec![
        0, 8, 10, 11, 100, 127, 168, 169, 172, 192, 198, 203, 224, 240, 255,
    ];
    let seconds = vec![0, 15, 16, 63, 64, 100, 168, 254, 255];
    let first = prop::sample::select(firsts);
    let second = prop::sample::select(seconds);
    (first, second, any::<[u8; 2]>()).prop_map(|(a, b, [c, d])| Ipv4Addr::new(a, b, c, d))
}

/// All forms in which an IPv6 address leads to one IPv4 address; that of Teredo names a server as well.
fn forms(v4: Ipv4Addr, server: Ipv4Addr) -> [IpAddr; 7] {
    let bits = u128::from(v4.to_bits());
    let server = u128::from(server.to_bits()) << 64;
    [
        0xffff << 32 | bits,
        bits,
        0xffff << 48 | bits,
        0x64_ff9b << 96 | bits,
        0x64_ff9b_0001 << 80 | bits,
        0x2002 << 112 | bits << 80,
        0x2001 << 112 | server | bits ^ 0xffff_ffff,
    ]
    .map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
}

/// The three further layouts of RFC 6052 behind `64:ff9b:1::/48`.
fn layouts(v4: Ipv4Addr) -> [IpAddr; 3] {
    let [a, b, c, d] = v4.octets();
    let prefix = [0, 0x64, 0xff, 0x9b, 0, 1];
    [
        [a, b, 0, c, d, 0, 0],
        [0, a, 0, b, c, d, 0],
        [0, 0, 0, a, b, c, d],
    ]
    .map(|rest| {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&prefix);
        bytes[6..13].copy_from_slice(&rest);
        IpAddr::V6(bytes.into())
    })
}

fn any_words() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(
        vec![
            "public",
            "private",
            "loopback",
            "any",
            "any:25",
            "example.com",
        ],
        1..=6,
    )
}

/// Rules of every kind, about addresses that the other strategies make.
fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
    let network = (any_ip(), 0..=128u8).prop_map(|(address, prefix)| {
        let prefix = prefix.min(if address.is_ipv4() { 32 } else { 128 });
        cut(address, prefix)
    });
    let word = prop::sample::select(vec![
        "public",
        "private",
        "loopback",
        "any",
        "example.com",
        "*.example.com",
    ]);
    let to = prop_oneof![network, word.prop_map(str::to_owned)];
    let port = prop::option::of(prop::sample::select(vec![25, 80, 443]));
    let rule = (to, port).prop_map(|(to, port): (String, Option<u16>)| match port {
        Some(port) if to.contains(':') => format!("[{to}]:{port}"),
        Some(port) => format!("{to}:{port}"),
        None => to,
    });
    prop::collection::vec(rule.prop_map(|rule| rule.parse().unwrap()), 1..5)
}

fn any_name() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![
        None,
        Some("example.com"),
        Some("A.Example.COM."),
        Some("other"),
    ])
}

/// Writes the network of an address, by arithmetic of its own.
fn cut(address: IpAddr, prefix: u8) -> String {
    let keep =
        |bits: u128, width: u32| bits >> (width - u32::from(prefix)) << (width - u32::from(prefix));
    match address {
        IpAddr::V4(_) if prefix == 0 => "0.0.0.0/0".to_owned(),
        IpAddr::V6(_) if prefix == 0 => "::/0".to_owned(),
        IpAddr::V4(address) => {
            let bits = u32::try_from(keep(address.to_bits().into(), 32)).unwrap();
            format!("{}/{prefix}", Ipv4Addr::from_bits(bits))
        }
        IpAddr::V6(address) => {
            format!(
                "{}/{prefix}",
                Ipv6Addr::from_bits(keep(address.to_bits(), 128))
            )
        }
    }
}

/// All bits of an address, one a character, so that a prefix is a prefix.
fn digits(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("4{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("6{:0128b}", address.to_bits()),
    }
}

fn access(allow: &[Rule], deny: &[Rule]) -> Access {
    Access::new(
        Policy::for_choosing(None, allow, deny, &[]).unwrap(),
        Vec::new(),
    )
}

proptest! {
    #[test]
    fn a_network_contains_what_begins_with_its_bits(address in any_ip(), other in any_ip(), flip in 0..128u32, prefix in 0..=128u8) {
        let prefix = prefix.min(if address.is_ipv4() { 32 } else { 128 });
        let network: Network = cut(address, prefix).parse().unwrap();
        // A neighbour that differs in one bit, so that both answers are frequent.
        let near = match address {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() ^ 1 << (flip % 32)).into(),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() ^ 1 << flip)),
        };
        let bits = digits(address)[..=usize::from(prefix)].to_owned();
        prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
        if network.is_ipv6() == address.is_ipv6() {
            for candidate in [address, near, other] {
                prop_assert_eq!(network.contains(candidate), digits(candidate).starts_with(&bits), "whether {} contains {}", network, candidate);
            }
        }
    }

    #[test]
    fn a_network_within_another_has_only_its_addresses(address in any_ip(), shorter in 0..=128u8, longer in 0..=128u8) {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let network = |prefix: u8| cut(address, prefix.min(longest)).parse::<Network>().unwrap();
        let (outer, inner) = (network(shorter.min(longer)), network(shorter.max(longer)));
        prop_assert!(outer.contains_network(&inner));
        prop_assert!(outer.contains(address) && inner.contains(address), "{} and {} contain {}", outer, inner, address);
        prop_assert_eq!(inner.contains_network(&outer), inner == outer);
    }

    #[test]
    fn words_judge_an_embedded_address_as_the_ipv4_address(
        v4 in any_ipv4(), port in prop::sample::select(vec![25, 80]), allow in any_words(), deny in prop::option::of(any_words()), name in any_name()
    ) {
        let access = choosing(&allow, &deny.unwrap_or_default());
        let expected = access.check((v4, port).into(), name);
        // Behind zeros, 0.0.0.0 and 0.0.0.1 are the unspecified address and loopback of IPv6.
        prop_assume!(v4.to_bits() > 1);
        for form in forms(v4, v4) {
            prop_assert_eq!(access.check((form, port).into(), name), expected.clone(), "{} is judged otherwise than {}", form, v4);
        }
    }

    #[test]
    fn no_form_opens_more_than_the_ipv4_address(
        v4 in any_ipv4(), server in any_ipv4(), port in prop::sample::select(vec![25, 80]), allow in any_rules(), deny in any_rules(), name in any_name()
    ) {
        let access = access(&allow, &deny);
        prop_assume!(v4.to_bits() > 1);
        if access.check((v4, port).into(), name).is_err() {
            // No router forwards a packet to 0.0.0.0/8, so these readings count in the usual layout only.
            let layouts = layouts(v4).into_iter().filter(|_| v4.octets()[0] != 0);
            for form in forms(v4, server).into_iter().chain(layouts) {
                prop_assert!(access.check((form, port).into(), name).is_err(), "{} is opened, although {} is not", form, v4);
            }
        }
    }

    #[test]
    fn deny_wins_always(address in any_ip(), port in prop::sample::select(vec![25, 80, 443]), allow in any_rules(), deny in any_rules(), name in any_name()) {
        let address = SocketAddr::new(address, port);
        // A rule alone, as one of --allow, opens at most what it matches.
        let is_denied = deny.iter().any(|rule| access(std::slice::from_ref(rule), &[]).check(address, name).is_ok());
        let checked = access(&allow, &deny).check(address, name);
        prop_assert!(!is_denied || checked.is_err(), "a rule of --deny fits {}, and it is opened", address);
        // Rules of --deny never open anything.
        prop_assert!(checked.is_err() || access(&allow, &[]).check(address, name).is_ok(), "without --deny, {} is closed", address);
    }

    #[test]
    fn rules_of_allow_add_up(address in any_ip(), port in prop::sample::select(vec![25, 80]), one in any_rules(), two in any_rules(), name in any_name()) {
        let opens = |allow: &[Rule]| access(allow, &[]).check((address, port).into(), name).is_ok();
        prop_assume!(embedded(address).iter().all(Option::is_none));
        prop_assert_eq!(
            opens(&[one.clone(), two.clone()].concat()), opens(&one) || opens(&two),
            "both lists of rules together, and either of them, open {}", address
        );
    }

    #[test]
    fn a_name_matches_whatever_its_case_and_dot(name in "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9-]{0,8}){0,3}", label in "[a-z]{1,5}", flips in any::<u64>()) {
        let mixed: String = name.char_indices()
            .map(|(at, letter)| if flips >> (at % 64) & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
            .collect();
        let (exact, below) = (name.parse::<NamePattern>().unwrap(), format!("*.{name}").parse::<NamePattern>().unwrap());
        for asked in [mixed.clone(), format!("{mixed}.")] {
            prop_assert!(exact.matches(&asked) && !below.matches(&asked));
            let longer = format!("{label}.{asked}");
            prop_assert!(below.matches(&longer) && !exact.matches(&longer));
            let glued = format!("{label}{asked}");
            prop_assert!(!below.matches(&glued) && !exact.matches(&glued));
        }
        let two_dots = format!("{mixed}..");
        prop_assert!(!exact.matches(&two_dots));
    }

    #[test]
    fn rules_are_written_so_that_they_can_be_read(rules in any_rules()) {
        for rule in rules {
            prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule));
        }
    }

    #[test]
    fn any_text_is_a_rule_or_an_error(text in "[\\PC]{0,30}|[0-9a-f:./\\[\\]*]{0,30}") {
        if let Ok(rule) = text.parse::<Rule>() {
            prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule));
        }
    }
}
