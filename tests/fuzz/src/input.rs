//! The way of bytes into a session, cut at the ends of frames, so that each event has its frame.

use std::time::Instant;

use stage5_mux::tunnel::event::{Event, LinkError};
use stage5_mux::tunnel::frame::{Frame, Violation};
use stage5_mux::tunnel::key::StreamKey;
use stage5_mux::tunnel::reader::{Piece, Reader};
use stage5_mux::tunnel::session::Session;
use stage5_mux::tunnel::wire::Wire;

/// A piece of payload is at least as long as this, if there is so much.
const MIN_PAYLOAD: usize = 4000;

/// An event with bytes of its own.
#[derive(Debug)]
pub(crate) enum Seen {
    Opened(StreamKey),
    Payload(StreamKey, Vec<u8>),
    Ended(StreamKey),
    Reset(StreamKey),
    Leaves,
}

/// A step of the input.
#[derive(Debug)]
pub(crate) enum Step {
    /// The session begins with this frame.
    Frame(Frame),
    /// The session has something to say about the last frame.
    Seen(Seen),
    /// The session has ended with an error; the other one is that of the decoder, if it has found one.
    Failed(LinkError, Option<Violation>),
    /// Everything has been passed on, or the link is stalled.
    Nothing,
}

/// Bytes on their way into a session.
#[derive(Debug)]
pub(crate) struct Input<W> {
    wire: W,
    reader: Reader,
    /// What has arrived, and how much of it was looked at.
    bytes: Vec<u8>,
    looked_at: usize,
    /// What was looked at, and not taken by the session.
    held: Vec<u8>,
    violation: Option<Violation>,
    /// The longest piece that the session gets at once.
    longest: usize,
}

impl<W: Wire> Input<W> {
    pub(crate) fn new(wire: W, longest: usize) -> Self {
        Self {
            wire,
            reader: Reader::default(),
            bytes: Vec::new(),
            looked_at: 0,
            held: Vec::new(),
            violation: None,
            longest,
        }
    }

    /// Adds bytes of the link.
    pub(crate) fn arrive(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.looked_at));
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets everything, because the session takes nothing any more.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.looked_at = 0;
        self.held.clear();
    }

    /// Takes the next step.
    pub(crate) fn next(&mut self, session: &mut Session<W>, now: Instant) -> Step {
        loop {
            match self.pass(session, now) {
                Ok(Some(seen)) => return Step::Seen(seen),
                Ok(None) => {}
                Err(error) => return Step::Failed(error, self.violation),
            }
            assert!(
                self.violation.is_none(),
                "the session has overlooked {:?}",
                self.violation
            );
            if !self.held.is_empty() {
                assert!(
                    session.stalled_by().is_some(),
                    "bytes are left although nothing stalls"
                );
                return Step::Nothing;
            }
            match self.look() {
                Some(Some(frame)) => return Step::Frame(frame),
                Some(None) => {}
                None => return Step::Nothing,
            }
        }
    }

    /// Passes what is held to the session, until it has an event.
    fn pass(&mut self, session: &mut Session<W>, now: Instant) -> Result<Option<Seen>, LinkError> {
        let mut rest = &self.held[..];
        let event = session.handle_input(&mut rest, now)?;
        let seen = event.map(|event| match event {
            Event::Opened(key) => Seen::Opened(key),
            Event::Payload { stream, bytes } => Seen::Payload(stream, bytes.to_vec()),
            Event::Ended(key) => Seen::Ended(key),
            Event::Reset(key) => Seen::Reset(key),
            Event::Leaves => Seen::Leaves,
        });
        let taken = self.held.len() - rest.len();
        self.held.drain(..taken);
        Ok(seen)
    }

    /// Moves a piece of the input to what is held; `None` if there is none.
    fn look(&mut self) -> Option<Option<Frame>> {
        let bytes = &self.bytes[self.looked_at..];
        if bytes.is_empty() {
            return None;
        }
        // Cuts are of interest in headers; payload in single bytes would only take time.
        let longest = match self.reader.payload_left() {
            0 => self.longest,
            _ => self.longest.max(MIN_PAYLOAD),
        };
        let end = bytes.len().min(longest);
        let mut rest = &bytes[..end];
        let frame = match self.reader.take(&self.wire, &mut rest, usize::MAX) {
            Ok(Some(Piece::Frame(frame))) => Some(frame),
            Ok(Some(Piece::Payload(_)) | None) => None,
            Err(violation) => {
                self.violation = Some(violation);
                rest = &[];
                None
            }
        };
        let taken = end - rest.len();
        self.held.extend_from_slice(&bytes[..taken]);
        self.looked_at += taken;
        Some(frame)
    }
}
