//! Where clients come in: one listening socket or several, each with the way in which its clients name their targets.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use stage4_proxy::access::{Clients, PerClient, Place};
use stage4_proxy::address::PeerAddr;
use stage4_proxy::ingress::{Client, Ingress, Opening};
use stage4_proxy::token::Token;

use crate::endpoint::Endpoint;
use crate::listener::{Accepted, Listener};
use crate::tunnel::byte_stream::Ending;

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
    per_client: Option<PerClient>,
    /// The way that is asked first, in turns, so that a busy one does not starve the others.
    first: usize,
}

/// A client that was accepted.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) endpoint: Endpoint,
    /// How its session begins; `None` if its bytes are relayed as they are.
    pub(super) opening: Option<Opening>,
    /// Where an application learns how its stream has ended.
    pub(super) ending: Option<Arc<Ending>>,
    /// Its place among the clients of its address, if these have a bound.
    pub(super) place: Option<Place>,
}

/// A client was closed, because its address has as many connections as it may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct OverLimit;

impl Reception {
    /// Creates the reception for `clients`, of which each address may have `most` connections, or any number.
    pub(super) fn new(ways: Vec<Way>, clients: Clients, most: Option<NonZeroU32>) -> Self {
        Self {
            ways,
            clients,
            per_client: most.map(PerClient::new),
            first: 0,
        }
    }

    /// Accepts no clients any more.
    pub(super) fn close(&mut self) {
        self.ways.clear();
    }

    /// Notes that the accept queue behind a token may hold clients.
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

    /// Leaves clients in the accept queues until a row is free.
    pub(super) fn pause_full(&mut self) {
        let ways = self.ways.iter_mut();
        ways.for_each(|way| way.listener.pause_full());
    }

    /// Ends the pauses: a row is free.
    pub(super) fn resume(&mut self) {
        self.ways.iter_mut().for_each(|way| way.listener.resume());
    }

    /// Accepts one client, if there is one that may come; others are reset.
    ///
    /// # Errors
    ///
    /// Fails if its address has as many connections as it may have; the client was told so, if its protocol can.
    pub(super) fn accept(&mut self, now: Instant) -> Result<Option<Arrival>, OverLimit> {
        let count = self.ways.len();
        let mut numbers = (0..count).map(|number| (self.first + number) % count);
        let Some(number) = numbers.find(|&number| self.ways[number].listener.is_ready()) else {
            return Ok(None);
        };
        self.first = number + 1;
        let way = &mut self.ways[number];
        match way.listener.accept() {
            Accepted::Client(socket, peer) => self.admit(number, socket, peer),
            Accepted::Gone | Accepted::Empty => Ok(None),
            Accepted::Starved(error) => {
                tracing::warn!(%error, "cannot accept a client");
                way.listener.pause_starved(now);
                Ok(None)
            }
        }
    }

    fn admit(
        &self,
        number: usize,
        socket: Socket,
        peer: PeerAddr,
    ) -> Result<Option<Arrival>, OverLimit> {
        let ingress = self.ways[number].ingress.as_ref();
        if !may_come(&self.clients, peer) {
            tracing::warn!(%peer, "refused: --clients does not admit it");
            Endpoint::accepted(socket, peer).reset_on_close();
            return Ok(None);
        }
        let place = match &self.per_client {
            None => None,
            Some(per_client) => match per_client.enter(peer.ip()) {
                Some(place) => Some(place),
                None => {
                    tracing::debug!(%peer, "refused: --max-per-client is reached for this address");
                    let words = ingress.map(|ingress| ingress.over_limit());
                    turn_away(&socket, &words.unwrap_or_default());
                    return Err(OverLimit);
                }
            },
        };
        Ok(Some(Arrival {
            opening: ingress.map(|ingress| ingress.open(&Client::new(peer, socket.as_fd()))),
            endpoint: Endpoint::accepted(socket, peer),
            ending: None,
            place,
        }))
    }
}

/// Closes a client at once, with a last word if its protocol has one.
fn turn_away(mut socket: &Socket, words: &[u8]) {
    if words.is_empty() {
        // It fails only on a socket that is broken already.
        let _ = socket.set_linger(Some(Duration::ZERO));
        return;
    }
    // A close(2) with unread bytes sends a reset, which may overtake the words. The client learns of either at its next
    // read, so that no error of ours matters.
    let _ = socket.read(&mut [0; UNWANTED]);
    let _ = socket.write(words);
}

/// Bytes that are taken from a client that is turned away.
const UNWANTED: usize = 4096;

/// Returns whether a peer is among the clients that may come; one at a Unix socket counts as 127.0.0.1, because only
/// programs of this machine get there.
pub(super) fn may_come(clients: &Clients, peer: PeerAddr) -> bool {
    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
    clients.contains(peer.socket_addr().map_or(here, |address| address.ip()))
}
