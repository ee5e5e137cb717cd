//! What must hold for a session, whatever its peer and its local sides do.

use stage5_mux::tunnel::frame::{Body, Frame, Signals, StreamId, Violation};
use stage5_mux::tunnel::key::StreamKey;
use stage5_mux::tunnel::role::Opener;
use stage5_mux::tunnel::stream::Fate;

use crate::hostile::Hostile;
use crate::locals::Local;
use crate::speak::Speak;

impl<W: Speak> Hostile<W> {
    /// Notes a frame of the peer, before the session sees it.
    pub(super) fn note(&mut self, frame: Frame) {
        let Frame::Stream { id, signals, body } = frame else {
            return;
        };
        let key = self.key_of(id);
        self.ledger.note_arrival(frame);
        if signals.contains(Signals::RESET) {
            return;
        }
        let opens = signals.contains(Signals::OPEN) && id.opener == Opener::Peer;
        let is_behind_end = matches!(body, Body::Payload(1..))
            && key.is_some_and(|key| self.locals.rows[&key].got_end);
        // An opening is refused, unless an event says that it is not.
        if opens && key.is_none() || is_behind_end {
            self.ledger.life(id).resets_owed += 1;
        }
    }

    /// Returns the stream that has this number on the wire now.
    pub(super) fn key_of(&self, id: StreamId) -> Option<StreamKey> {
        let is_on_wire = |local: &Local| local.id == id && !(local.got_end && local.has_finished);
        let mut rows = self.locals.rows.iter();
        rows.find(|(_, local)| is_on_wire(local))
            .map(|(&key, _)| key)
    }

    pub(super) fn on_opened(&mut self, key: StreamKey) {
        let id = self.current().expect("a frame opens it");
        assert_eq!(id.opener, Opener::Peer);
        self.ledger.life(id).resets_owed -= 1;
        let earlier = self.locals.rows.insert(key, Local::new(id));
        assert!(earlier.is_none(), "a handle names two streams");
    }

    pub(super) fn on_payload(&mut self, key: StreamKey, length: usize) {
        let current = self.current();
        let max = self.ledger.max_held();
        let local = self.locals.rows.get_mut(&key).expect("bytes of no stream");
        assert!(length > 0 && !local.got_end && Some(local.id) == current);
        local.held += length as u64;
        assert!(
            local.held <= max,
            "{} bytes are held, and {max} may be",
            local.held
        );
    }

    /// The peer has reset a stream, or has sent bytes behind its end.
    pub(super) fn check_reset(&self, id: StreamId) {
        let Some(Frame::Stream {
            id: current,
            signals,
            body,
        }) = self.arrived
        else {
            panic!("no frame resets {id}");
        };
        let is_behind_end = matches!(body, Body::Payload(1..));
        assert!(current == id && (signals.contains(Signals::RESET) || is_behind_end));
    }

    /// Checks that the peer has done what it is blamed for.
    pub(super) fn check_violation(&self, found: Violation, by_decoder: Option<Violation>) {
        if by_decoder.is_some() {
            return assert_eq!(Some(found), by_decoder);
        }
        let Some(Frame::Stream { id, signals, .. }) = self.arrived else {
            panic!("{found}, although no frame of a stream has come");
        };
        let is_true = match found {
            Violation::WrongParity => signals.contains(Signals::OPEN) && id.opener == Opener::Us,
            Violation::OpenedTwice => signals.contains(Signals::OPEN) && self.key_of(id).is_some(),
            Violation::WindowOverrun => self.ledger.is_overrun(id),
            Violation::CreditOverflow => self.ledger.overflows(id),
            Violation::TooManyRefused => self.ledger.life_of(id).resets_owed > 0,
            Violation::UnknownVersion
            | Violation::UnknownType
            | Violation::StreamZero
            | Violation::FrameTooLong
            | Violation::NumberTooLarge => false,
        };
        assert!(
            is_true || self.ledger.is_blurred,
            "{found}: the peer has not done that"
        );
    }

    /// Checks what holds after each step.
    pub(super) fn check(&self) {
        self.session.check_invariants();
        assert!(self.session.streams() <= self.limits.max_streams);
        if !self.failed && !self.ledger.is_blurred {
            assert_eq!(
                self.session.streams(),
                self.locals.rows.len(),
                "those that are over are forgotten"
            );
        }
    }

    /// Forgets the local sides of streams that are over.
    pub(super) fn forget_ended(&mut self) {
        let is_over = |local: &Local| local.got_end && local.has_finished && local.held == 0;
        self.locals.rows.retain(|_, local| !is_over(local));
    }

    /// Ends the session: the peer gets what is still to be said, and each stream its fate.
    pub(super) fn end(mut self) {
        self.drain();
        if !self.failed && !self.ledger.is_blurred {
            let lives = self.ledger.lives.iter();
            let owed: Vec<_> = lives
                .filter(|(id, life)| id.opener == Opener::Peer && life.resets_owed > 0)
                .collect();
            assert!(owed.is_empty(), "never told: {owed:?}");
        }
        let fates = self.session.handle_lost_link();
        if self.ledger.is_blurred {
            return;
        }
        assert_eq!(
            fates.len(),
            self.locals.rows.len(),
            "each stream has a fate"
        );
        for (key, fate) in fates {
            let local = &self.locals.rows[&key];
            let expected = match (local.got_end, local.has_finished) {
                (false, _) => Fate::Truncated,
                (true, false) => Fate::Unsent,
                (true, true) => Fate::Complete,
            };
            assert_eq!(fate, expected, "{local:?}");
        }
    }
}
