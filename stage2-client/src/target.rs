//! Target: the host and port of a connection, parsed from the command line.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host and a port, written `name:port`, `192.0.2.1:port`, `[2001:db8::1]:port` or `[fe80::1%eth0]:port`.
///
/// ```
/// use stage2_client::{Host, Target};
///
/// let target: Target = "localhost:8080".parse().unwrap();
/// assert_eq!(target.host, Host::Name("localhost".to_owned()));
/// assert_eq!(target.to_string(), "localhost:8080");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The machine.
    pub host: Host,
    /// The port on it, 1 to 65535.
    pub port: u16,
}

/// A machine, by its name or by its address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name that must be looked up first, or an IPv6 address with a zone, such as `fe80::1%eth0`.
    Name(String),
    /// An address that can be used as it is.
    Address(IpAddr),
}

/// Why a text is not a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is no colon with a port behind it.
    #[error("the target {0:?} has no port: write HOST:PORT, for example localhost:8080")]
    MissingPort(String),
    /// The part behind the last colon is not a number from 1 to 65535.
    #[error("the port {0:?} is not a number from 1 to 65535{hint}", hint = url_hint(.0))]
    BadPort(String),
    /// There is nothing before the port.
    #[error("the target {0:?} has no host: write HOST:PORT, for example localhost:8080")]
    MissingHost(String),
    /// More than one colon, and no brackets to tell address and port apart.
    #[error("{}", too_many_colons(.0))]
    MissingBrackets(String),
    /// The text in the brackets is not an IPv6 address.
    #[error("{0:?} is not an IPv6 address")]
    BadAddress(String),
    /// The name has a character that no host name has, or more than 253 of them.
    #[error("{0:?} is not a host name{hint}", hint = url_hint(.0))]
    BadName(String),
}

impl Target {
    /// Returns the target as a Host field names it (RFC 9110 section 7.2): without a zone, which means
    /// nothing on another machine (RFC 6874 section 1).
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.host {
            Host::Name(name) => match name.split_once('%') {
                Some((address, _)) => format!("[{address}]:{}", self.port),
                None => self.to_string(),
            },
            Host::Address(_) => self.to_string(),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    /// Parses a target; the port comes after the last colon.
    ///
    /// # Errors
    /// Fails with a [`TargetError`] that names the wrong part of the text and how to write it.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let missing_port = || TargetError::MissingPort(text.to_owned());
        if text.ends_with(']') {
            return Err(missing_port());
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(missing_port)?;
        if host.is_empty() {
            return Err(TargetError::MissingHost(text.to_owned()));
        }
        if host.contains(':') && !host.starts_with('[') {
            return Err(TargetError::MissingBrackets(text.to_owned()));
        }
        Ok(Self {
            host: parse_host(host)?,
            port: parse_port(port)?,
        })
    }
}

impl fmt::Display for Target {
    /// Writes the target so that parsing it gives the same target again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) if name.contains(':') => write!(formatter, "[{name}]:{}", self.port),
            Host::Name(name) => write!(formatter, "{name}:{}", self.port),
            Host::Address(IpAddr::V4(address)) => write!(formatter, "{address}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]:{}", self.port),
        }
    }
}

/// Parses a port: digits only, and a number from 1 to 65535.
///
/// # Errors
/// Fails with [`TargetError::BadPort`], which holds the text.
fn parse_port(text: &str) -> Result<u16, TargetError> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        // u16 would also take "+80", and nothing listens on port 0.
        Ok(port) if port != 0 && digits_only => Ok(port),
        _ => Err(TargetError::BadPort(text.to_owned())),
    }
}

impl FromStr for Host {
    type Err = TargetError;

    /// Parses a host: an IPv6 address in brackets, an IPv4 address, or a name.
    ///
    /// # Errors
    /// Fails if the text in the brackets is no address, or if the name is none.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        parse_host(text)
    }
}

/// Parses a host: an IPv6 address in brackets ([`ipv6_host`]), an IPv4 address, or a name ([`is_name`]).
///
/// # Errors
/// Fails with [`TargetError::BadAddress`] if the text begins with a bracket, and with [`TargetError::BadName`] otherwise.
/// Both hold the whole text, brackets too.
fn parse_host(text: &str) -> Result<Host, TargetError> {
    if let Some(inside) = text.strip_prefix('[') {
        let host = inside.strip_suffix(']').and_then(ipv6_host);
        return host.ok_or_else(|| TargetError::BadAddress(text.to_owned()));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Host::Address(address));
    }
    if is_name(text) {
        Ok(Host::Name(text.to_owned()))
    } else {
        Err(TargetError::BadName(text.to_owned()))
    }
}

/// The longest name of an interface (`IFNAMSIZ` without its zero, `netdevice(7)`).
const MAX_ZONE: usize = 15;

/// Reads what is between the brackets: an IPv6 address, perhaps with a zone, such as `fe80::1%eth0` or
/// `fe80::1%2` (RFC 4007 section 11).
///
/// A link-local address names a machine on each link, and the zone names the link. Only this machine
/// knows the number of its interface, so such an address is looked up like a name (`getaddrinfo(3)`).
fn ipv6_host(text: &str) -> Option<Host> {
    let Some((address, zone)) = text.split_once('%') else {
        let address: Ipv6Addr = text.parse().ok()?;
        return Some(Host::Address(address.into()));
    };
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"/[]%".contains(&byte);
    let is_zone = (1..=MAX_ZONE).contains(&zone.len()) && zone.bytes().all(is_allowed);
    let is_zoned = is_zone && address.parse::<Ipv6Addr>().is_ok();
    is_zoned.then(|| Host::Name(text.to_owned()))
}

/// Returns the sentence for a text with colons in front of the last one.
fn too_many_colons(text: &str) -> String {
    match authority_of(text) {
        Some(target) => format!("{text:?} is a URL: write HOST:PORT, for example {target}"),
        None => format!(
            "the IPv6 address in {text:?} needs brackets: write [ADDRESS]:PORT, for example [::1]:80"
        ),
    }
}

/// Returns a hint for a part of a target that looks like a part of a URL.
fn url_hint(part: &str) -> &'static str {
    if part.contains('/') {
        " (write HOST:PORT, without the scheme and the path of a URL)"
    } else {
        ""
    }
}

/// Returns the host and the port of a URL (RFC 3986 section 3.2), or `None` if the text is none.
fn authority_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.contains(']'));
    Some(match (has_port, scheme) {
        (true, _) => host.to_owned(),
        (false, "https") => format!("{host}:443"),
        (false, _) => format!("{host}:80"),
    })
}

/// Returns whether `text` has the letters and the length of a host name (RFC 1123 section 2.1).
///
/// The underscore is not in the standard, but in use.
fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.len() <= 253 && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Host {
        Host::Name(text.to_owned())
    }

    fn address(text: &str) -> Host {
        Host::Address(text.parse().unwrap())
    }

    #[test]
    fn good_targets() {
        let table = [
            ("localhost:8080", name("localhost"), 8080),
            ("a-b.example_1.:1", name("a-b.example_1."), 1),
            ("192.0.2.1:65535", address("192.0.2.1"), 65535),
            ("[::1]:80", address("::1"), 80),
            ("[2001:db8::2]:443", address("2001:db8::2"), 443),
            ("[fe80::1%eth0]:80", name("fe80::1%eth0"), 80),
            ("[fe80::1%2]:80", name("fe80::1%2"), 80),
            ("[fe80::1%wg0.1-x]:80", name("fe80::1%wg0.1-x"), 80),
        ];
        for (text, host, port) in table {
            assert_eq!(text.parse(), Ok(Target { host, port }), "{text}");
        }
    }

    #[test]
    fn bad_targets_are_told_why() {
        let own = str::to_owned;
        let table = [
            ("", TargetError::MissingPort(own(""))),
            ("localhost", TargetError::MissingPort(own("localhost"))),
            ("[::1]", TargetError::MissingPort(own("[::1]"))),
            (":80", TargetError::MissingHost(own(":80"))),
            ("localhost:", TargetError::BadPort(own(""))),
            ("localhost:0", TargetError::BadPort(own("0"))),
            ("localhost:+80", TargetError::BadPort(own("+80"))),
            ("localhost:65536", TargetError::BadPort(own("65536"))),
            ("localhost:http", TargetError::BadPort(own("http"))),
            ("::1:80", TargetError::MissingBrackets(own("::1:80"))),
            ("[::1:80", TargetError::BadAddress(own("[::1"))),
            (
                "[127.0.0.1]:80",
                TargetError::BadAddress(own("[127.0.0.1]")),
            ),
            ("[]:80", TargetError::BadAddress(own("[]"))),
            ("[fe80::1%]:80", TargetError::BadAddress(own("[fe80::1%]"))),
            ("[%eth0]:80", TargetError::BadAddress(own("[%eth0]"))),
            ("[::1%a b]:80", TargetError::BadAddress(own("[::1%a b]"))),
            ("http//x:80", TargetError::BadName(own("http//x"))),
            ("two words:80", TargetError::BadName(own("two words"))),
            ("b\u{fc}cher:80", TargetError::BadName(own("b\u{fc}cher"))),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Target>(), Err(error), "{text:?}");
        }
        let long = format!("{}:80", "a".repeat(254));
        assert!(matches!(
            long.parse::<Target>(),
            Err(TargetError::BadName(_))
        ));
    }

    #[test]
    fn a_url_is_not_a_target_and_the_sentence_is_readable() {
        let table = [
            (
                "http://localhost:81",
                "write HOST:PORT, for example localhost:81",
            ),
            (
                "http://[::1]:81/path",
                "write HOST:PORT, for example [::1]:81",
            ),
            ("http://[::1]", "write HOST:PORT"),
            (
                "https://me@[::1]/",
                "write HOST:PORT, for example [::1]:443",
            ),
            ("http://localhost:81/x?y", "for example localhost:81"),
            ("http://localhost", "write HOST:PORT, without the scheme"),
            ("localhost:81/", "write HOST:PORT, without the scheme"),
        ];
        for (text, words) in table {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_zone_is_written_within_the_brackets() {
        let target: Target = "[fe80::1%eth0]:80".parse().unwrap();
        assert_eq!(target.to_string(), "[fe80::1%eth0]:80");
        assert_eq!(target.authority(), "[fe80::1]:80");
        let target: Target = "[::1]:80".parse().unwrap();
        assert_eq!(target.authority(), "[::1]:80");
    }

    fn any_host() -> impl Strategy<Value = Host> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|bytes| Host::Address(bytes.into())),
            any::<[u16; 8]>().prop_map(|words| Host::Address(words.into())),
            "[a-z][a-z0-9_.-]{0,40}".prop_map(Host::Name),
        ]
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(host in any_host(), port in 1..=u16::MAX) {
            let target = Target { host, port };
            prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }

        #[test]
        fn any_text_is_parsed_or_refused_without_panic(text in "\\PC{0,40}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
            }
        }
    }
}
