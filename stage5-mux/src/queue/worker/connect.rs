//! Opening the upstream connection: its name, its addresses, connect(2) without waiting.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use stage4_proxy::connect_error::ConnectError;

use crate::queue::framing::{Framing, Refusal};
use crate::queue::upstream::{Event, State};
use crate::queue::worker::Worker;

const NO_ADDRESS: &str = "the upstream's name has no address";
const REFUSED: &str = "the upstream cannot be reached";

impl<F: Framing> Worker<F> {
    /// Opens the connection for the request in flight.
    pub(super) fn connect(&mut self, now: Instant) {
        if let Some(flight) = &mut self.upstream.flight {
            flight.rewind();
        }
        match self.upstream.link.find_addresses(now) {
            Ok(true) => self.try_next_address(Refusal::BadGateway(REFUSED), now),
            Ok(false) => {}
            Err(error) => self.unreached(&error.into(), Refusal::BadGateway(NO_ADDRESS), now),
        }
    }

    /// The resolver has answered; nobody may need the answer any more, but it is kept.
    pub(super) fn on_resolved(
        &mut self,
        addresses: Result<Vec<SocketAddr>, ConnectError>,
        now: Instant,
    ) {
        let waits = self.upstream.machine.state() == State::Connecting
            && self.upstream.link.endpoint().is_none();
        match addresses {
            Ok(addresses) => {
                let until = now + self.limits.name_lifetime;
                self.upstream.link.found(addresses, until);
                if waits {
                    self.try_next_address(Refusal::BadGateway(NO_ADDRESS), now);
                }
            }
            Err(error) => {
                self.upstream.link.found_nothing();
                if waits {
                    self.unreached(&error, Refusal::BadGateway(NO_ADDRESS), now);
                }
            }
        }
        self.drive_upstream(now);
    }

    /// Begins to connect to the next address, or gives up with `refusal`.
    pub(super) fn try_next_address(&mut self, refusal: Refusal, now: Instant) {
        if self.upstream.link.try_next(self.poll.registry(), now) {
            return self.tell(Event::Attempt, now);
        }
        let error = if refusal == Refusal::UpstreamTimeout {
            ConnectError::TimedOut
        } else {
            ConnectError::Refused
        };
        self.unreached(&error, refusal, now);
    }

    /// Asks the kernel how connect(2) has ended, when an event hints that it has.
    pub(super) fn conclude_connect(&mut self, now: Instant) -> bool {
        let Some(endpoint) = self.upstream.link.endpoint() else {
            return false;
        };
        if !endpoint.is_writable() {
            return false;
        }
        match endpoint.take_error() {
            Ok(()) => {
                let latency = self.upstream.link.connected(now);
                self.totals.connect_latency.record(latency);
                self.tell(Event::Connected, now);
            }
            Err(error) => {
                log_attempt(&error);
                self.try_next_address(Refusal::BadGateway(REFUSED), now);
            }
        }
        true
    }

    fn unreached(&mut self, error: &ConnectError, refusal: Refusal, now: Instant) {
        let target = self.upstream.link.target();
        tracing::warn!(upstream = %target, "cannot connect: {error}");
        self.totals.failures.count(error);
        self.tell(Event::Unreached(refusal), now);
    }
}

fn log_attempt(error: &io::Error) {
    tracing::debug!(%error, "this address does not answer");
}
