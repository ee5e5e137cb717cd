//! What the session sends, as its peer reads it.

use stage5_mux::tunnel::frame::{Frame, Reason, Signals, StreamId};
use stage5_mux::tunnel::reader::Piece;
use stage5_mux::tunnel::role::Opener;
use stage5_mux::tunnel::session::State;

use crate::hostile::Hostile;
use crate::speak::Speak;

/// Bytes of frames without payload that may wait for each stream: an opening or an acceptance, credit, an end and three
/// resets, of twelve bytes each.
const CONTROL_BYTES: usize = 6 * 12;

impl<W: Speak> Hostile<W> {
    /// Lets the link take at most `max` bytes.
    pub(super) fn transmit(&mut self, max: usize) {
        let has_something = self.session.poll_transmit(&mut self.locals);
        for id in std::mem::take(&mut self.locals.failed) {
            self.ledger.life(id).resets_owed += 1;
        }
        let slices: Vec<_> = self.session.slices().collect();
        let mut bytes = slices.concat();
        assert!(!has_something || !bytes.is_empty());
        let bound =
            self.limits.batch + W::MAX_SLICE + (self.limits.max_streams + 1) * CONTROL_BYTES;
        assert!(
            bytes.len() <= bound,
            "{} bytes wait, and {bound} may",
            bytes.len()
        );
        bytes.truncate(max);
        self.session.handle_written(bytes.len(), self.now);
        self.depart(&bytes);
        self.forget_ended();
        self.receive();
    }

    /// Reads the bytes as the peer does.
    fn depart(&mut self, mut bytes: &[u8]) {
        loop {
            let (wire, reader) = &mut self.peer;
            match reader.take(wire, &mut bytes, usize::MAX) {
                Ok(Some(Piece::Frame(frame))) => {
                    self.departed = Some(frame);
                    self.on_departure(frame);
                }
                Ok(Some(Piece::Payload(payload))) => self.on_departed_bytes(payload),
                Ok(None) => return,
                Err(violation) => panic!("we break the protocol: {violation}"),
            }
        }
    }

    fn on_departure(&mut self, frame: Frame) {
        if let Frame::Stream { id, signals, body } = frame {
            self.ledger.check_departure(flip(id), signals, body);
            if signals.contains(Signals::FINISH)
                && let Some(key) = self.key_of(flip(id))
                && let Some(local) = self.locals.rows.get_mut(&key)
            {
                local.has_finished = true;
            }
        }
    }

    fn on_departed_bytes(&mut self, bytes: &[u8]) {
        if let Some(Frame::Stream { id, .. }) = self.departed {
            let left = self.peer.1.payload_left();
            self.ledger.check_content(flip(id), bytes, left);
        }
    }

    /// Lets the link take everything that is there, and checks that this comes to an end.
    pub(super) fn drain(&mut self) {
        let mut turns = 0;
        while self.session.wants_transmit() {
            self.transmit(usize::MAX);
            turns += 1;
            assert!(turns < 100_000, "there is always something to send");
        }
        if self.session.state() == State::Failed && W::HAS_WINDOWS {
            assert_eq!(self.departed, Some(Frame::GoAway(Reason::ProtocolError)));
        }
    }
}

/// Returns the name of a stream at the other end.
fn flip(id: StreamId) -> StreamId {
    let opener = match id.opener {
        Opener::Us => Opener::Peer,
        Opener::Peer => Opener::Us,
    };
    StreamId { opener, ..id }
}
