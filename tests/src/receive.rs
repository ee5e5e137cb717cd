//! Receiving: expectations about the bytes, and about the end of the stream.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use crate::deadline::{Deadline, Flow};
use crate::diff;
use crate::digest::{Digest, Hasher};
use crate::end::End;
use crate::peer::{Peer, is_retry};

/// The most bytes of one read.
const CHUNK: usize = 64 * 1024;

/// The result of [`Peer::drain`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Length and hash of the bytes.
    pub digest: Digest,
    /// How the stream ended.
    pub end: End,
}

impl Peer {
    /// Checks that the next bytes are `expected`; a wrong byte fails at once.
    ///
    /// # Panics
    ///
    /// Panics if other bytes arrive, the stream ends, or they do not arrive in time.
    #[track_caller]
    pub fn expect(&self, expected: &[u8]) {
        let mut flow = Flow::new(self.patience);
        let mut seen = Vec::with_capacity(expected.len());
        while seen.len() < expected.len() {
            let before = seen.len();
            let end = self.read_some_by(&mut seen, expected.len(), flow.after(before));
            if let Some(end) = end {
                self.unexpected(expected, &seen, end);
            }
            if seen[before..] != expected[before..seen.len()] {
                self.fail("received other bytes than expected")
                    .bytes(expected, &seen)
                    .raise();
            }
        }
        self.step(&format!("receives {}, as expected", diff::preview(&seen)));
    }

    /// Reads exactly `length` bytes.
    ///
    /// # Panics
    ///
    /// Panics if the stream ends first, or they do not arrive in time.
    #[must_use]
    #[track_caller]
    pub fn read_exact(&self, length: usize) -> Vec<u8> {
        let mut flow = Flow::new(self.patience);
        let mut seen = Vec::with_capacity(length);
        while seen.len() < length {
            let deadline = flow.after(seen.len());
            if let Some(end) = self.read_some_by(&mut seen, length, deadline) {
                let wanted = diff::count(length);
                self.fail(&format!("wanted {wanted} and {}", end.after(seen.len())))
                    .symptom(end)
                    .raise();
            }
        }
        self.step(&format!("receives {}", diff::preview(&seen)));
        seen
    }

    /// Reads up to the end of `pattern` and returns all of it; reads one byte at a time, so that no later byte is consumed.
    ///
    /// # Panics
    ///
    /// Panics if the stream ends first, or it does not arrive in time.
    #[must_use]
    #[track_caller]
    pub fn read_until(&self, pattern: &[u8]) -> Vec<u8> {
        let deadline = Deadline::after(self.patience);
        let mut seen = Vec::new();
        while !seen.ends_with(pattern) {
            let length = seen.len() + 1;
            if let Some(end) = self.read_some_by(&mut seen, length, deadline) {
                let wanted = diff::preview(pattern);
                self.fail(&format!(
                    "waited for {wanted} and {}",
                    end.after(seen.len())
                ))
                .symptom(end)
                .raise();
            }
        }
        self.step(&format!("receives {}", diff::preview(&seen)));
        seen
    }

    /// Reads to the clean end of the stream.
    ///
    /// # Panics
    ///
    /// Panics if the connection is reset or does not end in time.
    #[must_use]
    #[track_caller]
    pub fn read_to_end(&self) -> Vec<u8> {
        let mut seen = Vec::new();
        let end = self.read_all(&mut seen);
        if end != End::Eof {
            self.fail(&format!(
                "wanted the clean end of the stream and {}",
                end.after(seen.len())
            ))
            .symptom(end)
            .raise();
        }
        self.step(&format!(
            "receives {} and then the end of the stream",
            diff::preview(&seen)
        ));
        seen
    }

    /// Reads until the stream ends in any way, keeping only length and hash.
    pub fn drain(&self) -> Drained {
        let mut flow = Flow::new(self.patience);
        let (mut hasher, mut piece, mut total) = (Hasher::default(), Vec::new(), 0);
        let end = loop {
            piece.clear();
            let end = self.read_some_by(&mut piece, CHUNK, flow.after(total));
            total += piece.len();
            hasher.update(&piece);
            if let Some(end) = end {
                break end;
            }
        };
        let digest = hasher.finish();
        self.step(&format!("received {digest:?}, then {end:?}"));
        Drained { digest, end }
    }

    /// Checks that the stream ends here, cleanly and without another byte.
    ///
    /// # Panics
    ///
    /// Panics if bytes or a reset arrive, or nothing in time.
    #[track_caller]
    pub fn expect_eof(&self) {
        let rest = self.read_to_end();
        if !rest.is_empty() {
            self.fail("received bytes where the stream should have ended")
                .bytes(b"", &rest)
                .raise();
        }
    }

    /// Checks that the other side ends the connection, cleanly or not, without another byte.
    ///
    /// # Panics
    ///
    /// Panics if bytes arrive, or nothing in time.
    #[track_caller]
    pub fn expect_closed(&self) -> End {
        let mut seen = Vec::new();
        let end = self.read_all(&mut seen);
        if end == End::TimedOut || !seen.is_empty() {
            self.fail(&format!(
                "should have been closed and {}",
                end.after(seen.len())
            ))
            .bytes(b"", &seen)
            .raise();
        }
        self.step(&format!("sees its connection closed ({end:?})"));
        end
    }

    /// Checks that the other side resets the connection (RST), after any bytes.
    ///
    /// # Panics
    ///
    /// Panics if the stream ends cleanly, or no reset arrives in time.
    #[track_caller]
    pub fn expect_reset(&self) {
        let mut seen = Vec::new();
        let end = self.read_all(&mut seen);
        if end != End::Reset {
            self.fail(&format!(
                "should have been reset and {}",
                end.after(seen.len())
            ))
            .raise();
        }
        self.step("sees its connection reset");
    }

    /// Checks that for `quiet` no byte arrives and the stream does not end.
    ///
    /// # Panics
    ///
    /// Panics if a byte arrives, or the stream ends.
    #[track_caller]
    pub fn expect_silence(&self, quiet: Duration) {
        let mut seen = Vec::new();
        let end = self.read_some_by(&mut seen, CHUNK, Deadline::exactly(quiet));
        if end != Some(End::TimedOut) {
            let what = end.map_or_else(|| "received bytes".into(), |end| end.after(0));
            self.fail(&format!("expected silence for {quiet:?} but {what}"))
                .bytes(b"", &seen)
                .raise();
        }
        self.step(&format!("sees nothing for {quiet:?}, as expected"));
    }

    /// Waits for the next bytes, however many a read brings; no step of the transcript, because there may be thousands.
    ///
    /// # Panics
    ///
    /// Panics if the stream ends, or if nothing arrives in time.
    #[must_use]
    #[track_caller]
    pub fn read_some(&self) -> Vec<u8> {
        let mut seen = Vec::new();
        let deadline = Deadline::after(self.patience);
        if let Some(end) = self.read_some_by(&mut seen, CHUNK, deadline) {
            let what = format!("wanted further bytes and {}", end.after(0));
            self.fail(&what).symptom(end).raise();
        }
        seen
    }

    /// Reads once, up to a total of `most` bytes in `seen`; returns the end of the stream if it has ended.
    fn read_some_by(&self, seen: &mut Vec<u8>, most: usize, deadline: Deadline) -> Option<End> {
        let start = seen.len();
        seen.resize(start + CHUNK.min(most - start), 0);
        let result = self.read_by(&mut seen[start..], deadline);
        seen.truncate(start + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => Some(End::Eof),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::TimedOut => Some(End::TimedOut),
            Err(_) => Some(End::Reset),
        }
    }

    fn read_all(&self, seen: &mut Vec<u8>) -> End {
        let mut flow = Flow::new(self.patience);
        loop {
            let deadline = flow.after(seen.len());
            if let Some(end) = self.read_some_by(seen, usize::MAX, deadline) {
                return end;
            }
        }
    }

    fn read_by(&self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        loop {
            let left = deadline.remaining().ok_or(ErrorKind::TimedOut)?;
            self.stream.set_read_timeout(Some(left))?;
            match (&*self.stream).read(buffer) {
                Err(error) if is_retry(&error) => {}
                result => return result,
            }
        }
    }

    #[track_caller]
    fn unexpected(&self, expected: &[u8], seen: &[u8], end: End) -> ! {
        let wanted = diff::count(expected.len());
        self.fail(&format!("wanted {wanted} and {}", end.after(seen.len())))
            .bytes(expected, seen)
            .symptom(end)
            .raise()
    }
}
