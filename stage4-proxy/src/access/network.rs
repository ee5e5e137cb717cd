//! Networks: an address and the length of a prefix, as CIDR writes them (RFC 4632 section 3.1).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// All addresses of one family that share the first bits of an address: `10.0.0.0/8`, `2001:db8::/32`.
///
/// A network of IPv4 addresses mapped into IPv6 (`::ffff:10.0.0.0/104`) is the IPv4 network, because
/// that is what the kernel connects to (`ipv6(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address; the bits behind the prefix are zero.
    first: IpAddr,
    /// The number of bits that all addresses share: at most 32 of IPv4, 128 of IPv6.
    prefix: u8,
}

/// Why a text is not a [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The part in front of the slash is not an address.
    #[error("{0:?} is not an IP address")]
    BadAddress(String),
    /// The part behind the slash is not a number of bits.
    #[error("the prefix length {0:?} is not a number from 0 to {1}")]
    BadPrefix(String, u8),
    /// The address has bits behind the prefix, so it is not clear which network is meant.
    #[error("{0} has bits behind its prefix: the network is {1}")]
    StrayBits(String, Network),
}

impl Network {
    /// Creates an IPv4 network; the bits of `octets` behind the prefix must be zero.
    pub(super) const fn v4(octets: [u8; 4], prefix: u8) -> Self {
        let [a, b, c, d] = octets;
        Self {
            first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            prefix,
        }
    }

    /// Creates an IPv6 network from the first four groups of its address; the bits behind the prefix
    /// must be zero.
    pub(super) const fn v6(groups: [u16; 4], prefix: u8) -> Self {
        let [a, b, c, d] = groups;
        Self {
            first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)),
            prefix,
        }
    }

    /// Creates the network of one address.
    pub(super) const fn host(address: IpAddr) -> Self {
        Self {
            first: address,
            prefix: longest_prefix(address),
        }
    }

    /// Returns whether an address is one of the network's; one of the other family never is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()) & mask_v4(self.prefix) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()) & mask_v6(self.prefix) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Returns whether all addresses of `other` are also addresses of this network.
    #[must_use]
    pub fn contains_network(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.first)
    }

    /// Returns whether the network has IPv6 addresses.
    pub(super) fn is_ipv6(&self) -> bool {
        self.first.is_ipv6()
    }

    /// Creates the network in which `address` lies.
    fn around(address: IpAddr, prefix: u8) -> Self {
        let first = match address {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & mask_v4(prefix)).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & mask_v6(prefix)).into(),
        };
        Self { first, prefix }
    }

    /// Turns a network of mapped addresses into the IPv4 network.
    fn unmapped(self) -> Self {
        match (self.first.to_canonical(), self.prefix.checked_sub(96)) {
            (first @ IpAddr::V4(_), Some(prefix)) if self.is_ipv6() => Self { first, prefix },
            _ => self,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Parses `ADDRESS` or `ADDRESS/LENGTH`; an address alone is a network of one.
    ///
    /// # Errors
    ///
    /// Fails with a [`NetworkError`] that names the wrong part of the text.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let bad_address = |_| NetworkError::BadAddress(address.to_owned());
        let address: IpAddr = address.parse().map_err(bad_address)?;
        let prefix = match length {
            Some(length) => parse_prefix(length, longest_prefix(address))?,
            None => longest_prefix(address),
        };
        let network = Self::around(address, prefix);
        if network.first != address {
            return Err(NetworkError::StrayBits(text.to_owned(), network));
        }
        Ok(network.unmapped())
    }
}

impl fmt::Display for Network {
    /// Writes the network so that parsing it gives the same network again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.first)?;
        if self.prefix < longest_prefix(self.first) {
            write!(formatter, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

fn parse_prefix(text: &str, longest: u8) -> Result<u8, NetworkError> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        // u8 would also take "+8".
        Ok(prefix) if prefix <= longest && digits_only => Ok(prefix),
        _ => Err(NetworkError::BadPrefix(text.to_owned(), longest)),
    }
}

const fn longest_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Returns the first `prefix` bits set; a shift by all bits has no result, and then none is.
fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}
