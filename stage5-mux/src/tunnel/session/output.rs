//! What goes to a link: first what is owed, then payload, stream by stream.

use std::time::Instant;

use crate::tunnel::batch::{Kind, Place};
use crate::tunnel::control::Control;
use crate::tunnel::event::{Pulled, Source};
use crate::tunnel::frame::{Outgoing, Saying, StreamId};
use crate::tunnel::key::StreamKey;
use crate::tunnel::scheduler::Turn;
use crate::tunnel::session::{Session, State};
use crate::tunnel::stream::{Beginning, Outbound};
use crate::tunnel::wire::{Header, Wire};

impl<W: Wire> Session<W> {
    /// Returns whether [`Session::poll_transmit`] may have something for the link.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        let has_more = match self.state {
            State::Open | State::Leaving => self.outbox.scheduler.has_ready(),
            State::Failed => false,
            State::Closed => return false,
        };
        has_more || !self.outbox.batch.is_empty() || !self.outbox.control.is_empty()
    }

    /// Plans the next write, now that the link can take bytes, and returns whether there is anything to write.
    ///
    /// Payload is read from the local sides while it is planned, in turns, until the batch is full. After a partial
    /// write, what was planned and not begun is still overtaken by what is more urgent.
    pub fn poll_transmit(&mut self, source: &mut impl Source) -> bool {
        self.outbox.batch.begin_turn();
        let frame = self.outbox.rate.frame();
        self.outbox.scheduler.set_quantum(frame);
        match self.state {
            State::Open | State::Leaving => {
                self.plan_control();
                self.plan_payloads(source);
            }
            State::Failed => self.plan_last_word(),
            State::Closed => return false,
        }
        !self.outbox.batch.is_empty()
    }

    /// Iterates over the bytes of the next write.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.outbox.batch.slices()
    }

    /// Notes that the link has taken bytes from the front.
    ///
    /// # Panics
    ///
    /// Panics if there were not so many.
    pub fn handle_written(&mut self, bytes: usize, now: Instant) {
        let mut finished = Vec::new();
        self.outbox.batch.written(bytes, |key| finished.push(key));
        let is_full = !self.outbox.batch.is_empty();
        self.outbox.rate.written(bytes, is_full, now);
        for key in finished {
            if let Some(stream) = self.streams.get_mut(key) {
                stream.outbound = Outbound::Finished;
            }
            self.remove_if_over(key);
        }
    }

    /// Plans everything that is owed; it is bounded by the number of streams, and by the room for it.
    fn plan_control(&mut self) {
        while self.outbox.batch.has_room_for_control()
            && let Some(frame) = self.outbox.control.take_frame()
        {
            self.push(Kind::Control, frame, Place::Front);
        }
        while self.outbox.batch.has_room_for_control()
            && let Some(slot) = self.outbox.control.take_owing()
        {
            if let Some(key) = self.streams.at(slot) {
                self.plan_owed(key);
            }
        }
    }

    /// Plans the reason for which the session has failed, and forgets everything else that is owed.
    fn plan_last_word(&mut self) {
        if let Some(frame) = self.outbox.control.take_frame() {
            self.push(Kind::Control, frame, Place::Front);
        }
        self.outbox.control = Control::default();
    }

    /// Plans what a stream owes: how it begins, then its credit. One that has ended on the link owes nothing, and its
    /// number may be another stream's.
    fn plan_owed(&mut self, key: StreamKey) {
        let stream = self.streams.get_mut(key);
        let Some(stream) = stream.filter(|stream| !stream.is_off_the_link()) else {
            return;
        };
        let (id, credit) = (stream.id, std::mem::take(&mut stream.credit_owed));
        match std::mem::replace(&mut stream.beginning, Beginning::Said) {
            Beginning::OpenOwed => self.say(id, Saying::Open),
            Beginning::AcceptOwed => self.say(id, Saying::Accept),
            Beginning::Said => {}
        }
        if credit > 0 {
            self.say(id, Saying::Credit(credit));
        }
    }

    fn say(&mut self, id: StreamId, saying: Saying) {
        self.push(Kind::Control, Outgoing::Stream(id, saying), Place::Front);
    }

    fn push(&mut self, kind: Kind, frame: Outgoing, place: Place) {
        let header = self.wire.encode(frame);
        if !header.as_bytes().is_empty() {
            self.outbox.batch.push(kind, header.as_bytes(), place);
        }
    }

    fn plan_payloads(&mut self, source: &mut impl Source) {
        while self.outbox.batch.has_room()
            && self.outbox.scheduler.has_ready()
            && let Some(turn) = self.outbox.scheduler.turn()
        {
            self.plan_payload(turn, source);
        }
    }

    /// Reads the local side of the stream whose turn it is, straight into a frame.
    fn plan_payload(&mut self, turn: Turn, source: &mut impl Source) {
        let key = turn.key;
        let Some((id, length)) = self.next_slice(turn) else {
            // It is woken by credit.
            return self.outbox.scheduler.sleep(key);
        };
        let reserved = self.payload_header(id, length).as_bytes().len();
        let room = self.outbox.batch.payload_room(reserved, length);
        match source.read(key, room) {
            Pulled::Bytes(bytes) => self.plan_bytes(turn, id, reserved, bytes),
            Pulled::Last(bytes) => {
                self.plan_bytes(turn, id, reserved, bytes);
                self.sleep(key);
            }
            Pulled::Blocked => self.sleep(key),
            Pulled::End => self.plan_finish(key, id),
            Pulled::Failed => self.reset(key),
        }
    }

    /// Returns how many bytes a stream may send in its next frame; `None` if its window is empty.
    fn next_slice(&self, turn: Turn) -> Option<(StreamId, usize)> {
        let stream = self
            .streams
            .get(turn.key)
            .filter(|stream| stream.may_send())?;
        let window = if W::HAS_WINDOWS {
            stream.send.left() as usize
        } else {
            usize::MAX
        };
        let (rate, scheduler) = (&self.outbox.rate, &self.outbox.scheduler);
        let slice = if scheduler.is_contended() {
            rate.frame().min(turn.allowance)
        } else if scheduler.is_alone(turn.key) {
            rate.frame_alone()
        } else {
            rate.frame()
        };
        let length = slice.min(W::MAX_SLICE).min(window);
        (length > 0).then_some((stream.id, length))
    }

    fn payload_header(&self, id: StreamId, length: usize) -> Header {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.wire
            .encode(Outgoing::Stream(id, Saying::Payload(length)))
    }

    /// Plans the frame whose payload was read into the batch.
    fn plan_bytes(&mut self, turn: Turn, id: StreamId, reserved: usize, bytes: usize) {
        let key = turn.key;
        let header = self.payload_header(id, bytes);
        let place = if turn.is_fresh && !self.outbox.batch.holds(key) {
            Place::Front
        } else {
            Place::Back
        };
        self.outbox
            .batch
            .commit(key, (header.as_bytes(), reserved), bytes, place);
        self.outbox.scheduler.charge(key, bytes);
        if W::HAS_WINDOWS
            && let Some(stream) = self.streams.get_mut(key)
        {
            stream.send.take(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    /// Waits until the local side of a stream has more.
    fn sleep(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.is_readable = false;
        }
        self.outbox.scheduler.sleep(key);
    }

    /// Plans the end of a stream, behind its last bytes.
    fn plan_finish(&mut self, key: StreamKey, id: StreamId) {
        self.sleep(key);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.outbound = Outbound::Finishing;
        }
        let frame = Outgoing::Stream(id, Saying::Finish);
        let place = if self.outbox.batch.holds(key) {
            Place::Back
        } else {
            Place::Front
        };
        self.push(Kind::Finish(key), frame, place);
    }
}
