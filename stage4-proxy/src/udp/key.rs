//! What tells flows apart.

use std::net::{IpAddr, SocketAddr};

use stage2_client::Target;

/// What tells flows apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Where datagrams come from.
    pub(crate) client: Client,
    /// Where they go, if the client chooses.
    pub(crate) target: Option<Target>,
}

/// The client of a flow, and where its answers leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    /// The client's address.
    pub(crate) address: SocketAddr,
    /// The address that the client has sent to, and so the one that it expects answers from; `None` if the
    /// listener has only one.
    pub(crate) local: Option<IpAddr>,
}
