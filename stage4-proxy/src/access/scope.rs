//! Scopes: the addresses that one word or one network stands for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::access::class::Class;
use crate::access::network::{Network, NetworkError};

/// A set of addresses: a word, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every address.
    Any,
    /// The addresses of [`Class::Public`].
    Public,
    /// The addresses of [`Class::Private`].
    Private,
    /// The addresses of [`Class::Loopback`].
    Loopback,
    /// The addresses of one network.
    Network(Network),
}

impl Scope {
    /// Returns whether an address of this class is one of the set.
    #[must_use]
    pub fn contains(&self, address: IpAddr, class: Class) -> bool {
        match self {
            Self::Any => true,
            Self::Public => class == Class::Public,
            Self::Private => class == Class::Private,
            Self::Loopback => class == Class::Loopback,
            Self::Network(network) => network.contains(address),
        }
    }
}

impl FromStr for Scope {
    type Err = NetworkError;

    /// Parses `any`, `public`, `private`, `loopback`, an address or `ADDRESS/LENGTH`.
    ///
    /// # Errors
    ///
    /// Fails if the text is no such word and not a [`Network`].
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        match text {
            "any" => Ok(Self::Any),
            "public" => Ok(Self::Public),
            "private" => Ok(Self::Private),
            "loopback" => Ok(Self::Loopback),
            _ => text.parse().map(Self::Network),
        }
    }
}

impl fmt::Display for Scope {
    /// Writes the scope so that parsing it gives the same scope again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any"),
            Self::Public => formatter.write_str("public"),
            Self::Private => formatter.write_str("private"),
            Self::Loopback => formatter.write_str("loopback"),
            Self::Network(network) => write!(formatter, "{network}"),
        }
    }
}
