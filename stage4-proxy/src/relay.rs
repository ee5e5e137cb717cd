//! Moves the bytes of one direction: the only place that reads and writes relayed bytes.
//!
//! ```text
//!            read(2)               write(2)
//!   source ──────────▶ scratch ──────────────▶ sink      copy: two calls, bytes cross user memory
//!                         │  bytes that the sink did not take
//!                         └──▶ Half::buffer ──▶ sink      later, when the sink is writable
//!
//!            splice(2)             splice(2)
//!   source ──────────▶ pipe ─────────────────▶ sink      splice: bytes stay in the kernel
//! ```
//!
//! [`Bulk`] decides between the two, because copying is cheaper for small messages and splicing for
//! large transfers.

mod message;

use std::io::{self, Read, Write};

use crate::bulk::{Bulk, Fill};
use crate::endpoint::Endpoint;
use crate::half::{Half, HalfState};
use crate::pipe::{Pipe, PipePool, is_refusal};
use crate::receive_queue;
use crate::scratch::Scratch;

pub(crate) use message::MessageFault;

/// Bytes for which a direction that gathers waits. With 256 KiB a transfer cost a twentieth less processor time, with 2 MiB a
/// quarter.
const GATHER: u32 = 2 * 1024 * 1024;

/// One direction of a session and the pipe that it has borrowed.
///
/// The caller notes the events of both sockets first and then calls [`Flow::pump`], again and again
/// as long as it returns [`Progress::Unfinished`]. [`Flow::flush`] is for phases in which only the
/// sink is served. [`Flow::abandon`] comes last, because it closes the half and hands the pipe
/// back; without it the pool would lose a pipe.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// The state of the direction.
    pub(crate) half: Half,
    bulk: Bulk,
    /// The kernel reports the source only when much waits there (see [`Flow::gather`]).
    gathers: bool,
    pipe: Option<Pipe>,
}

/// Why moving bytes has stopped without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing can be done before the next event.
    Idle,
    /// The turn is over, the work is not.
    Unfinished,
}

/// A broken socket, and which of the two it was.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The source could not be read.
    Source(io::Error),
    /// The sink could not be written.
    Sink(io::Error),
}

impl Flow {
    /// Moves bytes until a socket would block, the direction ends, or the turn is over.
    ///
    /// `opposite` is the state of the other direction. Once that is closed, the FIN of this one
    /// stays owed, because the caller closes the sink next: close(2) sends the FIN and saves
    /// shutdown(2). If the sink is to be reset instead, it must not have sent a FIN: after shutdown(2)
    /// epoll reports it as writable at once, so that nothing tells when its last byte has left.
    ///
    /// # Errors
    ///
    /// Fails if a socket is broken, with the kernel's error and the side. After [`Fault::Sink`] the
    /// half is closed and its pending bytes are gone.
    pub(crate) fn pump(
        &mut self,
        source: &mut Endpoint,
        sink: &mut Endpoint,
        opposite: HalfState,
        scratch: &mut Scratch,
    ) -> Result<Progress, Fault> {
        let end_of_turn = self.half.moved() + scratch.bytes_per_turn;
        let progress = loop {
            // Pending bytes first: until they are written, the half does not want to read. This is
            // the backpressure, because the kernel then stops the sender.
            if self.half.wants_write() {
                if !sink.writable || self.half.owes_fin() && opposite == HalfState::Closed {
                    break Progress::Idle;
                }
                self.flush(sink)
                    .map_err(|error| self.sink_broken(error, scratch))?;
            } else if !(self.half.wants_read() && source.readable) {
                break Progress::Idle;
            } else if self.half.moved() >= end_of_turn {
                // Edge-triggered sockets are not reported again, so the caller must come back.
                break Progress::Unfinished;
            } else {
                self.take(usize::MAX, source, sink, scratch)?;
            }
        };
        // Idle sessions own no pipe: a pipe costs two descriptors, and other sessions need it.
        self.give_back(&mut scratch.pipes);
        Ok(progress)
    }

    /// Writes the pending bytes, and the FIN after them, as far as the sink takes it.
    ///
    /// # Errors
    ///
    /// Fails if the sink is broken, with the kernel's error.
    pub(crate) fn flush(&mut self, sink: &mut Endpoint) -> io::Result<()> {
        if self.half.piped() > 0 {
            self.empty_pipe(sink)?;
        } else if !self.half.pending().is_empty() {
            let written = sink.write_some(self.half.pending())?;
            self.half.sent(written);
        }
        if self.half.owes_fin() {
            self.pass_end(sink)?;
        }
        Ok(())
    }

    /// Returns whether the direction carries bulk, and its source is what it waits for.
    pub(crate) fn wants_more_bulk(&self) -> bool {
        self.bulk.wants_splice() && self.half.wants_read()
    }

    /// Gathers: has the kernel report the source only when [`GATHER`] bytes wait there, or an end, or an error.
    ///
    /// The caller has to look at the direction again soon, and call [`Flow::end_gathering`] if nothing has come: the last
    /// bytes of a message may be fewer, and its sender may wait for an answer.
    pub(crate) fn gather(&mut self, source: &Endpoint) {
        receive_queue::report_from(source.socket(), GATHER);
        self.gathers = true;
    }

    /// Has the kernel report each byte again, and takes those that wait with the next [`Flow::pump`].
    pub(crate) fn end_gathering(&mut self, source: &mut Endpoint) {
        receive_queue::report_from(source.socket(), 1);
        source.readable = true;
        self.gathers = false;
    }

    /// Ends the direction at once and drops its pending bytes.
    pub(crate) fn abandon(&mut self, pipes: &mut PipePool) {
        if self.half.piped() == 0 {
            self.give_back(pipes);
        } else if let Some(pipe) = self.pipe.take() {
            // Its bytes belong to this session: the next borrower would send them to another peer.
            pipes.discard(pipe);
        }
        self.half.sink_broken();
    }

    /// Passes the end of the source on: a FIN for the sink, behind the last byte.
    ///
    /// # Errors
    ///
    /// Fails if the sink is broken, with the kernel's error; then the FIN is still owed.
    fn pass_end(&mut self, sink: &mut Endpoint) -> io::Result<()> {
        sink.send_fin()?;
        self.half.fin_sent();
        Ok(())
    }

    /// Reads once, at most `most` bytes, by splice or by copy. A copy also writes at once.
    fn take(
        &mut self,
        most: usize,
        source: &mut Endpoint,
        sink: &mut Endpoint,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        // Without a free pipe bulk is copied, because waiting for one could take forever.
        if self.bulk.wants_splice() && self.borrow_pipe(&mut scratch.pipes) {
            return self.fill_pipe(most, source, scratch).map_err(Fault::Source);
        }
        let room = most.min(scratch.bytes.len());
        match copy(&mut self.half, source, sink, &mut scratch.bytes[..room]) {
            Ok(fill) => self.bulk.after_read(fill),
            Err(Fault::Sink(error)) => return Err(self.sink_broken(error, scratch)),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    fn borrow_pipe(&mut self, pipes: &mut PipePool) -> bool {
        if self.pipe.as_ref().is_some_and(Pipe::is_refused) {
            self.give_back(pipes);
        }
        if self.pipe.is_none() {
            self.pipe = pipes.lend();
        }
        self.pipe.is_some()
    }

    fn fill_pipe(
        &mut self,
        most: usize,
        source: &mut Endpoint,
        scratch: &mut Scratch,
    ) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        debug_assert_eq!(
            self.half.piped(),
            0,
            "EAGAIN could mean that the pipe is full"
        );
        match source.splice_into(pipe, most.min(scratch.pipe_size)) {
            // No end of the bulk: its sender is slower than splicing, and goes on soon.
            Ok(None) => {}
            Ok(Some(0)) => self.half.end_of_input(),
            Ok(Some(count)) => {
                self.half.entered_pipe(count);
                // A splice that brings less than one read would is no longer worth two calls, unless it is the
                // rest of what was gathered.
                if !self.gathers {
                    self.bulk.after_read(Fill::of(count, scratch.bytes.len()));
                }
            }
            // The socket still has its bytes, and without a pipe to borrow the next read copies them.
            Err(error) if is_refusal(&error) => {
                pipe.refuse(error);
                self.give_back(&mut scratch.pipes);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn empty_pipe(&mut self, sink: &mut Endpoint) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        match sink.splice_from(pipe, self.half.piped()) {
            Ok(count) => self.half.left_pipe(count),
            // The bytes are in the pipe already, so they are written from memory, and at once, because
            // the sink is writable and no event would announce it again.
            Err(error) if is_refusal(&error) => {
                self.half.unloaded(&pipe.unload(self.half.piped())?);
                pipe.refuse(error);
                let written = sink.write_some(self.half.pending())?;
                self.half.sent(written);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns the borrowed pipe if it is empty.
    fn give_back(&mut self, pipes: &mut PipePool) {
        if self.half.piped() == 0
            && let Some(pipe) = self.pipe.take()
        {
            pipes.give_back(pipe);
        }
    }

    /// Ends the direction, because its sink is broken.
    pub(crate) fn sink_broken(&mut self, error: io::Error, scratch: &mut Scratch) -> Fault {
        self.abandon(&mut scratch.pipes);
        Fault::Sink(error)
    }
}

/// Reads once from the source, writes once to the sink, and keeps the bytes that the sink did not
/// take.
fn copy<R: Read, W: Write>(
    half: &mut Half,
    source: &mut Endpoint<R>,
    sink: &mut Endpoint<W>,
    scratch: &mut [u8],
) -> Result<Fill, Fault> {
    let count = match source.read_some(scratch).map_err(Fault::Source)? {
        None => return Ok(Fill::Partial),
        Some(0) => {
            half.end_of_input();
            return Ok(Fill::Partial);
        }
        Some(count) => count,
    };
    // At once and without an event, because a socket nearly always has room.
    let written = sink.write_some(&scratch[..count]).map_err(Fault::Sink)?;
    half.passed(written);
    if written < count {
        half.keep(&scratch[written..count]);
    }
    Ok(Fill::of(count, scratch.len()))
}

#[cfg(test)]
impl Flow {
    /// A direction that carries bulk, and has carried `moved` bytes.
    pub(crate) fn with_bulk(moved: usize) -> Self {
        let mut flow = Self {
            bulk: Bulk::BULK,
            ..Self::default()
        };
        flow.half.passed(moved);
        flow
    }
}

#[cfg(test)]
mod tests;
