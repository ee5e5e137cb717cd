//! How rules, networks and clients are written.

use super::*;

#[test]
fn good_rules_are_written_back_in_one_way() {
    let table = [
        ("public", "public"),
        ("private:8080", "private:8080"),
        (" loopback ", "loopback"),
        ("any", "any"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1:80"),
        ("10.1.0.0/16:443", "10.1.0.0/16:443"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:db8::/32:443", "[2001:db8::/32]:443"),
        ("[2001:db8::]/32", "2001:db8::/32"),
        ("[2001:db8::]/32:443", "[2001:db8::/32]:443"),
        ("[2001:db8::/32]:443", "[2001:db8::/32]:443"),
        ("[::1]", "::1"),
        ("[::1]:65535", "[::1]:65535"),
        ("::/0", "::/0"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
        ("::ffff:0:0/95", ""),
        ("example.com:443", "example.com:443"),
        ("Example.COM.", "example.com"),
        ("*.example.org", "*.example.org"),
        ("*.xn--bcher-kva.example:80", "*.xn--bcher-kva.example:80"),
        ("_service.example", "_service.example"),
        ("public.example", "public.example"),
        ("localhost", "localhost"),
    ];
    for (text, expected) in table {
        match text.parse::<Rule>() {
            Ok(rule) => assert_eq!(rule.to_string(), expected, "{text:?}"),
            Err(error) => assert_eq!(expected, "", "{text:?}: {error}"),
        }
    }
}

#[test]
fn bad_rules_are_told_why_and_how_rules_are_written() {
    let table = [
        ("", "\"\" is neither an address nor a host name"),
        (
            "10.0.0.1/8",
            "10.0.0.1/8 has bits behind its prefix: the network is 10.0.0.0/8",
        ),
        (
            "10.0.0.0/33",
            "the prefix length \"33\" is not a number from 0 to 32",
        ),
        ("10.0.0.0/+8", "the prefix length \"+8\""),
        ("10.0.0.0/", "the prefix length \"\""),
        ("10.0.0/8", "\"10.0.0\" is not an IP address"),
        ("example.com/24", "\"example.com\" is not an IP address"),
        (
            "2001:db8::/129",
            "the prefix length \"129\" is not a number from 0 to 128",
        ),
        ("2001:db8::1/32", "the network is 2001:db8::/32"),
        (
            "10.0.0.1:0",
            "the port \"0\" is not a number from 1 to 65535",
        ),
        ("10.0.0.1:65536", "the port \"65536\""),
        ("10.0.0.1:+80", "the port \"+80\""),
        ("public:http", "the port \"http\""),
        ("[::1]:", "the port \"\""),
        ("[::1", "a bracket without the other"),
        ("[::1]443", "a bracket without the other"),
        ("[127.0.0.1]:80", "no IPv6 address in brackets"),
        ("[localhost]:80", "\"localhost\" is not an IP address"),
        ("2001:db8::1:70000", "IPv6 with a port needs brackets"),
        ("::1]:80", "IPv6 with a port needs brackets"),
        ("0177.1", "\"0177.1\" ends in a number"),
        ("2130706433", "ends in a number"),
        ("0x7f.1", "ends in a number"),
        ("host.0x7f", "ends in a number"),
        ("10.0.0.256", "ends in a number"),
        ("*.10", "ends in a number"),
        ("*", "\"*\" is neither"),
        ("*.", "is neither"),
        ("*example.com", "is neither"),
        ("a.*.example.com", "is neither"),
        ("a..example", "is neither"),
        ("b\u{fc}cher.example", "is neither"),
        ("two words", "is neither"),
        ("http://example.com", "is not an IP address"),
        ("!private", "is neither"),
    ];
    for (text, why) in table {
        let said = text.parse::<Rule>().expect_err(text).to_string();
        assert!(said.contains(why), "{text:?}: {said}");
        assert!(said.contains("10.1.0.0/16:443"), "{text:?}: {said}");
    }
}

#[test]
fn names_and_their_labels_have_a_longest_length() {
    let label = |length: usize| "a".repeat(length);
    let name = |last: usize| format!("{0}.{0}.{0}.{1}", label(63), label(last));
    for good in [label(63), name(61)] {
        assert!(good.parse::<NamePattern>().is_ok(), "{good}");
        assert!(
            format!("*.{good}.").parse::<NamePattern>().is_ok(),
            "{good}"
        );
    }
    for bad in [label(64), name(62)] {
        assert!(bad.parse::<NamePattern>().is_err(), "{bad}");
    }
}

#[test]
fn clients_are_words_and_networks_without_ports() {
    for text in [
        "any",
        "loopback",
        " private",
        "public",
        "10.0.0.0/8",
        "2001:db8::/32",
        "::1",
    ] {
        assert!(text.parse::<ClientScope>().is_ok(), "{text}");
    }
    for text in [
        "",
        "example.com",
        "10.0.0.0/8:80",
        "[::1]:80",
        "10.0.0.1/8",
        "everyone",
    ] {
        let said = text.parse::<ClientScope>().expect_err(text).to_string();
        assert!(said.contains("192.168.1.0/24"), "{text:?}: {said}");
    }
}

/// Each row: an address at the edge of a block, and its class by the registries.
const EDGES: &[(&str, &str)] = &[
    ("0.0.0.0", "unspecified"),
    ("0.255.255.255", "unspecified"),
    ("1.0.0.0", "public"),
    ("9.255.255.255", "public"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("11.0.0.0", "public"),
    ("100.63.255.255", "public"),
    ("100.64.0.0", "private"),
    ("100.100.100.200", "metadata"),
    ("100.127.255.255", "private"),
    ("100.128.0.0", "public"),
    ("126.255.255.255", "public"),
    ("127.0.0.0", "loopback"),
    ("127.255.255.255", "loopback"),
    ("128.0.0.0", "public"),
    ("168.63.129.15", "public"),
    ("168.63.129.16", "metadata"),
    ("169.253.255.255", "public"),
    ("169.254.0.0", "link-local"),
    ("169.254.255.255", "link-local"),
    ("169.255.0.0", "public"),
    ("172.15.255.255", "public"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("172.32.0.0", "public"),
    ("192.0.0.0", "reserved"),
    ("192.0.0.9", "public"),
    ("192.0.0.10", "public"),
    ("192.0.0.171", "reserved"),
    ("192.0.0.192", "metadata"),
    ("192.0.1.0", "public"),
    ("192.0.2.255", "reserved"),
    ("192.31.196.1", "public"),
    ("192.52.193.1", "public"),
    ("192.88.99.1", "reserved"),
    ("192.167.255.255", "public"),
    ("192.168.0.0", "private"),
    ("192.168.255.255", "private"),
    ("192.169.0.0", "public"),
    ("192.175.48.1", "public"),
    ("198.17.255.255", "public"),
    ("198.18.0.0", "reserved"),
    ("198.19.255.255", "reserved"),
    ("198.20.0.0", "public"),
    ("198.51.100.7", "reserved"),
    ("203.0.113.7", "reserved"),
    ("223.255.255.255", "public"),
    ("224.0.0.0", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.0", "reserved"),
    ("255.255.255.254", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::2", "reserved"),
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:8.8.8.8", "public"),
    ("64:ff9b::808:808", "reserved"),
    ("100::1", "reserved"),
    ("1fff::", "reserved"),
    ("2000::", "public"),
    ("2001::1", "reserved"),
    ("2001:1::1", "public"),
    ("2001:1::2", "public"),
    ("2001:1::3", "public"),
    ("2001:1::4", "reserved"),
    ("2001:2::1", "reserved"),
    ("2001:3::1", "public"),
    ("2001:4:111::1", "reserved"),
    ("2001:4:112::1", "public"),
    ("2001:10::1", "reserved"),
    ("2001:20::1", "public"),
    ("2001:2f:ffff::1", "public"),
    ("2001:30::1", "public"),
    ("2001:40::1", "reserved"),
    ("2001:1ff::1", "reserved"),
    ("2001:200::1", "public"),
    ("2001:db8::1", "reserved"),
    ("2002::1", "reserved"),
    ("2606:4700::1111", "public"),
    ("3fff:fff::1", "reserved"),
    ("3fff:1000::1", "public"),
    ("4000::", "reserved"),
    ("5f00::1", "reserved"),
    ("fbff::1", "reserved"),
    ("fc00::", "private"),
    ("fd00:ec2::254", "metadata"),
    ("fd00:ec2::253", "private"),
    ("fd20:ce::254", "metadata"),
    ("fdff:ffff::1", "private"),
    ("fe00::1", "reserved"),
    ("fe80::1", "link-local"),
    ("febf::1", "link-local"),
    ("fec0::1", "reserved"),
    ("ff00::", "multicast"),
    ("ff0e::1", "multicast"),
];

#[test]
fn the_classes_at_the_edges_of_their_blocks() {
    for (address, class) in EDGES {
        let said = Class::of(address.parse().unwrap()).to_string();
        assert_eq!(
            said, *class,
            "the class of {address}: is it in the network before or behind, whose prefix ends here?"
        );
    }
}
