//! Writing responses, and the lingering close.

use std::io;
use std::time::Instant;

use crate::queue::client::{Client, Lingering, Phase};
use crate::queue::framing::{Framing, Requests as _};

impl<F: Framing> Client<F> {
    /// Writes as much as the socket takes, and holds the rest.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(in crate::queue) fn write(&mut self, first: &[u8], second: &[u8]) -> io::Result<()> {
        if first.is_empty() && second.is_empty() {
            return Ok(());
        }
        if !self.output.is_empty() {
            self.output.append(first);
            self.output.append(second);
            return Ok(());
        }
        let count = self.endpoint.write_some(first, second)?;
        self.traffic.down += count as u64;
        self.output.append(&first[count.min(first.len())..]);
        self.output
            .append(&second[count.saturating_sub(first.len())..]);
        Ok(())
    }

    /// Writes the held bytes.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(in crate::queue) fn flush(&mut self, now: Instant) -> io::Result<()> {
        while !self.output.is_empty() {
            let count = self.endpoint.write_some(self.output.pending(), &[])?;
            if count == 0 {
                break;
            }
            self.output.consume(count);
            self.traffic.down += count as u64;
            self.clock.active = now;
        }
        self.end_pace_unless_awaited();
        Ok(())
    }

    /// Notes whether the upstream waits for this client.
    pub(in crate::queue) fn hold(&mut self, holds: bool, now: Instant) {
        if holds {
            self.begin_pace(now);
        } else {
            self.end_pace_unless_awaited();
        }
    }

    /// Ends the measure of its pace, if it owes the upstream neither room for its response nor a part of its
    /// request.
    fn end_pace_unless_awaited(&mut self) {
        // Not at the first room in the buffer, because a client that reads one byte a minute has
        // room, too: only an empty buffer proves that it keeps up.
        if self.output.is_empty() && !self.requests.is_inside() {
            self.clock.pace.end();
        }
    }

    /// Begins a lingering close (RFC 9112 section 9.6): the held bytes are still written, then a
    /// FIN is sent, and further input is read and dropped for a while. A close(2) with unread bytes
    /// would send a reset, and the reset would overtake the reply.
    pub(in crate::queue) fn begin_lingering(&mut self, now: Instant) {
        self.phase = Phase::Lingering { fin_sent: false };
        self.clock.active = now;
        self.input.clear();
        self.request = Vec::new();
    }

    /// Continues the lingering close, with at most `steps` reads.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(in crate::queue) fn linger(
        &mut self,
        scratch: &mut [u8],
        steps: usize,
    ) -> io::Result<Lingering> {
        if !self.output.is_empty() {
            return Ok(Lingering::Waiting);
        }
        if self.phase == (Phase::Lingering { fin_sent: false }) {
            self.endpoint.send_fin()?;
            self.phase = Phase::Lingering { fin_sent: true };
        }
        for _ in 0..steps {
            if self.input_ended {
                return Ok(Lingering::Done);
            }
            match self.endpoint.read_some(scratch)? {
                None => return Ok(Lingering::Waiting),
                Some(count) => self.input_ended = count == 0,
            }
        }
        Ok(Lingering::Unfinished)
    }
}
