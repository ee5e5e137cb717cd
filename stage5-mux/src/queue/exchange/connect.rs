//! Opening the upstream connection: its name, its addresses, a non-blocking connect(2).

use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::resolve::Answer;

use crate::endpoint::Endpoint;
use crate::queue::exchange::attempt::Attempt;
use crate::queue::exchange::{Exchange, Lent, Step};
use crate::queue::framing::{Framing, Refusal};
use crate::queue::link::Addresses;
use crate::queue::upstream::{Event, State};

const NO_ADDRESS: Refusal = Refusal::BadGateway("the upstream's name has no address");
const REFUSED: Refusal = Refusal::BadGateway("the upstream cannot be reached");

impl<F: Framing> Exchange<F> {
    /// Closes what there is and begins to connect, for a request that leaves from its beginning.
    pub(super) fn reconnect(&mut self) -> Step {
        self.link.close();
        self.attempt = Attempt::FindAddresses;
        if let Some(flight) = &mut self.flight {
            flight.rewind();
        }
        Step::Again
    }

    /// Makes one step towards a connection.
    pub(super) fn connect(&mut self, lent: &mut Lent<'_>) -> Step {
        match self.attempt {
            Attempt::FindAddresses => self.find_addresses(lent),
            Attempt::Resolving => Step::Wait,
            Attempt::NextAddress(refusal) => self.try_next_address(refusal, lent),
            Attempt::Pending => self.conclude_connect(lent),
        }
    }

    fn find_addresses(&mut self, lent: &mut Lent<'_>) -> Step {
        match self.link.find_addresses(lent.now) {
            Ok(Addresses::Known) => self.attempt = Attempt::NextAddress(REFUSED),
            Ok(Addresses::Asked) => self.attempt = Attempt::Resolving,
            Err(error) => return self.unreached(&error, NO_ADDRESS, lent),
        }
        Step::Again
    }

    /// Takes the resolver's answer; one that came too late is in the resolver's cache.
    pub(in crate::queue) fn resolved(&mut self, answer: Answer, lent: &mut Lent<'_>) -> Step {
        if self.machine.state() != State::Connecting || self.attempt != Attempt::Resolving {
            return Step::Again;
        }
        match answer {
            Ok(addresses) => {
                self.link.found(addresses);
                self.attempt = Attempt::NextAddress(NO_ADDRESS);
                Step::Again
            }
            Err(error) => self.unreached(&error, NO_ADDRESS, lent),
        }
    }

    /// Goes on to the addresses that are due, or gives up with `refusal` if no attempt is in progress.
    fn try_next_address(&mut self, refusal: Refusal, lent: &mut Lent<'_>) -> Step {
        let limit = lent.limits.connect_timeout;
        if self.link.try_next(lent.registry, limit, lent.now) {
            self.attempt = Attempt::Pending;
            return self.tell(Event::Attempt, lent.now);
        }
        let error = self.link.take_failure();
        self.unreached(&error, refusal, lent)
    }

    /// Asks the kernel how connect(2) has ended, when an event hints that it has.
    fn conclude_connect(&mut self, lent: &mut Lent<'_>) -> Step {
        match self.link.conclude(lent.now) {
            None => Step::Wait,
            Some(Ok(latency)) => {
                // The upstream may have spoken first, and the event for it may be read later.
                self.link
                    .endpoint_mut()
                    .into_iter()
                    .for_each(Endpoint::assume_readable);
                lent.totals.connect_latency.record(latency);
                self.tell(Event::Connected, lent.now)
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "cannot connect to this address");
                self.link.failed(error.into());
                self.attempt = Attempt::NextAddress(REFUSED);
                Step::Again
            }
        }
    }

    fn unreached(&mut self, error: &ConnectError, refusal: Refusal, lent: &mut Lent<'_>) -> Step {
        lent.log.unreached(self.link.target(), error, lent.now);
        lent.totals.failures.count(error);
        self.tell(Event::Unreached(refusal), lent.now)
    }
}
