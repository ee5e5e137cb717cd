//! The work of a subject in a measurement.

use crate::growth::Growth;

/// The work of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Pass bytes on, one upstream connection for each client.
    Relay,
    /// The same for a growing number of clients.
    Grow(Growth),
    /// Pass HTTP requests on, one at a time, over one upstream connection for all clients.
    Queue,
    /// Connect each client to the target of its SOCKS5 request.
    Socks5,
    /// Connect each client to the target of its CONNECT request.
    Connect,
    /// Pass each HTTP request on to the host in its URL.
    Forward,
    /// Be this many proxies, one behind the other.
    Chain(usize),
    /// Pass datagrams on, one upstream socket for each client.
    Datagrams,
    /// Pass on the datagrams of SOCKS5 clients, each to the target in its header.
    Associate,
    /// Be the two proxies of curl's `--preproxy`: SOCKS5, and behind it CONNECT.
    Preproxy,
    /// Pass connections on through two ends with one link between them.
    Tunnel,
}

impl Job {
    /// Returns how many proxies are between the client and the upstream.
    pub(crate) fn proxy_count(self) -> usize {
        match self {
            Self::Relay
            | Self::Grow(_)
            | Self::Queue
            | Self::Socks5
            | Self::Connect
            | Self::Forward
            | Self::Datagrams
            | Self::Associate => 1,
            Self::Tunnel | Self::Preproxy => 2,
            Self::Chain(count) => count,
        }
    }

    /// Returns how its sessions grow in number, if they do.
    pub(crate) fn growth(self) -> Option<Growth> {
        if let Self::Grow(growth) = self {
            Some(growth)
        } else {
            None
        }
    }

    /// Returns what one of its proxies does; number 0 is next to the upstream.
    pub(crate) fn part(self, number: usize) -> Self {
        if self != Self::Preproxy {
            self
        } else if number == 0 {
            Self::Connect
        } else {
            Self::Socks5
        }
    }

    /// Returns the heading above its rows.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Relay => "Relay",
            Self::Grow(growth) => growth.manner.title(),
            Self::Queue => "Queue",
            Self::Socks5 => "SOCKS5",
            Self::Connect | Self::Forward => "HTTP proxy",
            Self::Chain(_) => "Chain",
            Self::Datagrams => "UDP relay",
            Self::Associate => "SOCKS5 UDP ASSOCIATE",
            Self::Preproxy => "curl --preproxy",
            Self::Tunnel => "Tunnel",
        }
    }
}
