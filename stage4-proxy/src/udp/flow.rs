//! One flow: a client, its target, and the socket between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use stage2_client::Target;

use crate::access::Place;
use crate::chain::headers;
use crate::connect_error::ConnectError;
use crate::egress::Egress;
use crate::resolve::Ticket;
use crate::udp::counts::Dropped;
use crate::udp::filter::Filter;
use crate::udp::socket::{check_route, connected, local_addr, unconnected};

/// How long a flow to a name server lives after an answer: most clients use each port for one question.
const AFTER_NAME_ANSWER: Duration = Duration::from_secs(10);
/// The port of name servers (RFC 1035 section 4.2.1).
const NAME_SERVER: u16 = 53;

/// A flow.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) target: Arc<Target>,
    pub(super) state: State,
    /// What goes in front of each payload on the way up: the headers for the hops of a chain.
    pub(super) prefix: Box<[u8]>,
    /// What goes in front of each answer on the way down: what the client's ingress has there.
    pub(super) header: Box<[u8]>,
    /// Its place among the flows of its client, if these are bounded.
    pub(super) place: Option<Place>,
    /// Whether an answer has come.
    pub(super) is_answered: bool,
    pub(super) opened: Instant,
    /// Datagrams from the client.
    pub(super) up: u64,
    /// Datagrams to the client.
    pub(super) down: u64,
}

/// How far a flow is.
///
/// ```text
///               answer of a resolver thread
///   Resolving ────────────────────────────▶ Open ──┐ its port is closed, it has not answered,
///       │ no address, or none in time         ▲    │ and there is another address
///       ▼                                     └────┘
///    removed
/// ```
#[derive(Debug)]
pub(super) enum State {
    /// A resolver thread looks the target's name up; some datagrams wait (see `waiting`).
    Resolving(#[expect(dead_code, reason = "kept only to be dropped with the state")] Ticket),
    /// Datagrams pass.
    Open(Upstream),
}

/// The socket to a target, or to the first hop on the way to it.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) socket: Socket,
    /// Where datagrams go.
    pub(super) peer: SocketAddr,
    /// Whether the kernel knows `peer`: then it drops the datagrams of every other sender.
    pub(super) is_connected: bool,
    /// The target's other addresses, to be tried if this one's port is closed.
    others: Vec<SocketAddr>,
}

impl Flow {
    /// Creates a flow to `target`, whose answers have `header` in front.
    pub(super) fn new(
        target: Arc<Target>,
        state: State,
        header: Vec<u8>,
        egress: &Egress,
        now: Instant,
    ) -> Self {
        Self {
            prefix: headers(egress.hops(), &target).into(),
            header: header.into(),
            target,
            state,
            place: None,
            is_answered: false,
            opened: now,
            up: 0,
            down: 0,
        }
    }

    /// Returns how long the flow lives without another datagram.
    pub(super) fn lifetime(&self, flow_timeout: Duration) -> Duration {
        if self.is_answered && self.target.port == NAME_SERVER {
            flow_timeout.min(AFTER_NAME_ANSWER)
        } else {
            flow_timeout
        }
    }

    /// Returns the socket, once there is one.
    pub(super) fn upstream(&self) -> Option<&Upstream> {
        match &self.state {
            State::Open(upstream) => Some(upstream),
            State::Resolving(_) => None,
        }
    }
}

impl Upstream {
    /// Opens a socket to the first of `addresses` that the rules allow and that there is a route to.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong with the last address.
    pub(super) fn open(
        addresses: &[SocketAddr],
        target: &Target,
        egress: &Egress,
        filter: Filter,
    ) -> Result<Self, ConnectError> {
        let nothing = std::io::Error::other("the name has no address");
        let mut last = ConnectError::Resolve(nothing);
        for (number, &peer) in addresses.iter().enumerate() {
            let checked = egress.check(peer, target).map_err(ConnectError::Denied);
            match checked.and_then(|()| Self::to(peer, egress, filter)) {
                Ok(mut upstream) => {
                    upstream.others = addresses[number + 1..].to_vec();
                    return Ok(upstream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn to(peer: SocketAddr, egress: &Egress, filter: Filter) -> Result<Self, ConnectError> {
        // A chain has one first hop, and only it answers. A filter for the port is the kernel's own.
        let is_connected = filter == Filter::Port || !egress.hops().is_empty();
        let socket = if is_connected {
            connected(peer)?
        } else {
            check_route(peer)?;
            unconnected(peer)?
        };
        Ok(Self {
            socket,
            peer,
            is_connected,
            others: Vec::new(),
        })
    }

    /// Takes the addresses that were not tried.
    pub(super) fn take_others(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.others)
    }

    /// Returns the receiver for the kernel, if it does not know it.
    pub(super) fn receiver(&self) -> Option<SocketAddr> {
        (!self.is_connected).then_some(self.peer)
    }

    /// Returns the address of our end.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        local_addr(&self.socket)
    }
}

impl From<&ConnectError> for Dropped {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Denied(_) => Self::Denied,
            ConnectError::Resolve(_) => Self::Unresolved,
            ConnectError::Refused => Self::Refused,
            ConnectError::Other(_) if error.is_without_descriptor() => Self::Limit,
            ConnectError::Unreachable | ConnectError::TimedOut | ConnectError::Other(_) => {
                Self::Unreachable
            }
            ConnectError::Hop(_) | ConnectError::FarEnd { .. } => Self::Hop,
        }
    }
}
