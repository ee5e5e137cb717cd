//! The server's end of the bridge: the race between the addresses of one target, until one of them is connected.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::Target;
use stage4_proxy::chain::{Response, Status};
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::race::{Attempt, Step};

use crate::tokens;
use crate::tunnel::bridge::{Bridge, Front};
use crate::tunnel::local::Phase;
use crate::tunnel::racing::{Egress, Racer};
use crate::tunnel::session::Session;
use crate::tunnel::wire::Wire;

impl Bridge {
    /// Begins a race between the addresses of a target.
    pub(super) fn race(
        &mut self,
        row: u32,
        target: &Arc<Target>,
        addresses: &[SocketAddr],
        now: Instant,
    ) {
        let limit = self.limits.connect_timeout;
        let racing = self
            .egress()
            .map(|egress| egress.race(Arc::clone(target), addresses, limit, now));
        if let Some(racing) = racing {
            self.set_phase(row, Phase::Connecting(Box::new(racing)));
        }
    }

    /// Goes on with a race: begins the attempts that are due, or gives up for `error` if none is left.
    pub(super) fn go_on<W: Wire>(
        &mut self,
        row: u32,
        mut error: ConnectError,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        while let Some(Phase::Connecting(racing)) =
            self.locals.get_mut(row).map(|local| &mut local.phase)
        {
            match racing.race.step(now) {
                Step::Wait => {
                    let until = racing.race.deadline();
                    return self.locals.timers.set(row, until);
                }
                Step::Over => {
                    let target = Arc::clone(&racing.target);
                    if let Some(egress) = self.egress() {
                        egress.resolver.distrust(&target, now);
                    }
                    let refusal = self.unreached(&target, &error);
                    return self.refuse_stream(row, &refusal, session, now);
                }
                Step::Dial(address) => {
                    let target = Arc::clone(&racing.target);
                    if let Err(failure) = self.add_racer(row, address, &target, now) {
                        error = failure;
                    }
                }
            }
        }
    }

    /// Begins one more attempt of a race, or puts it off if it has no descriptor.
    fn add_racer(
        &mut self,
        row: u32,
        address: SocketAddr,
        target: &Target,
        now: Instant,
    ) -> Result<(), ConnectError> {
        let racing = self.locals.racing_mut(row);
        let is_extra = racing.is_some_and(|racing| racing.race.is_running());
        let permit = self.egress().filter(|_| is_extra).and_then(Egress::permit);
        if is_extra && permit.is_none() {
            if let Some(racing) = self.locals.racing_mut(row) {
                racing.race.put_off(now);
            }
            return Ok(());
        }
        let begun = self.begin(row, address, target);
        let begun = begun.map(|racer| Racer {
            _permit: permit,
            ..racer
        });
        let racing = self.locals.racing_mut(row);
        racing.map_or(Ok(()), |racing| racing.race.dialled_or_put_off(begun, now))
    }

    fn begin(
        &mut self,
        row: u32,
        address: SocketAddr,
        target: &Target,
    ) -> Result<Racer, ConnectError> {
        let no_egress = || ConnectError::Other(io::Error::other("this end dials no targets"));
        let egress = self.egress().ok_or_else(no_egress)?;
        let endpoint = egress.dial(address, target, self.limits.keepalive)?;
        let token = self.locals.mint_racer(row);
        endpoint
            .register(&self.registry, tokens::pack(token))
            .map_err(ConnectError::Other)?;
        Ok(Racer {
            token,
            endpoint,
            _permit: None,
        })
    }

    /// Asks the kernel how attempts have ended of which an event hints that they have.
    pub(super) fn conclude<W: Wire>(
        &mut self,
        row: u32,
        mut session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        while let Some(racing) = self.locals.racing_mut(row) {
            let has_ended = |attempt: &Attempt<Racer>| attempt.socket.endpoint.is_writable();
            let Some(ended) = racing.race.end(has_ended, now) else {
                return;
            };
            match ended.socket.endpoint.take_error() {
                Ok(()) => return self.reached(row, ended.socket, session, now),
                Err(error) => self.go_on(row, error.into(), session.as_deref_mut(), now),
            }
        }
    }

    /// Makes the winner of a race the local side of its stream; the losers are closed.
    fn reached<W: Wire>(
        &mut self,
        row: u32,
        winner: Racer,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        self.locals.adopt(winner.token);
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let address = winner.endpoint.peer_addr().socket_addr();
        let phase = std::mem::replace(&mut local.phase, Phase::Open);
        local.socket = Some(winner.endpoint);
        let key = local.key;
        if let Front::Upstream(egress) = &mut self.front {
            if let (Phase::Connecting(racing), Some(address)) = (phase, address) {
                egress.remember(&racing.target, address, now);
            }
            if egress.upstream.is_none() {
                local.lead.append(&connected().encode());
            }
        }
        self.locals.timers.set(row, None);
        if let (Some(session), Some(key)) = (session, key) {
            session.accept(key);
        }
    }
}

fn connected() -> Response {
    let (status, text) = (Status::Ok, String::new());
    Response { status, text }
}
