//! What tells flows apart.

use std::net::{IpAddr, SocketAddr};

use stage2_client::Target;

/// What tells flows apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Where datagrams come from.
    pub(crate) origin: Origin,
    /// Where they go, if the client chooses.
    pub(crate) target: Option<Target>,
}

/// Where the datagrams of a flow come from, and so where its answers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// From a client through the listener.
    Client {
        /// The client's address.
        address: SocketAddr,
        /// The address that the client has sent to, and so the one that it expects answers from; `None` if the
        /// listener has only one.
        local: Option<IpAddr>,
    },
    /// From the client of an association.
    Association(AssociationId),
}

/// The place of an association: that of its TCP connection in the route table, with a guard against earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AssociationId {
    /// The row of the route table.
    pub(crate) row: u32,
    /// Tells which of the associations of that row is meant.
    pub(crate) generation: u32,
}
