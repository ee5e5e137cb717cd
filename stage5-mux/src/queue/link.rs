//! The one socket to the upstream: the name, the addresses, the connection.
//!
//! The link is opened when a request needs it and kept until the upstream closes it or no request
//! has come for a while. There is never a second one: the old socket is closed before a new one is
//! connected.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry};
use stage1_server::Keepalive;
use stage2_client::{Target, start_connect};
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::resolve::{Resolution, Resolver, Ticket};
use stage4_proxy::token::Token;

use crate::endpoint::Endpoint;
use crate::mailbox::Mailbox;
use crate::queue::message::Message;
use crate::tokens;

/// The upstream's name, its addresses, and the socket when there is one.
#[derive(Debug)]
pub(super) struct Link {
    target: Arc<Target>,
    resolver: Resolver,
    keepalive: Option<Keepalive>,
    mailbox: Mailbox<Message>,
    /// The place among those that wait for the name's addresses; to close the link is to leave it.
    ticket: Option<Ticket>,
    /// The address that worked last.
    worked: Option<SocketAddr>,
    /// The addresses that were not tried yet.
    rest: VecDeque<SocketAddr>,
    /// Why the address that was tried last has failed.
    failure: Option<ConnectError>,
    endpoint: Option<Endpoint>,
    /// The number of the socket, because events of an earlier one may still be in the batch.
    generation: u32,
    /// When the present connect was begun.
    since: Instant,
    /// The bound on acknowledgements that [`Link::doubt`] has replaced.
    usual: Option<Option<Duration>>,
}

/// Whether the upstream's addresses are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// They are, and [`Link::try_next`] tries them.
    Known,
    /// A thread resolves the name and sends the answer into the mailbox.
    Asked,
}

/// The state of a connection without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// It is open, and no byte has arrived.
    Quiet,
    /// Bytes have arrived that answer no request.
    Unasked,
    /// The upstream has closed it, or it broke.
    Ended,
}

impl Link {
    /// Creates a link that is not open.
    pub(super) fn new(
        target: Arc<Target>,
        resolver: Resolver,
        mailbox: Mailbox<Message>,
        now: Instant,
    ) -> Self {
        Self {
            target,
            resolver,
            keepalive: None,
            mailbox,
            ticket: None,
            worked: None,
            rest: VecDeque::new(),
            failure: None,
            endpoint: None,
            generation: 0,
            since: now,
            usual: None,
        }
    }

    /// Lets the kernel end a connection whose upstream has vanished.
    pub(super) fn with_keepalive(self, keepalive: Option<Keepalive>) -> Self {
        Self { keepalive, ..self }
    }

    /// Returns the upstream's name.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the resolver of the upstream's name.
    pub(super) fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Returns the socket, if there is one.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Returns the socket, if there is one.
    pub(super) fn endpoint_mut(&mut self) -> Option<&mut Endpoint> {
        self.endpoint.as_mut()
    }

    /// Returns whether an event with this token is about the present socket.
    pub(super) fn owns(&self, token: Token) -> bool {
        self.endpoint.is_some() && token == self.token()
    }

    /// Closes the socket.
    pub(super) fn close(&mut self) {
        self.endpoint = None;
        self.usual = None;
        self.ticket = None;
    }

    /// Closes the socket, and finds the addresses or has them looked up.
    ///
    /// # Errors
    ///
    /// Fails if a lookup has just failed, with its reason.
    pub(super) fn find_addresses(&mut self, now: Instant) -> Result<Addresses, ConnectError> {
        self.close();
        self.failure = None;
        let mailbox = self.mailbox.clone();
        let deliver = move |answer| mailbox.send(Message::Resolved(answer));
        match self.resolver.resolve(&self.target, now, deliver)? {
            Resolution::Known(addresses) => {
                self.found(addresses);
                Ok(Addresses::Known)
            }
            Resolution::Asked(ticket) => {
                self.ticket = Some(ticket);
                Ok(Addresses::Asked)
            }
        }
    }

    /// Takes the addresses that the resolver has found, and puts the one that worked last in front.
    pub(super) fn found(&mut self, mut addresses: Vec<SocketAddr>) {
        addresses.sort_by_key(|&address| Some(address) != self.worked);
        self.rest = addresses.into();
    }

    /// Begins to connect to the next address; returns whether there was one.
    pub(super) fn try_next(&mut self, registry: &Registry, now: Instant) -> bool {
        self.close();
        self.since = now;
        while let Some(address) = self.rest.pop_front() {
            match self.begin(address, registry) {
                Ok(()) => return true,
                Err(error) => {
                    tracing::debug!(upstream = %self.target, %address, %error, "cannot connect");
                    self.failed(error.into());
                }
            }
        }
        self.resolver.distrust(&self.target, now);
        false
    }

    /// Notes why the address that was tried last has failed.
    pub(super) fn failed(&mut self, error: ConnectError) {
        self.failure = Some(error);
    }

    /// Returns why the address that was tried last has failed. If none was tried, the name has no
    /// address.
    pub(super) fn take_failure(&mut self) -> ConnectError {
        let no_address = || ConnectError::Resolve(io::Error::other("the name has no address"));
        self.failure.take().unwrap_or_else(no_address)
    }

    fn begin(&mut self, address: SocketAddr, registry: &Registry) -> io::Result<()> {
        let socket = start_connect(address)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(keepalive) = self.keepalive {
            keepalive.set_on(&socket)?;
        }
        let mut endpoint = Endpoint::new(TcpStream::from_std(socket.into()), address);
        self.generation = self.generation.wrapping_add(1);
        let token = tokens::pack(self.token());
        registry.register(
            endpoint.socket_mut(),
            token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.endpoint = Some(endpoint);
        Ok(())
    }

    /// Notes that the connection is open, and returns how long the connect took.
    pub(super) fn connected(&mut self, now: Instant) -> Duration {
        self.rest.clear();
        self.worked = self.endpoint.as_ref().map(Endpoint::peer_addr);
        now - self.since
    }

    /// Returns whether a connection without a request is still open and silent.
    ///
    /// An end, or bytes that answer no request, may have arrived since the last event. One read
    /// before each request finds them; otherwise the request could leave on a connection that the
    /// upstream has closed, or stray bytes could be taken for its response.
    pub(super) fn idle(&mut self) -> Idle {
        let mut byte = [0];
        match self
            .endpoint
            .as_mut()
            .map(|endpoint| endpoint.probe(&mut byte))
        {
            Some(Ok(None)) => Idle::Quiet,
            Some(Ok(Some(1..))) => Idle::Unasked,
            Some(Ok(Some(0)) | Err(_)) | None => Idle::Ended,
        }
    }

    /// Lets the kernel end the connection if the bytes sent are not acknowledged within `time`.
    ///
    /// Where the upstream is there and only slow, its kernel has acknowledged them, and nothing happens.
    pub(super) fn doubt(&mut self, time: Duration) {
        if let Some(endpoint) = &self.endpoint {
            self.usual.get_or_insert(endpoint.unacknowledged_for());
            endpoint.bound_unacknowledged(Some(time));
        }
    }

    /// Ends the doubt: the connection has brought a response.
    pub(super) fn trust(&mut self) {
        if let (Some(usual), Some(endpoint)) = (self.usual.take(), &self.endpoint) {
            endpoint.bound_unacknowledged(usual);
        }
    }

    fn token(&self) -> Token {
        Token::link(self.generation)
    }
}

#[cfg(test)]
mod tests;
