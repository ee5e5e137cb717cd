//! What arrives on a link, frame by frame.

use std::collections::VecDeque;
use std::time::Instant;

use crate::tunnel::event::{Event, LinkError};
use crate::tunnel::frame::{Body, Frame, Reason, Signals, StreamId, Violation};
use crate::tunnel::key::StreamKey;
use crate::tunnel::reader::{Piece, Reader};
use crate::tunnel::role::Opener;
use crate::tunnel::session::{Session, State};
use crate::tunnel::stream::{Beginning, Inbound, Stream};
use crate::tunnel::wire::Wire;

/// Where the input of a link is.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    reader: Reader,
    /// The stream to which the bytes behind the last header belong; `None` if they are skipped.
    current: Option<Current>,
    /// The events of one frame that were not returned; at most three.
    events: VecDeque<Event<'static>>,
}

/// A frame of which payload is missing.
#[derive(Clone, Copy, Debug)]
struct Current {
    key: StreamKey,
    /// Whether it is the last of its stream.
    finishes: bool,
}

impl<W: Wire> Session<W> {
    /// Takes bytes of the link from the front of `input` until they make an event, and returns it; `None` if they are
    /// used up, or if the link is stalled.
    ///
    /// # Errors
    ///
    /// Fails if the peer breaks the protocol, or gives the link up.
    pub fn handle_input<'a>(
        &mut self,
        input: &mut &'a [u8],
        now: Instant,
    ) -> Result<Option<Event<'a>>, LinkError> {
        if !input.is_empty() {
            self.keepalive.heard(now);
        }
        loop {
            if let Some(event) = self.inbox.events.pop_front() {
                return Ok(Some(event));
            }
            if matches!(self.state, State::Failed | State::Closed) {
                *input = &[];
                return Ok(None);
            }
            match self.take_piece(input, now) {
                Ok(Taken::Nothing) => return Ok(None),
                Ok(Taken::Part) => {}
                Ok(Taken::Event(event)) => return Ok(Some(event)),
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// Returns the stream for which the whole link waits, because its reader is slow and the wire has no windows: the
    /// input is left where it is until the reader has consumed something, or the stream is reset.
    #[must_use]
    pub fn stalled_by(&self) -> Option<StreamKey> {
        let current = self.inbox.current?;
        let is_stalled = self.inbox.reader.payload_left() > 0 && self.room() == 0;
        is_stalled.then_some(current.key)
    }

    /// Returns how many bytes of payload may be taken now.
    fn room(&self) -> usize {
        if W::HAS_WINDOWS {
            // The length of a frame was checked when its header came.
            return usize::MAX;
        }
        let stream = self
            .inbox
            .current
            .and_then(|current| self.streams.get(current.key));
        stream.map_or(usize::MAX, |stream| stream.receive.open() as usize)
    }

    fn take_piece<'a>(
        &mut self,
        input: &mut &'a [u8],
        now: Instant,
    ) -> Result<Taken<'a>, LinkError> {
        let room = self.room();
        match self.inbox.reader.take(&self.wire, input, room)? {
            None => Ok(Taken::Nothing),
            Some(Piece::Frame(frame)) => {
                self.on_frame(frame, now)?;
                Ok(Taken::Part)
            }
            Some(Piece::Payload(bytes)) => self.on_payload(bytes, now),
        }
    }

    /// Ends the session because of an error; a peer that has broken the protocol is told so.
    fn fail(&mut self, error: LinkError) -> LinkError {
        self.forget_events();
        self.state = match error {
            LinkError::Violated(_) => {
                self.outbox.control.owe_only_go_away(Reason::ProtocolError);
                self.outbox.batch.discard_all();
                State::Failed
            }
            LinkError::GivenUp(_) | LinkError::Silent(_) => State::Closed,
        };
        error
    }

    /// Drops the events that were not returned, and with them the stream that the last frame has opened: the caller has
    /// never heard of it, so it must get no fate.
    fn forget_events(&mut self) {
        for event in std::mem::take(&mut self.inbox.events) {
            if let Event::Opened(key) = event {
                self.remove(key);
            }
        }
    }

    fn on_frame(&mut self, frame: Frame, now: Instant) -> Result<(), LinkError> {
        self.inbox.current = None;
        match frame {
            Frame::Stream { id, signals, body } => Ok(self.on_stream(id, signals, body, now)?),
            Frame::Ping(value) => {
                self.outbox.control.owe_pong(value);
                Ok(())
            }
            Frame::Pong(value) => {
                self.keepalive.answered(value, now);
                Ok(())
            }
            Frame::GoAway(Reason::Normal) => {
                self.on_leaving();
                Ok(())
            }
            Frame::GoAway(reason) => Err(LinkError::GivenUp(reason)),
            Frame::Undefined(_) => Ok(()),
        }
    }

    fn on_leaving(&mut self) {
        if !self.peer_leaves {
            self.peer_leaves = true;
            self.inbox.events.push_back(Event::Leaves);
        }
    }

    /// A frame about a stream: it may open, accept, carry something, and finish, all at once.
    fn on_stream(
        &mut self,
        id: StreamId,
        signals: Signals,
        body: Body,
        now: Instant,
    ) -> Result<(), Violation> {
        if signals.contains(Signals::RESET) {
            self.on_reset(id);
            return Ok(());
        }
        if signals.contains(Signals::OPEN) {
            self.on_open(id)?;
        }
        // Frames of a stream that has ended here may still be on their way: they are skipped. An acceptance tells
        // nothing, because nothing waits for it.
        let Some(key) = self.streams.find(id) else {
            return Ok(());
        };
        let finishes = signals.contains(Signals::FINISH);
        match body {
            Body::Payload(length @ 1..) => self.on_payload_header(key, length, finishes, now),
            Body::Credit(credit) => {
                self.on_credit(key, credit)?;
                self.on_finish_if(key, finishes);
                Ok(())
            }
            Body::Payload(0) | Body::Note(_) => {
                self.on_finish_if(key, finishes);
                Ok(())
            }
        }
    }

    /// The peer opens a stream: with a number of its own that is free, or it breaks the protocol.
    ///
    /// There is no place for it if the session is leaving, or if its streams and the resets that it owes are
    /// `max_streams`. Otherwise a reset that is still owed under this number is forgotten before the stream is inserted:
    /// it is about an earlier stream, and the peer would take it for one of this.
    fn on_open(&mut self, id: StreamId) -> Result<(), Violation> {
        if id.opener == Opener::Us {
            return Err(Violation::WrongParity);
        }
        if self.streams.find(id).is_some() {
            return Err(Violation::OpenedTwice);
        }
        let taken = self.streams.len() + self.outbox.control.resets();
        if self.state == State::Leaving || taken >= self.limits.max_streams {
            return self.refuse(id);
        }
        let stream = Stream::new(id, Beginning::AcceptOwed, W::INITIAL_WINDOW);
        self.outbox.control.forget_resets(id);
        let key = self.streams.insert(stream);
        self.inbox.events.push_back(Event::Opened(key));
        Ok(())
    }

    fn refuse(&mut self, id: StreamId) -> Result<(), Violation> {
        if self.outbox.control.resets() >= 2 * self.limits.max_streams {
            return Err(Violation::TooManyRefused);
        }
        self.outbox.control.owe_reset(id);
        Ok(())
    }

    fn on_reset(&mut self, id: StreamId) {
        if let Some(key) = self.streams.find(id) {
            self.remove(key);
            self.inbox.events.push_back(Event::Reset(key));
        }
    }

    fn on_credit(&mut self, key: StreamKey, credit: u32) -> Result<(), Violation> {
        if let Some(stream) = self.streams.get_mut(key)
            && stream.add_credit(credit)?
        {
            self.outbox.scheduler.wake(key);
        }
        Ok(())
    }

    /// Payload is announced: all of it must fit into the window.
    fn on_payload_header(
        &mut self,
        key: StreamKey,
        length: u32,
        finishes: bool,
        now: Instant,
    ) -> Result<(), Violation> {
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(());
        };
        if stream.inbound == Inbound::Ended {
            // The peer breaks its own stream only: it has sent bytes behind its end.
            self.reset(key);
            self.inbox.events.push_back(Event::Reset(key));
            return Ok(());
        }
        if W::HAS_WINDOWS {
            stream.receive.receive(length, now)?;
        }
        self.inbox.current = Some(Current { key, finishes });
        Ok(())
    }

    fn on_payload<'a>(&mut self, bytes: &'a [u8], now: Instant) -> Result<Taken<'a>, LinkError> {
        let Some(Current { key, finishes }) = self.inbox.current else {
            return Ok(Taken::Part);
        };
        // The caller may have reset the stream in the middle of the frame.
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(Taken::Part);
        };
        if W::HAS_WINDOWS {
            stream.receive.touch(now);
        } else {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            stream.receive.receive(length, now)?;
        }
        if self.inbox.reader.payload_left() == 0 {
            self.on_finish_if(key, finishes);
        }
        let stream = key;
        Ok(Taken::Event(Event::Payload { stream, bytes }))
    }

    fn on_finish_if(&mut self, key: StreamKey, finishes: bool) {
        if finishes
            && let Some(stream) = self.streams.get_mut(key)
            && stream.inbound == Inbound::Receiving
        {
            stream.inbound = Inbound::Ended;
            self.inbox.events.push_back(Event::Ended(key));
            self.remove_if_over(key);
        }
    }
}

/// What a piece of the input was.
#[derive(Clone, Copy, Debug)]
enum Taken<'a> {
    /// There was none.
    Nothing,
    /// No event by itself.
    Part,
    /// An event.
    Event(Event<'a>),
}
