//! What an operator says of the PROXY protocol, and the flags for it.

use std::net::IpAddr;

use clap::Args;

use crate::access::{ClientScope, Clients, Scope};
use crate::proxy_protocol::version::Version;

/// `--accept-proxy` and `--send-proxy`.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub struct ProxyProtocolFlags {
    /// Peers that begin each connection with a PROXY protocol header, version 1 or 2: the client's address is the
    /// one in it, for --clients, the log and the inspector. Without a valid header they are reset; the header of any other
    /// peer is payload. The same words as for --clients. A datagram has no header, so that its sender is its client
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',')]
    accept_proxy: Vec<ClientScope>,

    /// Begin each connection to a target with a PROXY protocol header that says who the client is; with
    /// --chain it is the target that gets it, through the hops. Datagrams (--udp) get none
    #[arg(long, value_enum, value_name = "VERSION")]
    send_proxy: Option<Version>,
}

/// The peers that send a header, and the targets that get one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// The peers that speak for their clients.
    pub accept: Clients,
    /// The version of the header that each target gets, if any.
    pub send: Option<Version>,
}

impl Default for ProxyProtocol {
    fn default() -> Self {
        Self {
            accept: Clients::of(&[]),
            send: None,
        }
    }
}

impl ProxyProtocol {
    /// Returns whether a connection from this address begins with a header.
    pub(crate) fn is_expected(&self, peer: IpAddr) -> bool {
        // Asked first, because it is the answer for most proxies, and costs less than the class of an address.
        !self.accept.is_empty() && self.accept.contains(peer)
    }
}

impl From<ProxyProtocolFlags> for ProxyProtocol {
    fn from(flags: ProxyProtocolFlags) -> Self {
        let scopes: Vec<Scope> = flags.accept_proxy.iter().map(|scope| scope.0).collect();
        Self {
            accept: Clients::of(&scopes),
            send: flags.send_proxy,
        }
    }
}
