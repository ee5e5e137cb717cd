//! How the session of a client begins: with the header of a peer that speaks for it, with the handshake of
//! the ingress, or with a target.
//!
//! ```text
//!   accept(2) ──▶ in --accept-proxy? ── no ──────────────────────────▶ grant ──▶ the ingress opens
//!                        │ yes                                            ▲
//!                        └──▶ Preamble ──▶ identify: is the client ───────┘
//!                                          in --clients?
//! ```

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::{Host, Target};

use crate::access::{Clients, PerClient};
use crate::endpoint::Endpoint;
use crate::ingress::conversation::Conversation;
use crate::ingress::{Client, Datagrams, Ingress, Opening};
use crate::proxy_protocol::{Origin, Preamble, ProxyProtocol};
use crate::session::{Granted, Next, Reason, Session};

/// Decides how each session begins; free of I/O, but for the addresses that an ingress asks the kernel for.
#[derive(Clone, Debug)]
pub(crate) struct Reception {
    /// The way in.
    pub(crate) ingress: Arc<dyn Ingress>,
    /// Which clients may come.
    pub(crate) clients: Clients,
    /// Which peers speak for their clients, and whether targets are told of ours.
    pub(crate) proxy_protocol: ProxyProtocol,
    /// How many sessions each client may have, if there is a bound.
    pub(crate) per_client: Option<PerClient>,
    /// The bytes that a handshake may have.
    pub(crate) max_handshake: usize,
}

/// The client's address has as many sessions as it may have.
#[derive(Clone, Copy, Debug)]
struct OverLimit;

impl Reception {
    /// Returns the name of the ingress.
    pub(crate) fn ingress_name(&self) -> &'static str {
        self.ingress.name()
    }

    /// Returns what datagrams of clients mean, or `None` if the ingress has none.
    pub(super) fn datagrams(&self) -> Option<Datagrams> {
        self.ingress.datagrams()
    }

    /// Returns the addresses that accept(2) lets pass: those of clients, and of peers that speak for clients.
    pub(crate) fn admitted(&self) -> Clients {
        self.clients.or(&self.proxy_protocol.accept)
    }

    /// Encodes what a client over the limit is told; see [`Ingress::over_limit`].
    pub(super) fn over_limit(&self) -> Vec<u8> {
        self.ingress.over_limit()
    }

    /// Creates the session of a client that was accepted; returns where to connect if that is known already.
    ///
    /// # Errors
    ///
    /// Gives the client back if its address has as many sessions as it may have.
    pub(super) fn receive(
        &self,
        client: Endpoint,
        now: Instant,
    ) -> Result<(Session, Option<Next>), Endpoint> {
        let address = client.peer_addr().ip();
        if self.proxy_protocol.is_expected(address) {
            // Its header will say whose session it is, and only then does it count.
            let mut session = Session::new(client, None, now);
            let preamble = Conversation::new(Box::new(Preamble), self.max_handshake);
            session.begin(Some(preamble));
            return Ok((session, None));
        }
        let Ok(granted) = self.grant(address) else {
            return Err(client);
        };
        let mut session = Session::new(client, None, now);
        session.granted = granted;
        let next = self.open(&mut session, None);
        Ok((session, next))
    }

    /// Begins anew with the client that a header has named, which is judged like one that was accepted.
    pub(super) fn identify(&self, session: &mut Session, origin: &Origin) -> Next {
        let destination = match *origin {
            Origin::Client {
                source,
                destination,
            } => {
                session.client.speaks_for(source);
                Some(destination)
            }
            // The sender is the client then, so --clients must have its address, too.
            Origin::Sender => None,
        };
        if !self.clients.contains(session.client.peer_addr().ip()) {
            return Next::Refuse(Reason::NotAdmitted);
        }
        let Ok(granted) = self.grant(session.client.peer_addr().ip()) else {
            session.down.half.keep(&self.over_limit());
            return Next::Refuse(Reason::OverLimit);
        };
        session.granted = granted;
        // The rest of the bytes is there already, so no event would come for it.
        self.open(session, destination).unwrap_or(Next::Again)
    }

    /// Takes the client's place among the sessions of its address.
    fn grant(&self, client: IpAddr) -> Result<Option<Box<Granted>>, OverLimit> {
        let Some(per_client) = &self.per_client else {
            return Ok(None);
        };
        let place = Some(per_client.enter(client).ok_or(OverLimit)?);
        let user = None;
        Ok(Some(Box::new(Granted { user, place })))
    }

    /// Asks the ingress how the session goes on; `destination` is the address that the client has connected to, if
    /// it is not that of our own socket.
    fn open(&self, session: &mut Session, destination: Option<SocketAddr>) -> Option<Next> {
        let client = Client::new(session.client.peer_addr(), session.client.as_fd());
        let opening = self.ingress.open(&client);
        let destination = match opening {
            // Our own address is not the one that this client knows.
            Opening::Redirected(wanted) => Some(wanted),
            Opening::Target(_) | Opening::Unix(_) | Opening::Handshake(_) | Opening::Refuse(_) => {
                destination
            }
        };
        let preface = self.preface(&session.client, destination);
        let next = match opening {
            Opening::Target(target) => Next::Connect(target),
            Opening::Unix(path) => Next::ConnectUnix(path),
            Opening::Redirected(wanted) => Next::Connect(Arc::new(target_at(wanted))),
            Opening::Refuse(why) => Next::Refuse(Reason::Refused(why.to_owned())),
            Opening::Handshake(handshake) => {
                let handshake = Conversation::new(handshake, self.max_handshake);
                session.begin(Some(handshake.with_preface(preface)));
                return None;
            }
        };
        session.begin(None);
        session.up.half.put_before(&preface);
        Some(next)
    }

    /// Encodes what the target gets before the client's bytes.
    fn preface(&self, client: &Endpoint, destination: Option<SocketAddr>) -> Vec<u8> {
        self.proxy_protocol.send.map_or_else(Vec::new, |version| {
            let destination = destination.or_else(|| client.local_addr());
            version.encode(client.peer_addr().socket_addr(), destination)
        })
    }
}

fn target_at(address: SocketAddr) -> Target {
    Target {
        host: Host::Address(address.ip()),
        port: address.port(),
    }
}
