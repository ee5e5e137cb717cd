//! One association: the datagrams of a client that a TCP connection speaks for (RFC 1928 section 7).
//!
//! ```text
//!                   a datagram of the TCP peer's address,
//!                   with a header, at the expected port if there is one
//!   address: None ──────────────────────────────────────────────────────▶ address: Some
//!     every sender                                     connect(2): the kernel drops
//!     reaches the socket                               the datagrams of other senders
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::Socket;
use stage2_client::Target;

use crate::resolve::Ticket;
use crate::udp::filter::Filter;
use crate::udp::flow_table::FlowTable;

/// Receivers that an association remembers, so that they may answer.
const CONTACTS: usize = 1024;
/// How long a receiver may answer (RFC 4787 REQ-5: five minutes are recommended).
const CONTACT_LIFETIME: Duration = Duration::from_secs(300);
/// Names that an association remembers, so that a name keeps its address.
const NAMES: usize = 64;

/// A client that asks for an association.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// The client's address of the TCP connection.
    pub(crate) peer: IpAddr,
    /// The address that the client has connected to, and so can reach.
    pub(crate) local: SocketAddr,
    /// Where the client says that it will send from, if it says so.
    pub(crate) hint: Option<SocketAddr>,
}

/// An association.
#[derive(Debug)]
pub(super) struct Association {
    pub(super) generation: u32,
    /// The socket that the client sends to.
    pub(super) client: Socket,
    /// Its address, where answers come from.
    pub(super) own: SocketAddr,
    /// The only address that the client may send from.
    peer: IpAddr,
    /// The only port, if the client has named one.
    port: Option<u16>,
    /// The client's address, once a datagram has come from it.
    address: Option<SocketAddr>,
    /// Whether the kernel knows it, too.
    is_connected: bool,
    /// The sockets to the targets with IPv4 and with IPv6 addresses: one for all targets of a family, so that all
    /// see the client at one address (RFC 4787 REQ-1).
    pub(super) upstreams: [Option<Socket>; 2],
    /// The receivers of the client's datagrams, as far as the filter tells them apart.
    contacts: FlowTable<SocketAddr, ()>,
    /// The addresses of the names that the client has sent to.
    names: FlowTable<Target, Name>,
}

/// What is known about a name.
#[derive(Debug)]
enum Name {
    /// A thread looks it up.
    Asked(#[expect(dead_code, reason = "kept only to be dropped with the name")] Ticket),
    /// Its address.
    Known(SocketAddr),
}

/// What an association knows about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its address.
    Address(SocketAddr),
    /// That it will be known.
    Soon,
    /// Nothing.
    Nothing,
}

impl Association {
    /// Creates the association of a client that will send to the socket `client` at the address `own`.
    pub(super) fn new(generation: u32, client: Socket, own: SocketAddr, asker: &Asker) -> Self {
        let peer = asker.peer;
        // An address that is not the client's own is no hint: some clients put their target there, or zeros.
        let hint = asker
            .hint
            .filter(|hint| hint.ip() == peer && hint.port() != 0);
        Self {
            generation,
            client,
            own,
            peer,
            port: hint.map(|hint| hint.port()),
            address: None,
            is_connected: false,
            upstreams: [None, None],
            contacts: FlowTable::new(CONTACTS),
            names: FlowTable::new(NAMES),
        }
    }

    /// Returns the client's IP address.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Returns whether the client may be at this address.
    pub(super) fn admits(&self, sender: SocketAddr) -> bool {
        match self.address {
            Some(address) => address == sender,
            None => sender.ip() == self.peer && self.port.is_none_or(|port| port == sender.port()),
        }
    }

    /// Notes where the client is, after its first valid datagram.
    pub(super) fn settle(&mut self, address: SocketAddr) {
        if self.address.is_none() {
            self.address = Some(address);
            // If it fails, this program alone checks each sender, and names the receiver of each answer.
            self.is_connected = self.client.connect(&address.into()).is_ok();
        }
    }

    /// Returns where answers go, for the kernel, if it does not know it.
    pub(super) fn receiver(&self) -> Option<SocketAddr> {
        self.address.filter(|_| !self.is_connected)
    }

    /// Notes that the client sends to an address.
    pub(super) fn note_contact(&mut self, receiver: SocketAddr, filter: Filter, now: Instant) {
        while self.contacts.expire(now).is_some() {}
        let Some(key) = filter.key(receiver) else {
            return;
        };
        let deadline = now + CONTACT_LIFETIME;
        if let Some(id) = self.contacts.find(&key) {
            return self.contacts.touch(id, deadline);
        }
        self.contacts.evict();
        self.contacts.insert(key, (), deadline);
    }

    /// Returns whether a sender may answer the client.
    pub(super) fn may_answer(&mut self, sender: SocketAddr, filter: Filter, now: Instant) -> bool {
        while self.contacts.expire(now).is_some() {}
        filter
            .key(sender)
            .is_none_or(|key| self.contacts.find(&key).is_some())
    }

    /// Returns what is known about a name.
    pub(super) fn known(&mut self, name: &Target, now: Instant) -> Known {
        while self.names.expire(now).is_some() {}
        let found = self.names.find(name).and_then(|id| self.names.get(id));
        match found.map(|(_, name)| name) {
            Some(Name::Known(address)) => Known::Address(*address),
            Some(Name::Asked(_)) => Known::Soon,
            None => Known::Nothing,
        }
    }

    /// Notes that a name is being looked up, at most until `deadline`.
    pub(super) fn ask(&mut self, name: &Target, ticket: Ticket, deadline: Instant) {
        self.remember(name, Name::Asked(ticket), deadline);
    }

    /// Notes the address of a name.
    pub(super) fn learn(&mut self, name: &Target, address: SocketAddr, now: Instant) {
        self.remember(name, Name::Known(address), now + CONTACT_LIFETIME);
    }

    /// Forgets a name, because it has no address.
    pub(super) fn forget(&mut self, name: &Target) {
        if let Some(id) = self.names.find(name) {
            self.names.remove(id);
        }
    }

    fn remember(&mut self, name: &Target, known: Name, deadline: Instant) {
        self.forget(name);
        self.names.evict();
        self.names.insert(name.clone(), known, deadline);
    }
}

#[cfg(test)]
mod tests;
