//! Moves the bytes of one message: a direction that ends before its source does.

use std::io;

use crate::endpoint::Endpoint;
use crate::half::HalfState;
use crate::http::{Invalid, Message};
use crate::relay::{Fault, Flow, Progress};
use crate::scratch::Scratch;

/// Why the bytes of a message move no further.
#[derive(Debug)]
pub(crate) enum MessageFault {
    /// A socket is broken, or the source has ended within the message.
    Socket(Fault),
    /// The bytes are no valid message.
    Invalid(Invalid),
}

impl From<Fault> for MessageFault {
    fn from(fault: Fault) -> Self {
        Self::Socket(fault)
    }
}

impl From<Invalid> for MessageFault {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

/// The source has ended, and the message has not.
fn too_early() -> Fault {
    Fault::Source(io::ErrorKind::UnexpectedEof.into())
}

impl Flow {
    /// Moves the bytes of one message and no more; ends like [`Flow::pump`], and when the message is complete.
    ///
    /// # Errors
    ///
    /// Fails as [`Flow::pump`] does, if the bytes are no valid message, and if the source ends within it. Only a
    /// message that [may end](Message::may_end) so passes that end on.
    pub(crate) fn pump_message(
        &mut self,
        message: &mut impl Message,
        source: &mut Endpoint,
        sink: &mut Endpoint,
        scratch: &mut Scratch,
    ) -> Result<Progress, MessageFault> {
        // Counted where bytes are read, because a message may have bytes that go no further.
        let mut rest_of_turn = scratch.bytes_per_turn;
        let progress = loop {
            if self.half.wants_write() {
                if !sink.writable {
                    break Progress::Idle;
                }
                self.flush(sink)
                    .map_err(|error| self.sink_broken(error, scratch))?;
            } else if message.is_over() || !(self.half.wants_read() && source.readable) {
                break Progress::Idle;
            } else if rest_of_turn == 0 {
                break Progress::Unfinished;
            } else {
                let count = self.take_of(message, source, sink, scratch)?;
                rest_of_turn = rest_of_turn.saturating_sub(count);
            }
        };
        self.give_back(&mut scratch.pipes);
        Ok(progress)
    }

    /// Reads once for a message, and returns how many bytes: without a look at them if they are part of it for
    /// certain.
    fn take_of(
        &mut self,
        message: &mut impl Message,
        source: &mut Endpoint,
        sink: &mut Endpoint,
        scratch: &mut Scratch,
    ) -> Result<u64, MessageFault> {
        let most = usize::try_from(message.blind()).unwrap_or(usize::MAX);
        if most == 0 {
            return self.look_at(message, source, sink, scratch);
        }
        let before = self.half.read();
        self.take(most, source, sink, scratch)?;
        let count = self.half.read() - before;
        message.pass(count);
        if self.half.state() == HalfState::Draining && !message.may_end() {
            return Err(too_early().into());
        }
        Ok(count)
    }

    /// Reads once for a message, and writes what it makes of the bytes; returns how many were read.
    fn look_at(
        &mut self,
        message: &mut impl Message,
        source: &mut Endpoint,
        sink: &mut Endpoint,
        scratch: &mut Scratch,
    ) -> Result<u64, MessageFault> {
        let count = match source
            .read_some(&mut scratch.bytes)
            .map_err(Fault::Source)?
        {
            None => return Ok(0),
            Some(0) if !message.may_end() => return Err(too_early().into()),
            Some(0) => {
                self.half.end_of_input();
                return Ok(0);
            }
            Some(count) => count,
        };
        let sight = message.look(&scratch.bytes[..count])?;
        let verbatim = &scratch.bytes[sight.verbatim];
        // At once and without an event, because a socket nearly always has room.
        let written = if sight.before.is_empty() {
            let written = sink.write_some(verbatim);
            written.inspect(|&written| self.half.passed(written))
        } else {
            self.half.keep(&sight.before);
            self.flush(sink).map(|()| 0)
        };
        match written {
            Ok(written) => self.half.keep(&verbatim[written..]),
            Err(error) => return Err(self.sink_broken(error, scratch).into()),
        }
        Ok(count as u64)
    }
}

impl MessageFault {
    /// Returns whether the sink is broken.
    pub(crate) fn is_of_sink(&self) -> bool {
        matches!(self, Self::Socket(Fault::Sink(_)))
    }

    /// Returns whether the source is broken or has ended.
    pub(crate) fn is_of_source(&self) -> bool {
        matches!(self, Self::Socket(Fault::Source(_)))
    }

    /// Returns the fault in words for the client.
    pub(crate) fn as_invalid(&self) -> Invalid {
        match self {
            Self::Invalid(invalid) => *invalid,
            Self::Socket(Fault::Source(error) | Fault::Sink(error)) => words(error.kind()),
        }
    }

    /// Returns the fault of a socket: bytes that are no message are an error of their source.
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Socket(fault) => fault,
            Self::Invalid(invalid) => {
                Fault::Source(io::Error::new(io::ErrorKind::InvalidData, invalid))
            }
        }
    }
}

/// Returns why bytes are missing.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "io::ErrorKind is not ours and grows"
)]
fn words(kind: io::ErrorKind) -> Invalid {
    Invalid(match kind {
        io::ErrorKind::UnexpectedEof => "the connection was closed before its end",
        io::ErrorKind::TimedOut => "the connection timed out",
        io::ErrorKind::ConnectionReset => "the connection was reset",
        _ => "the connection is broken",
    })
}
