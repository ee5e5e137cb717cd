//! This end connects: a name, its addresses, a connect(2) to one after the other; or a transport that is there at once.

use std::io;
use std::time::Instant;

use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::resolve::{Answer, Resolution};

use crate::endpoint::Endpoint;
use crate::tokens;
use crate::tunnel::dial::Dial;
use crate::tunnel::link::State;
use crate::tunnel::linker::{Linker, Via};
use crate::tunnel::message::Message;
use crate::tunnel::transport::Carrier;
use crate::tunnel::wire::Wire;

impl<W: Wire + Copy> Linker<W> {
    /// Begins an attempt to make the link.
    pub(super) fn find_peer(&mut self, now: Instant) -> Result<(), String> {
        let route = match &mut self.via {
            Via::Connect(route, _) => route,
            Via::Open(opener) => {
                let opened = opener.open();
                return self.take_opened(opened, now);
            }
            Via::Listen(_) => return Ok(()),
        };
        let token = self.link.mint();
        let mailbox = self.mailbox.clone();
        let deliver = move |answer| mailbox.send(Message::Resolved(token, answer));
        match route.resolver.resolve(&route.target, now, deliver) {
            Ok(Resolution::Known(addresses)) => self.dial(Ok(addresses), now),
            Ok(Resolution::Asked(ticket)) => {
                self.link.state = State::Resolving { _ticket: ticket };
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn take_opened(
        &mut self,
        opened: io::Result<Box<dyn Carrier>>,
        now: Instant,
    ) -> Result<(), String> {
        let token = tokens::pack(self.link.mint());
        let registered = opened.and_then(|mut carrier| {
            carrier.register(&self.registry, token)?;
            Ok(carrier)
        });
        let carrier = registered.map_err(|error| error.to_string())?;
        self.begin(carrier, now);
        Ok(())
    }

    /// Takes the addresses of the peer and begins to connect.
    ///
    /// # Errors
    ///
    /// Fails with the reason if there are none, or if no connect(2) can be begun.
    pub(in crate::tunnel) fn dial(&mut self, answer: Answer, now: Instant) -> Result<(), String> {
        let addresses = answer.map_err(|error| error.to_string())?;
        let protocol = match &self.via {
            Via::Connect(_, protocol) => *protocol,
            Via::Open(_) | Via::Listen(_) => return Ok(()),
        };
        let dial = Dial::new(addresses, self.limits.connect_timeout, now);
        self.dial_next(dial.over(protocol), now)
    }

    /// Gives an address up and begins to connect to the next one.
    pub(super) fn next_address(&mut self, now: Instant) -> Result<(), String> {
        let down = State::Down { retry_at: None };
        match std::mem::replace(&mut self.link.state, down) {
            State::Connecting { dial, endpoint } => {
                drop(endpoint);
                self.dial_next(dial, now)
            }
            State::Down { .. } | State::Resolving { .. } | State::Proving(_) | State::Up(_) => {
                Ok(())
            }
        }
    }

    fn dial_next(&mut self, mut dial: Dial, now: Instant) -> Result<(), String> {
        let begun: Result<Endpoint, ConnectError> = dial.next(self.limits.keepalive, now);
        let registered = begun.and_then(|endpoint| Ok(self.register(endpoint)?));
        let endpoint = registered.map_err(|error| error.to_string())?;
        self.link.state = State::Connecting { dial, endpoint };
        Ok(())
    }

    /// Asks the kernel whether a connect(2) has ended, after an event of the link.
    ///
    /// # Errors
    ///
    /// Fails with the reason if it has failed, and no address is left.
    pub(in crate::tunnel) fn conclude(&mut self, now: Instant) -> Result<(), String> {
        let State::Connecting { dial, endpoint } = &mut self.link.state else {
            return Ok(());
        };
        if !endpoint.is_writable() {
            return Ok(());
        }
        if let Err(error) = endpoint.take_error() {
            dial.failed(error.into());
            return self.next_address(now);
        }
        let state = std::mem::replace(&mut self.link.state, State::Down { retry_at: None });
        if let State::Connecting { endpoint, .. } = state {
            self.begin(Box::new(endpoint), now);
        }
        Ok(())
    }
}
