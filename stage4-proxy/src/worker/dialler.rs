//! The sockets on the way to the upstream: begun, raced, and the winner put into its cell.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stage3_epoll::Poll;

use crate::address::PeerAddr;
use crate::connect_error::ConnectError;
use crate::egress::Egress;
use crate::egress::attempts::{Attempts, Concluded, Racer};
use crate::endpoint::Endpoint;
use crate::race::{Race, Step};
use crate::route_table::RouteTable;
use crate::session::{Next, Phase, Session};
use crate::token::{Side, Token};
use crate::unix;

/// What the attempts of one session need of its worker.
///
/// A session has one cell for its upstream, and a race has several sockets. So the token of a racing
/// socket is in no cell: it stays with its socket, in the session's phase, and moves into the cell when
/// the socket has won. Its generation is minted like any other, so no event of an earlier socket can
/// equal it.
pub(super) struct Dialler<'a> {
    egress: &'a mut Egress,
    poll: &'a Poll,
    table: &'a mut RouteTable<Session>,
    row: u32,
}

impl<'a> Dialler<'a> {
    /// Borrows from a worker for the session in `row`.
    pub(super) fn new(
        egress: &'a mut Egress,
        poll: &'a Poll,
        table: &'a mut RouteTable<Session>,
        row: u32,
    ) -> Self {
        Self {
            egress,
            poll,
            table,
            row,
        }
    }

    /// Begins to connect: to the only address, or to the first of a race between several.
    ///
    /// # Errors
    ///
    /// Fails with the last reason if no attempt is in progress now.
    pub(super) fn begin(
        mut self,
        addresses: &[SocketAddr],
        limit: Duration,
        now: Instant,
    ) -> Result<(), ConnectError> {
        if let &[address] = addresses {
            return self.begin_only(address, now);
        }
        let Some(session) = self.table.row_mut(self.row) else {
            return Ok(());
        };
        let mut race = Race::new(addresses, limit, now);
        let target = session.target.as_ref();
        if let Some(address) = target.and_then(|target| self.egress.remembered(target, now)) {
            race.favour(address);
        }
        session.enter(Phase::Connecting(Attempts::Race(Box::new(race))), now);
        let nothing = io::Error::other("the name has no address");
        self.go_on(ConnectError::Resolve(nothing), now)
    }

    /// Connects to a Unix socket, which is done at once or fails.
    pub(super) fn connect_unix(mut self, path: &Arc<Path>, now: Instant) -> Next {
        if let Some(session) = self.table.row_mut(self.row) {
            session.facts.asked(now - session.opened);
            session.facts.goes_to_unix(path);
        }
        let begun = self.begin_unix(path, now);
        begun.map_or_else(|error| Next::Refuse(error.into()), |()| Next::Wait)
    }

    /// Makes the socket the session's upstream; its first event says that it is connected.
    fn begin_unix(&mut self, path: &Path, now: Instant) -> Result<(), ConnectError> {
        let endpoint = Endpoint::connecting(unix::connect(path)?, PeerAddr::Unix);
        let (_, endpoint) = self.register(endpoint)?;
        self.begin_with(endpoint, now);
        Ok(())
    }

    /// Begins to connect to the only address: its socket is the session's upstream from now on.
    fn begin_only(&mut self, address: SocketAddr, now: Instant) -> Result<(), ConnectError> {
        let (_, endpoint) = self.dial(address)?;
        self.begin_with(endpoint, now);
        Ok(())
    }

    fn begin_with(&mut self, endpoint: Endpoint, now: Instant) {
        if let Some(session) = self.table.row_mut(self.row) {
            session.upstream = Some(endpoint);
            session.enter(Phase::Connecting(Attempts::Only { since: now }), now);
        }
    }

    /// Goes on with a race: ends the attempts whose time is over, and begins those that are due.
    ///
    /// # Errors
    ///
    /// Fails if no attempt is in progress and no address is left; the reason is `error`, or that of
    /// an address that has failed meanwhile.
    pub(super) fn go_on(
        mut self,
        mut error: ConnectError,
        now: Instant,
    ) -> Result<(), ConnectError> {
        while let Some(race) = self.race() {
            match race.step(now) {
                Step::Wait => return Ok(()),
                Step::Over => return Err(error),
                Step::Dial(address) => {
                    if let Err(failure) = self.add_racer(address, now) {
                        error = failure;
                    }
                }
            }
        }
        // The only attempt has failed, or its time is over: no event of its socket may come any more.
        self.table.vacate(self.row, Side::Upstream);
        if let Some(session) = self.table.row_mut(self.row) {
            session.upstream = None;
        }
        Err(error)
    }

    /// Begins one more attempt of a race, or puts it off if it has no descriptor.
    fn add_racer(&mut self, address: SocketAddr, now: Instant) -> Result<(), ConnectError> {
        let is_extra = self.race().is_some_and(|race| race.is_running());
        let permit = is_extra.then(|| self.egress.permit()).flatten();
        if is_extra && permit.is_none() {
            self.race().into_iter().for_each(|race| race.put_off(now));
            return Ok(());
        }
        let begun = self.dial(address);
        // The token stays with the racer until it has won.
        self.table.vacate(self.row, Side::Upstream);
        let begun = begun.map(|(token, endpoint)| Racer::new(token, endpoint, permit));
        self.race()
            .map_or(Ok(()), |race| race.dialled_or_put_off(begun, now))
    }

    /// Begins to connect to an address; the token of the socket is in the upstream's cell.
    fn dial(&mut self, address: SocketAddr) -> Result<(Token, Endpoint), ConnectError> {
        let session = self.table.row_mut(self.row);
        let target = session.and_then(|session| session.target.as_deref());
        let endpoint = self.egress.dial(address, target)?;
        self.register(endpoint)
    }

    /// Watches a socket; its token is in the upstream's cell.
    fn register(&mut self, endpoint: Endpoint) -> Result<(Token, Endpoint), ConnectError> {
        let token = self.table.mint(self.row, Side::Upstream);
        let registered = self.poll.register(
            &endpoint,
            stage3_epoll::Token(token.pack()),
            endpoint.interest(),
        );
        registered.map_err(ConnectError::Other)?;
        Ok((token, endpoint))
    }

    /// Makes a socket that is connected the session's upstream, which begins to relay, or to tell the
    /// hops of a chain.
    ///
    /// The losers of the race are closed with the phase.
    pub(super) fn settle(self, winner: Concluded, now: Instant) {
        if let Some(token) = winner.token {
            self.table.adopt(token);
        }
        let Some(session) = self.table.row_mut(self.row) else {
            return;
        };
        let address = winner.endpoint.peer_addr().socket_addr();
        if let (Some(_), Some(target), Some(address)) = (winner.token, &session.target, address) {
            self.egress.remember(target, address, now);
        }
        session.upstream = Some(winner.endpoint);
        let target = session.target.as_deref();
        match target.and_then(|target| self.egress.passage(target)) {
            Some(passage) => session.enter(Phase::Chaining(Box::new(passage)), now),
            None => session.connected(now),
        }
    }

    fn race(&mut self) -> Option<&mut Race<Racer>> {
        self.table.row_mut(self.row).and_then(Session::race_mut)
    }
}
