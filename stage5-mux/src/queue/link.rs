//! The one socket to the upstream: the name, the addresses, the connection.
//!
//! The link is opened when a request needs it and kept until the upstream closes it or no request
//! has come for a while. There is never a second connection: the old socket is closed before a new
//! one is connected, and of several attempts at the same time (see [`stage4_proxy::race`]) one wins.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;
use stage1_server::Keepalive;
use stage2_client::{Target, start_connect};
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::race::{Race, Step};
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
    /// The addresses of the name, until the first connect.
    found: Vec<SocketAddr>,
    /// The attempts to connect, until one of them has won.
    race: Option<Race<Racer>>,
    /// Why the last attempt that has ended has failed.
    failure: Option<ConnectError>,
    /// The connection.
    endpoint: Option<Endpoint>,
    /// The token of the connection, because events of an earlier one may still be in the batch.
    token: Token,
    /// The number of the newest socket.
    generation: u32,
    /// The bound on acknowledgements that [`Link::doubt`] has replaced.
    usual: Option<Option<Duration>>,
}

/// A socket whose connect(2) is in progress.
#[derive(Debug)]
struct Racer {
    token: Token,
    endpoint: Endpoint,
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
    pub(super) fn new(target: Arc<Target>, resolver: Resolver, mailbox: Mailbox<Message>) -> Self {
        Self {
            target,
            resolver,
            keepalive: None,
            mailbox,
            ticket: None,
            worked: None,
            found: Vec::new(),
            race: None,
            failure: None,
            endpoint: None,
            token: Token::link(0),
            generation: 0,
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

    /// Gives an event to the socket that its token names; returns whether there is one.
    pub(super) fn note(&mut self, token: Token, event: &Event) -> bool {
        let racers = self.race.iter_mut().flat_map(Race::sockets_mut);
        let racer = racers.filter(|racer| racer.token == token);
        let present = self.endpoint.iter_mut().filter(|_| token == self.token);
        let named = racer.map(|racer| &mut racer.endpoint).chain(present).next();
        named.is_some_and(|endpoint| {
            endpoint.note(event);
            true
        })
    }

    /// Returns the socket to be shown: the connection, or the newest attempt.
    pub(super) fn shown(&self) -> Option<&Endpoint> {
        let newest = self.race.as_ref().and_then(Race::newest);
        self.endpoint
            .as_ref()
            .or(newest.map(|racer| &racer.endpoint))
    }

    /// Closes the connection, or the attempts.
    pub(super) fn close(&mut self) {
        self.endpoint = None;
        self.race = None;
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
        self.found = addresses;
    }

    /// Goes on with the attempts to connect: ends those that have had their `limit`, and begins those
    /// that are due. Returns whether one is in progress.
    pub(super) fn try_next(&mut self, registry: &Registry, limit: Duration, now: Instant) -> bool {
        let race = self.race.take();
        let mut race = race.unwrap_or_else(|| Race::new(&mem::take(&mut self.found), limit, now));
        loop {
            match race.step(now) {
                Step::Dial(address) => {
                    let begun = self.begin(address, registry);
                    let begun = begun.map_err(ConnectError::from);
                    if let Err(error) = race.dialled_or_put_off(begun, now) {
                        tracing::debug!(upstream = %self.target, %address, %error, "cannot connect");
                        self.failed(error);
                    }
                }
                Step::Wait => {
                    self.race = Some(race);
                    return true;
                }
                Step::Over => {
                    self.resolver.distrust(&self.target, now);
                    return false;
                }
            }
        }
    }

    /// Returns when [`Link::try_next`] is to be called while attempts are in progress.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.race.as_ref()?.deadline()
    }

    /// Asks the kernel how a connect(2) has ended, if an event hints that one has: a connection takes
    /// the place of all attempts, and the time that it took is returned.
    pub(super) fn conclude(&mut self, now: Instant) -> Option<io::Result<Duration>> {
        let race = self.race.as_mut()?;
        let attempt = race.end(|attempt| attempt.socket.endpoint.is_writable(), now)?;
        let Racer { token, endpoint } = attempt.socket;
        if let Err(error) = endpoint.take_error() {
            return Some(Err(error));
        }
        self.close();
        self.worked = endpoint.peer_addr().socket_addr();
        self.endpoint = Some(endpoint);
        self.token = token;
        Some(Ok(now - attempt.since))
    }

    /// Notes why the attempt that was the last to end has failed.
    pub(super) fn failed(&mut self, error: ConnectError) {
        self.failure = Some(error);
    }

    /// Returns why the attempt that was the last to end has failed. If none was tried, the name has no
    /// address.
    pub(super) fn take_failure(&mut self) -> ConnectError {
        let no_address = || ConnectError::Resolve(io::Error::other("the name has no address"));
        self.failure.take().unwrap_or_else(no_address)
    }

    fn begin(&mut self, address: SocketAddr, registry: &Registry) -> io::Result<Racer> {
        let socket = start_connect(address)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(keepalive) = self.keepalive {
            keepalive.set_on(&socket)?;
        }
        let endpoint = Endpoint::connecting(socket, address);
        self.generation = self.generation.wrapping_add(1);
        let token = Token::link(self.generation);
        endpoint.register(registry, tokens::pack(token))?;
        Ok(Racer { token, endpoint })
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
    /// Where the upstream is there and only slow, its kernel has acknowledged them, and nothing happens. But
    /// they must fit into its window, because the time without room there counts, too.
    pub(super) fn doubt(&mut self, time: Duration) {
        if let Some(endpoint) = &self.endpoint {
            self.usual.get_or_insert(endpoint.unacknowledged_for());
            endpoint.bound_unacknowledged(Some(time));
        }
    }

    /// Ends the doubt: the connection has brought bytes.
    pub(super) fn trust(&mut self) {
        if let (Some(usual), Some(endpoint)) = (self.usual.take(), &self.endpoint) {
            endpoint.bound_unacknowledged(usual);
        }
    }
}

#[cfg(test)]
mod tests;
