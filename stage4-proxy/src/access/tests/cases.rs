//! What rules open, and what the log says otherwise: a table.

use super::*;

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
            Ok(()) => assert!(
                expected.is_empty(),
                "{case} is allowed, but the log should say {expected:?}"
            ),
            Err(denial) => {
                let said = denial.to_string();
                assert!(
                    !expected.is_empty(),
                    "{case} should be allowed, but is not: {said}"
                );
                assert!(
                    said.contains(expected),
                    "{case}: the log should say {expected:?}, but says: {said}"
                );
            }
        }
    }
}
