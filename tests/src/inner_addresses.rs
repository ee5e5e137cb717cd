//! Inner addresses in the spellings by which rules of a proxy are got around.
//!
//! A client may name its target as an address or as a name, and the proxy's resolver takes more for an address than a parser
//! does: `inet_aton(3)` reads octal and hexadecimal numbers, and fewer than four of them. A rule about 127.0.0.1 has to hold for
//! all of these.

use std::net::IpAddr;

/// One way to write the address of a machine that the internet must not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// The host as a client writes it: an address without brackets, or a name.
    pub host: &'static str,
    means: &'static str,
}

impl Spelling {
    /// Returns the address that a resolver makes of it.
    ///
    /// # Panics
    ///
    /// Panics if the table is wrong.
    #[must_use]
    pub fn means(&self) -> IpAddr {
        let means = self.means.parse();
        means.unwrap_or_else(|_| panic!("{} is no address", self.means))
    }

    /// Returns whether a resolver gives this answer without asking a name server.
    ///
    /// The others are names, or have a dot at the end, which `inet_aton(3)` does not take.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        let is_number = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
        self.host.contains(':') || self.host.split('.').all(is_number)
    }

    /// Returns the target at a port, as a URL and a CONNECT request write it: IPv6 in brackets.
    #[must_use]
    pub fn at(&self, port: u16) -> String {
        if self.host.contains(':') {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }
}

/// Returns all spellings; a proxy that allows public addresses only must refuse each of them.
pub fn spellings() -> impl Iterator<Item = Spelling> {
    let groups: [&[(&str, &str)]; 6] = [LOOPBACK, PRIVATE, SPECIAL, IPV6, EMBEDDED, NAMES];
    let all = groups.into_iter().flatten();
    all.map(|&(host, means)| Spelling { host, means })
}

const LOOPBACK: &[(&str, &str)] = &[
    ("127.0.0.1", "127.0.0.1"),
    ("127.1", "127.0.0.1"),
    ("127.0.1", "127.0.0.1"),
    ("127.0x1", "127.0.0.1"),
    ("0177.1", "127.0.0.1"),
    ("0177.0.0.1", "127.0.0.1"),
    ("0177.00.00.01", "127.0.0.1"),
    ("0x7f.1", "127.0.0.1"),
    ("0x7f.0.0.1", "127.0.0.1"),
    ("0x7f.0x0.0x0.0x1", "127.0.0.1"),
    ("0x7f000001", "127.0.0.1"),
    ("0X7F000001", "127.0.0.1"),
    ("017700000001", "127.0.0.1"),
    ("2130706433", "127.0.0.1"),
    ("127.0.0.2", "127.0.0.2"),
    ("127.65535", "127.0.255.255"),
    ("127.255.255.254", "127.255.255.254"),
];

const PRIVATE: &[(&str, &str)] = &[
    ("10.0.0.1", "10.0.0.1"),
    ("10.1", "10.0.0.1"),
    ("012.1", "10.0.0.1"),
    ("0xa.1", "10.0.0.1"),
    ("167772161", "10.0.0.1"),
    ("192.168.1.1", "192.168.1.1"),
    ("192.168.257", "192.168.1.1"),
    ("0300.0250.1.1", "192.168.1.1"),
    ("0xc0a80101", "192.168.1.1"),
    ("3232235777", "192.168.1.1"),
    ("172.16.0.1", "172.16.0.1"),
    ("172.31.255.254", "172.31.255.254"),
    ("0254.020.0.1", "172.16.0.1"),
    ("2886729729", "172.16.0.1"),
    ("100.64.0.1", "100.64.0.1"),
    ("100.127.255.254", "100.127.255.254"),
];

const SPECIAL: &[(&str, &str)] = &[
    ("0", "0.0.0.0"),
    ("0x0", "0.0.0.0"),
    ("0.0.0.0", "0.0.0.0"),
    ("00000000", "0.0.0.0"),
    ("0.0.0.1", "0.0.0.1"),
    ("169.254.169.254", "169.254.169.254"),
    ("169.254.43518", "169.254.169.254"),
    ("169.16689662", "169.254.169.254"),
    ("2852039166", "169.254.169.254"),
    ("0xa9fea9fe", "169.254.169.254"),
    ("0xa9.0xfe.0xa9.0xfe", "169.254.169.254"),
    ("0251.0376.0251.0376", "169.254.169.254"),
    ("0251.254.169.254", "169.254.169.254"),
    ("224.0.0.1", "224.0.0.1"),
    ("239.255.255.250", "239.255.255.250"),
    ("255.255.255.255", "255.255.255.255"),
    ("4294967295", "255.255.255.255"),
    ("0xffffffff", "255.255.255.255"),
];

const IPV6: &[(&str, &str)] = &[
    ("::1", "::1"),
    ("0:0:0:0:0:0:0:1", "::1"),
    ("0000:0000:0000:0000:0000:0000:0000:0001", "::1"),
    ("::0.0.0.1", "::1"),
    ("::", "::"),
    ("::0", "::"),
    ("fe80::1", "fe80::1"),
    ("FEBF::1", "febf::1"),
    ("fc00::1", "fc00::1"),
    ("fd12:3456:789a::1", "fd12:3456:789a::1"),
    ("fd00:ec2::254", "fd00:ec2::254"),
    ("FD00:0EC2:0::0254", "fd00:ec2::254"),
    ("fec0::1", "fec0::1"),
    ("ff02::1", "ff02::1"),
    ("ff05::2", "ff05::2"),
];

const EMBEDDED: &[(&str, &str)] = &[
    ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
    ("::ffff:7f00:1", "::ffff:127.0.0.1"),
    ("::FFFF:7F00:0001", "::ffff:127.0.0.1"),
    ("0:0:0:0:0:ffff:127.0.0.1", "::ffff:127.0.0.1"),
    ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
    ("::ffff:a9fe:a9fe", "::ffff:169.254.169.254"),
    ("::ffff:0.0.0.0", "::ffff:0.0.0.0"),
    ("::127.0.0.1", "::7f00:1"),
    ("::a9fe:a9fe", "::a9fe:a9fe"),
    ("::ffff:0:127.0.0.1", "::ffff:0:7f00:1"),
    ("64:ff9b::127.0.0.1", "64:ff9b::7f00:1"),
    ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe"),
    ("64:ff9b::10.0.0.1", "64:ff9b::a00:1"),
    ("0064:FF9B:0:0:0:0:7F00:1", "64:ff9b::7f00:1"),
    ("64:ff9b:1::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe"),
    ("64:ff9b:1:7f00:0:100::", "64:ff9b:1:7f00:0:100::"),
    ("64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9fe:a9:fe00::"),
    ("2002:7f00:1::", "2002:7f00:1::"),
    ("2002:a9fe:a9fe::1", "2002:a9fe:a9fe::1"),
    ("2002:c0a8:101::1", "2002:c0a8:101::1"),
    (
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ),
    ("2001:0:4136:e378::5601:5601", "2001:0:4136:e378::5601:5601"),
    ("2001:0:7f00:1::f7f7:f7f7", "2001:0:7f00:1::f7f7:f7f7"),
];

const NAMES: &[(&str, &str)] = &[
    ("localhost", "127.0.0.1"),
    ("LOCALHOST", "::1"),
    ("localhost.", "127.0.0.1"),
    ("LocalHost.", "::1"),
    ("127.0.0.1.", "127.0.0.1"),
    ("0177.1.", "127.0.0.1"),
    ("2130706433.", "127.0.0.1"),
    ("ip6-localhost", "::1"),
    ("printer.localhost", "127.0.0.1"),
];

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::ToSocketAddrs;

    #[test]
    fn the_resolver_makes_of_each_number_what_the_table_says() {
        let numeric = spellings().filter(Spelling::is_numeric);
        for spelling in numeric {
            let found: Vec<_> = (spelling.host, 80)
                .to_socket_addrs()
                .map(|found| found.map(|address| address.ip()).collect())
                .unwrap_or_else(|error| panic!("{}: {error}", spelling.host));
            assert_eq!(found, [spelling.means()], "{}", spelling.host);
        }
    }

    #[test]
    fn the_table_has_at_least_sixty_different_spellings() {
        let mut hosts: Vec<_> = spellings().map(|spelling| spelling.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        assert_eq!(hosts.len(), spellings().count());
        assert!(hosts.len() >= 60, "{}", hosts.len());
        assert!(spellings().all(|spelling| spelling.at(80).ends_with(":80")));
    }
}
