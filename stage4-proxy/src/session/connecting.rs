//! The sockets of a session whose connect(2) is in progress.

use std::time::Instant;

use stage3_epoll::Event;

use crate::egress::attempts::{Attempts, Concluded, Racer};
use crate::endpoint::Endpoint;
use crate::race::Race;
use crate::session::{Phase, Session};
use crate::token::Token;

impl Session {
    /// Returns the upstream's socket to be shown: in a race, the newest attempt.
    pub(crate) fn shown_upstream(&self) -> Option<&Endpoint> {
        match &self.phase {
            Phase::Connecting(Attempts::Race(race)) => race.newest().map(|racer| &racer.endpoint),
            Phase::Connecting(Attempts::Only { .. })
            | Phase::Handshake
            | Phase::Delayed(_)
            | Phase::Resolving(_)
            | Phase::Chaining(_)
            | Phase::Relay
            | Phase::Associated
            | Phase::Forward(_)
            | Phase::Lingering
            | Phase::Aborting(_) => self.upstream.as_ref(),
        }
    }

    /// Returns the race that the session is in.
    pub(crate) fn race_mut(&mut self) -> Option<&mut Race<Racer>> {
        match &mut self.phase {
            Phase::Connecting(Attempts::Race(race)) => Some(race),
            Phase::Connecting(Attempts::Only { .. })
            | Phase::Handshake
            | Phase::Delayed(_)
            | Phase::Resolving(_)
            | Phase::Chaining(_)
            | Phase::Relay
            | Phase::Associated
            | Phase::Forward(_)
            | Phase::Lingering
            | Phase::Aborting(_) => None,
        }
    }

    /// Gives an event to the socket of the race that its token names; returns whether there is one.
    pub(crate) fn note_racer(&mut self, token: Token, event: Event) -> bool {
        let mut racers = self.race_mut().into_iter().flat_map(Race::sockets_mut);
        // The whole token is compared, so an event of an earlier socket finds none here either.
        let racer = racers.find(|racer| racer.token == token);
        racer.is_some_and(|racer| {
            racer.endpoint.note(event);
            true
        })
    }

    /// Takes the socket out whose connect(2) has ended, if an event has announced one.
    pub(crate) fn take_concluded(&mut self, now: Instant) -> Option<Concluded> {
        match &mut self.phase {
            Phase::Connecting(Attempts::Only { since }) => {
                let endpoint = self.upstream.take_if(|upstream| upstream.writable)?;
                Some(Concluded {
                    endpoint,
                    token: None,
                    since: *since,
                })
            }
            Phase::Connecting(Attempts::Race(race)) => {
                let attempt = race.end(|attempt| attempt.socket.endpoint.writable, now)?;
                Some(Concluded {
                    endpoint: attempt.socket.endpoint,
                    token: Some(attempt.socket.token),
                    since: attempt.since,
                })
            }
            Phase::Handshake
            | Phase::Delayed(_)
            | Phase::Resolving(_)
            | Phase::Chaining(_)
            | Phase::Relay
            | Phase::Associated
            | Phase::Forward(_)
            | Phase::Lingering
            | Phase::Aborting(_) => None,
        }
    }
}
