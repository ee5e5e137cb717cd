//! Where clients come in: one listening socket or several, each with the way in which its clients name their targets.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Instant;

use socket2::Socket;
use stage4_proxy::access::Clients;
use stage4_proxy::address::PeerAddr;
use stage4_proxy::ingress::{Client, Ingress, Opening};
use stage4_proxy::token::Token;

use crate::endpoint::Endpoint;
use crate::listener::{Accepted, Listener};

/// One way in.
#[derive(Debug)]
pub(super) struct Way {
    listener: Listener,
    /// How a client names its target; `None` if the server knows it, and the streams have no header.
    ingress: Option<Arc<dyn Ingress>>,
}

impl Way {
    /// Creates a way in.
    pub(super) fn new(listener: Listener, ingress: Option<Arc<dyn Ingress>>) -> Self {
        Self { listener, ingress }
    }
}

/// All ways in, and the clients that may come.
#[derive(Debug)]
pub(super) struct Reception {
    ways: Vec<Way>,
    clients: Clients,
    /// The way that is asked first, in turns, so that a busy one does not starve the others.
    first: usize,
}

/// A client that was accepted.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) endpoint: Endpoint,
    /// How its session begins; `None` if its bytes are relayed as they are.
    pub(super) opening: Option<Opening>,
}

impl Reception {
    /// Creates the reception for `clients`.
    pub(super) fn new(ways: Vec<Way>, clients: Clients) -> Self {
        Self {
            ways,
            clients,
            first: 0,
        }
    }

    /// Accepts no clients any more.
    pub(super) fn close(&mut self) {
        self.ways.clear();
    }

    /// Notes that the backlog behind a token may hold clients.
    pub(super) fn note(&mut self, token: Token) {
        if let Some(way) = self.ways.get_mut(token.row() as usize) {
            way.listener.note();
        }
    }

    /// Returns whether an attempt to accept may bring a client now.
    pub(super) fn is_ready(&self) -> bool {
        self.ways.iter().any(|way| way.listener.is_ready())
    }

    /// Returns when a pause is over, if time alone ends it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines = self.ways.iter().filter_map(|way| way.listener.deadline());
        deadlines.min()
    }

    /// Ends the pauses whose time is over.
    pub(super) fn tick(&mut self, now: Instant) {
        self.ways.iter_mut().for_each(|way| way.listener.tick(now));
    }

    /// Leaves clients in the backlogs until a row is free.
    pub(super) fn pause_full(&mut self) {
        let ways = self.ways.iter_mut();
        ways.for_each(|way| way.listener.pause_full());
    }

    /// Ends the pauses: a row is free.
    pub(super) fn resume(&mut self) {
        self.ways.iter_mut().for_each(|way| way.listener.resume());
    }

    /// Accepts one client, if there is one that may come; others are reset.
    pub(super) fn accept(&mut self, now: Instant) -> Option<Arrival> {
        let count = self.ways.len();
        let mut places = (0..count).map(|place| (self.first + place) % count);
        let place = places.find(|&place| self.ways[place].listener.is_ready())?;
        self.first = place + 1;
        let way = &mut self.ways[place];
        match way.listener.accept() {
            Accepted::Client(socket, peer) => self.admit(place, socket, peer),
            Accepted::Gone | Accepted::Empty => None,
            Accepted::Starved(error) => {
                tracing::warn!(%error, "cannot accept a client");
                way.listener.pause_starved(now);
                None
            }
        }
    }

    fn admit(&self, place: usize, socket: Socket, peer: PeerAddr) -> Option<Arrival> {
        let ingress = self.ways[place].ingress.as_ref();
        let opening = ingress.map(|ingress| ingress.open(&Client::new(peer, socket.as_fd())));
        let endpoint = Endpoint::new(socket, peer);
        if !may_come(&self.clients, peer) {
            tracing::warn!(%peer, "refused: --clients does not admit it");
            endpoint.reset_on_close();
            return None;
        }
        Some(Arrival { endpoint, opening })
    }
}

/// Returns whether a peer is among the clients that may come; one at a Unix socket counts as 127.0.0.1, because only
/// programs of this machine get there.
pub(super) fn may_come(clients: &Clients, peer: PeerAddr) -> bool {
    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
    clients.contains(peer.socket_addr().map_or(here, |address| address.ip()))
}
