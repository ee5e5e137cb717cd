//! Rules for targets, as `--allow` and `--deny` take them.
//!
//! ```text
//!   RULE  =  ( WORD | ADDRESS | CIDR | NAME | *.NAME ) [:PORT]
//!   WORD  =  public | private | loopback | any
//!   with a port, IPv6 needs brackets: [2001:db8::1]:443, [2001:db8::/32]:443
//! ```

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::access::class::{Class, range_of};
use crate::access::name::{NameError, NamePattern};
use crate::access::network::{Network, NetworkError};
use crate::access::scope::Scope;

/// The port of SMTP (RFC 5321 section 4.5.4.2): a proxy that reaches it sends mail for its clients.
const SMTP: u16 = 25;

/// A rule for the addresses that are dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    to: To,
    /// `None` for every port, but for that of SMTP.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum To {
    Scope(Scope),
    Name(NamePattern),
}

/// An address that is about to be dialled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialled<'a> {
    /// The address, or the IPv4 address inside of it.
    pub(super) address: IpAddr,
    /// What kind of network it leads to.
    pub(super) class: Class,
    pub(super) port: u16,
    /// The name that the client has asked for, if it was not an address.
    pub(super) name: Option<&'a str>,
}

impl Dialled<'_> {
    /// Returns whether a rule has to name the port.
    pub(super) fn is_smtp(&self) -> bool {
        self.port == SMTP
    }
}

/// Why a text is not a [`Rule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wrong}; a rule is public, private, loopback, any, ADDRESS, CIDR, NAME or *.NAME, with :PORT for one port: \
     10.1.0.0/16:443, [2001:db8::/32]:443, example.com:443, *.example.org"
)]
pub struct RuleError {
    wrong: Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Wrong {
    #[error("{0}")]
    Network(#[from] NetworkError),
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("the port {0:?} is not a number from 1 to 65535")]
    Port(String),
    #[error("{0:?} has a bracket without the other, or no IPv6 address in brackets")]
    Brackets(String),
    #[error("IPv6 with a port needs brackets, as in [::1]:443, and {0:?} is no IPv6 address")]
    MissingBrackets(String),
}

impl Rule {
    /// Creates the rule about every port of these addresses, but for that of SMTP.
    pub(super) fn every_port(scope: Scope) -> Self {
        Self {
            to: To::Scope(scope),
            port: None,
        }
    }

    /// Returns whether the rule is about this address, name and port.
    pub(super) fn matches(&self, dialled: &Dialled<'_>) -> bool {
        let is_meant = match &self.to {
            To::Scope(scope) => scope.contains(dialled.address, dialled.class),
            To::Name(pattern) => dialled.name.is_some_and(|name| pattern.matches(name)),
        };
        is_meant && self.port.is_none_or(|port| port == dialled.port)
    }

    /// Returns whether the rule opens the address, as a rule of `--allow`: more is asked of it than to match.
    pub(super) fn opens(&self, dialled: &Dialled<'_>) -> bool {
        self.opens_but_for_smtp(dialled) && (!dialled.is_smtp() || self.port.is_some())
    }

    /// Returns whether the rule would open the address, if the port did not have to be named.
    pub(super) fn opens_but_for_smtp(&self, dialled: &Dialled<'_>) -> bool {
        self.matches(dialled) && self.is_enough_for(dialled)
    }

    fn is_enough_for(&self, dialled: &Dialled<'_>) -> bool {
        match (&self.to, dialled.class) {
            (To::Scope(Scope::Network(network)), Class::Special(_)) => {
                // A network that is wider than the special range, such as 0.0.0.0/0, does not name it.
                range_of(dialled.address).0.contains_network(network)
            }
            (To::Scope(_), Class::Special(_)) => false,
            (To::Scope(_), _) => true,
            // The owner of a name decides which addresses it has: it must not open the operator's network.
            (To::Name(_), class) => class == Class::Public,
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    /// Parses one rule.
    ///
    /// # Errors
    ///
    /// Fails with a sentence that says what is wrong and shows how rules are written.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse(text.trim()).map_err(|wrong| RuleError { wrong })
    }
}

fn parse(text: &str) -> Result<Rule, Wrong> {
    if let Some(inside) = text.strip_prefix('[') {
        return parse_bracketed(text, inside);
    }
    if text.matches(':').count() > 1 && !text.contains('/') {
        // Without brackets all colons belong to the address, so that there is no port.
        let network: Network = text.parse().map_err(|_| missing_brackets(text))?;
        let to = To::Scope(Scope::Network(network));
        return Ok(Rule { to, port: None });
    }
    match port_behind(text) {
        Some((to, port)) => {
            let port = Some(parse_port(port)?);
            parse_to(to).map(|to| Rule { to, port })
        }
        None => parse_to(text).map(|to| Rule { to, port: None }),
    }
}

/// Splits off a port: behind the only colon, or behind the one after the prefix length.
fn port_behind(text: &str) -> Option<(&str, &str)> {
    let after_length = text.split_once('/').map_or(0, |(address, _)| address.len());
    let colon = after_length + text.get(after_length..)?.find(':')?;
    Some((&text[..colon], &text[colon + 1..]))
}

/// Parses `[ADDRESS]`, `[ADDRESS]/LENGTH` or `[ADDRESS/LENGTH]`, and a port.
fn parse_bracketed(text: &str, inside: &str) -> Result<Rule, Wrong> {
    let wrong = || Wrong::Brackets(text.to_owned());
    let (address, rest) = inside.split_once(']').ok_or_else(wrong)?;
    let (length, port) = match rest.split_once(':') {
        Some((length, port)) => (length, Some(parse_port(port)?)),
        None => (rest, None),
    };
    if !length.is_empty() && !length.starts_with('/') {
        return Err(wrong());
    }
    let network: Network = format!("{address}{length}").parse()?;
    // A mapped network is one of IPv4 by now, and may be written in brackets all the same.
    if !network.is_ipv6() && !address.contains(':') {
        return Err(wrong());
    }
    let to = To::Scope(Scope::Network(network));
    Ok(Rule { to, port })
}

fn parse_to(text: &str) -> Result<To, Wrong> {
    match text.parse() {
        Ok(scope) => Ok(To::Scope(scope)),
        // With a slash or a colon it was meant as a network.
        Err(error) if text.contains(['/', ':']) => Err(error.into()),
        Err(_) => Ok(To::Name(text.parse()?)),
    }
}

fn parse_port(text: &str) -> Result<u16, Wrong> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if port != 0 && digits_only => Ok(port),
        _ => Err(Wrong::Port(text.to_owned())),
    }
}

fn missing_brackets(text: &str) -> Wrong {
    Wrong::MissingBrackets(text.to_owned())
}

impl fmt::Display for Rule {
    /// Writes the rule so that parsing it gives the same rule again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.to, self.port) {
            (To::Scope(Scope::Network(network)), Some(port)) if network.is_ipv6() => {
                write!(formatter, "[{network}]:{port}")
            }
            (To::Scope(scope), Some(port)) => write!(formatter, "{scope}:{port}"),
            (To::Scope(scope), None) => write!(formatter, "{scope}"),
            (To::Name(name), Some(port)) => write!(formatter, "{name}:{port}"),
            (To::Name(name), None) => write!(formatter, "{name}"),
        }
    }
}
