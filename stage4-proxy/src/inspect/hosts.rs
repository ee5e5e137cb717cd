//! The host names that the inspector answers to: the guard against DNS rebinding.

use std::net::IpAddr;

/// The host names that the server answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    /// `localhost` and loopback addresses only.
    Loopback,
    /// Every name: an operator who listens on a public address has names for it that we cannot know.
    Any,
}

impl Hosts {
    /// Returns the names that suit a server listening on `address`.
    pub(super) fn for_listener(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() {
            Self::Loopback
        } else {
            Self::Any
        }
    }

    /// Returns whether `authority`, a host with or without a port, is one of ours.
    pub(super) fn contain(self, authority: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => {
                let host = without_port(authority);
                let address = host.parse::<IpAddr>();
                host.eq_ignore_ascii_case("localhost")
                    || address.is_ok_and(|address| address.to_canonical().is_loopback())
            }
        }
    }
}

/// Returns the host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn without_port(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _port)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_address_has_loopback_names_only() {
        assert_eq!(Hosts::for_listener("0.0.0.0".parse().unwrap()), Hosts::Any);
        assert_eq!(Hosts::for_listener("::".parse().unwrap()), Hosts::Any);
        assert_eq!(
            Hosts::for_listener("127.0.0.2".parse().unwrap()),
            Hosts::Loopback
        );
        assert_eq!(
            Hosts::for_listener("::ffff:127.0.0.1".parse().unwrap()),
            Hosts::Loopback
        );
    }
}
