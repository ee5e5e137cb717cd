//! Moves the bytes of one direction: the only place that reads and writes relayed bytes.
//!
//! ```text
//!            read(2)              write(2)
//!   source ----------> scratch ------------> sink       small transfers: one copy, two calls
//!                         |  what the sink did not take
//!                         +--> Half::buffer
//!
//!            splice(2)           splice(2)
//!   source ----------> pipe  --------------> sink       bulk: no copy to user memory
//! ```
//!
//! Copying wins while messages are small, splicing wins for bulk, so a direction copies until
//! several reads in a row have filled the scratch buffer and splices until one brings less.
//!
//! A transfer that has the worker for itself is another matter: a proxy that splices is soon ahead of
//! the sender, sleeps between the pieces, and waking up costs more than the copies would. So a
//! lone direction that finds its source empty copies again, until the source is ahead of it.

use std::io::{self, Read, Write};

use crate::endpoint::Endpoint;
use crate::half::{Half, HalfState};
use crate::pipe::{Pipe, PipePool};
use crate::scratch::Scratch;

/// Reads in a row that fill the scratch buffer before a transfer counts as bulk.
const BULK_AFTER: u8 = 2;

/// One direction of a session and what it has borrowed.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// The state of the direction.
    pub(crate) half: Half,
    pipe: Option<Pipe>,
    full_reads: u8,
    /// The last splice found the source empty while nobody else had work.
    ahead: bool,
}

/// Why moving bytes has stopped without an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
    /// `opposite` is the state of the other direction. Once that is closed, the FIN of this one stays
    /// owed, because the close(2) of the sink follows at once: it sends the FIN and saves shutdown(2).
    ///
    /// # Errors
    ///
    /// The side whose socket is broken, with the kernel's error. After [`Fault::Sink`] the half
    /// is closed and what it held is gone.
    pub(crate) fn pump(
        &mut self,
        source: &mut Endpoint,
        sink: &mut Endpoint,
        opposite: HalfState,
        scratch: &mut Scratch,
    ) -> Result<Progress, Fault> {
        let end_of_turn = self.half.moved() + scratch.bytes_per_turn;
        let progress = loop {
            if self.half.wants_write() {
                if !sink.writable || self.half.owes_fin() && opposite == HalfState::Closed {
                    break Progress::Idle;
                }
                self.flush(sink)
                    .map_err(|error| self.sink_broken(error, scratch))?;
            } else if !(self.half.wants_read() && source.readable) {
                break Progress::Idle;
            } else if self.half.moved() >= end_of_turn {
                self.ahead = false;
                break Progress::Unfinished;
            } else {
                self.take(source, sink, scratch)?;
            }
        };
        self.give_back(&mut scratch.pipes);
        Ok(progress)
    }

    /// Writes what waits, and the FIN after it, as far as the sink takes it.
    ///
    /// # Errors
    ///
    /// What the kernel says of the sink.
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

    /// Passes the end of the source on: a FIN for the sink, behind the last byte.
    ///
    /// # Errors
    ///
    /// What the kernel says of the sink; then the FIN is still owed.
    fn pass_end(&mut self, sink: &mut Endpoint) -> io::Result<()> {
        sink.send_fin()?;
        self.half.fin_sent();
        Ok(())
    }

    /// Reads once, and writes at once what was read.
    fn take(
        &mut self,
        source: &mut Endpoint,
        sink: &mut Endpoint,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let is_lone_and_ahead = self.ahead && scratch.alone;
        if self.full_reads >= BULK_AFTER
            && !is_lone_and_ahead
            && self.borrow_pipe(&mut scratch.pipes)
        {
            return self.fill_pipe(source, scratch).map_err(Fault::Source);
        }
        match copy(&mut self.half, source, sink, &mut scratch.bytes) {
            Ok(Fill::Full) => self.full_reads = self.full_reads.saturating_add(1),
            Ok(Fill::Partial) => self.full_reads = 0,
            Err(Fault::Sink(error)) => return Err(self.sink_broken(error, scratch)),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    fn borrow_pipe(&mut self, pipes: &mut PipePool) -> bool {
        if self.pipe.is_none() {
            self.pipe = pipes.lend();
        }
        self.pipe.is_some()
    }

    fn fill_pipe(&mut self, source: &mut Endpoint, scratch: &Scratch) -> io::Result<()> {
        let Some(pipe) = &self.pipe else {
            return Ok(());
        };
        debug_assert_eq!(
            self.half.piped(),
            0,
            "only an empty pipe tells about the socket"
        );
        match pipe.fill(&*source, scratch.pipe_size) {
            Ok(0) => self.half.end_of_input(),
            Ok(count) => {
                self.half.entered_pipe(count);
                if count < scratch.bytes.len() {
                    self.full_reads = 0;
                }
            }
            Err(error) if would_block(&error) => {
                source.readable = false;
                self.ahead = scratch.alone;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn empty_pipe(&mut self, sink: &mut Endpoint) -> io::Result<()> {
        let Some(pipe) = &self.pipe else {
            return Ok(());
        };
        match pipe.empty_into(&*sink, self.half.piped()) {
            Ok(count) => self.half.left_pipe(count),
            Err(error) if would_block(&error) => sink.writable = false,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns the borrowed pipe when nothing is in it.
    fn give_back(&mut self, pipes: &mut PipePool) {
        if self.half.piped() == 0
            && let Some(pipe) = self.pipe.take()
        {
            pipes.give_back(pipe);
        }
    }

    fn sink_broken(&mut self, error: io::Error, scratch: &mut Scratch) -> Fault {
        self.abandon(&mut scratch.pipes);
        Fault::Sink(error)
    }

    /// Ends the direction at once and forgets what it held.
    pub(crate) fn abandon(&mut self, pipes: &mut PipePool) {
        if self.half.piped() == 0 {
            self.give_back(pipes);
        } else if let Some(pipe) = self.pipe.take() {
            pipes.discard(pipe);
        }
        self.half.sink_broken();
    }
}

/// How much of the scratch buffer one read has filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// All of it: the source may have more.
    Full,
    /// A part or nothing: the source has no more for now, or has ended.
    Partial,
}

/// Reads once from the source, writes once to the sink, and keeps what the sink did not take.
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
    let written = sink.write_some(&scratch[..count]).map_err(Fault::Sink)?;
    half.passed(written);
    if written < count {
        half.keep(&scratch[written..count]);
    }
    Ok(if count == scratch.len() {
        Fill::Full
    } else {
        Fill::Partial
    })
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests;
