//! One session as the inspector shows it.

use std::fmt;
use std::net::SocketAddr;

use crate::address::PeerAddr;

/// Shows one session: a client, and its upstream once there is one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SessionView {
    /// The protocol of both sockets: with their addresses it makes up two five-tuples.
    pub protocol: Protocol,
    /// The client's socket: its peer is the client, its local address the proxy's.
    pub client: EndpointView,
    /// The upstream's socket, from the moment a connect was started.
    pub upstream: Option<EndpointView>,
    /// The name of the way in, such as `socks5`.
    pub ingress: &'static str,
    /// The target as the client has asked for it, such as `example:80`, once known.
    pub target: Option<String>,
    /// The address that was dialled for it, such as `ipv4[192.0.2.1:80]`: through a chain, the first hop's.
    pub dialled: Option<String>,
    /// The hops of a chain on the way to the target, in their order.
    pub hops: Vec<HopView>,
    /// The name of the session's phase, such as `relay`.
    pub phase: &'static str,
    /// The client and its target, such as `socks5[127.0.0.1:50312 -> example:80]`.
    pub description: String,
    /// Bytes carried from the client to the upstream.
    pub bytes_up: u64,
    /// Bytes carried from the upstream to the client.
    pub bytes_down: u64,
    /// Milliseconds since the client was accepted.
    pub age_ms: u64,
    /// The direction from the client to the upstream, if the program has halves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<HalfView>,
    /// The direction from the upstream to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<HalfView>,
}

/// Shows one direction of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HalfView {
    /// The name of its state: `open`, `draining` or `closed`.
    pub state: &'static str,
    /// Bytes that were read from the source and not written to the sink yet. The source is not read meanwhile.
    pub pending: u64,
}

/// One row of a route table: a session, and the stream of a link that carries it, in a tunnel.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The session.
    pub session: SessionView,
    /// The stream; its crate decides what it shows.
    pub stream: Option<serde_json::Value>,
}

impl From<SessionView> for Row {
    fn from(session: SessionView) -> Self {
        let stream = None;
        Self { session, stream }
    }
}

/// Shows one hop of a chain.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HopView {
    /// The hop as it was configured, such as `hop.example:1080`.
    pub hop: String,
    /// Its answer for this session: `ok`, or why it leads no further; `None` before there is one.
    pub answer: Option<String>,
}

/// Shows one flow of datagrams: a client, and the socket to its target.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FlowView {
    /// The protocol of the datagrams.
    pub protocol: Protocol,
    /// The client's address; `None` for a flow of an association.
    pub client: Option<SocketAddr>,
    /// The target, as its client or the operator has named it.
    pub target: String,
    /// The socket to the target, once its name is resolved; its peer is the address that datagrams go to.
    pub upstream: Option<EndpointView>,
    /// Datagrams from the client.
    pub datagrams_up: u64,
    /// Datagrams to the client.
    pub datagrams_down: u64,
    /// Milliseconds since the flow began.
    pub age_ms: u64,
}

/// The transport protocol of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP (RFC 9293).
    Tcp,
    /// UDP (RFC 768).
    Udp,
}

/// Shows one socket; an address is absent if the kernel knows none.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EndpointView {
    /// The file descriptor's number: the documents' `cfd` or `ufd`.
    pub fd: i32,
    /// The address at our end, as `getsockname(2)` tells it.
    pub local: Option<SocketAddr>,
    /// The address at the other end, as `getpeername(2)` tells it, or the client's that a PROXY protocol header has
    /// named.
    pub peer: Option<SocketAddr>,
    /// A Unix socket, which has no such addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix: Option<UnixView>,
    /// The bytes that the kernel holds of it, if it was asked about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelView>,
}

/// Shows what the kernel holds of a socket (see [`kernel_queues`](crate::kernel_queues)); it tells less of a Unix socket
/// than of a TCP socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct KernelView {
    /// The state of TCP in the words of RFC 9293 section 3.3.2, such as `ESTABLISHED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// Bytes that have arrived and that we have not read: `Recv-Q` of ss(8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<u64>,
    /// Bytes that were sent and that the peer has not acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u64>,
    /// Bytes that we have written and that the kernel has not sent, because the peer or the network takes no more now;
    /// together with `in_flight` they are `Send-Q` of ss(8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsent: Option<u64>,
}

/// Shows a Unix socket (`unix(7)`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UnixView {
    /// The path of the end that has listened.
    pub path: Option<String>,
    /// The process at the other end, as `SO_PEERCRED` tells it.
    pub pid: Option<i32>,
    /// The user that it belongs to.
    pub uid: Option<u32>,
}

/// Writes an address with its family, as `ipv4[192.0.2.1:80]` or `ipv6[[2001:db8::1]:80]`; that of a Unix socket is
/// the target itself, so the family is all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described(pub PeerAddr);

impl fmt::Display for Described {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.0 {
            PeerAddr::Internet(SocketAddr::V4(_)) => "ipv4",
            PeerAddr::Internet(SocketAddr::V6(_)) => "ipv6",
            PeerAddr::Unix => return formatter.write_str("unix"),
        };
        write!(formatter, "{family}[{}]", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_described_with_its_family() {
        for (address, text) in [
            ("192.0.2.1:80", "ipv4[192.0.2.1:80]"),
            ("[2001:db8::1]:80", "ipv6[[2001:db8::1]:80]"),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(Described(address.into()).to_string(), text);
        }
        assert_eq!(Described(PeerAddr::Unix).to_string(), "unix");
    }
}
