//! The output of a program, kept up to a limit, for threads that wait for a part of it.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::deadline::Deadline;
use crate::sync::lock;

/// The bytes that a program wrote to one of its streams; beyond `limit` the oldest are dropped.
#[derive(Debug)]
pub(crate) struct Captured {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Bytes that were dropped from the front.
    dropped: usize,
    closed: bool,
}

impl Captured {
    /// Creates an empty capture of at most `limit` bytes.
    #[must_use]
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Copies everything from `source` on a thread of its own, until the source ends.
    pub(crate) fn pump(self: &Arc<Self>, mut source: impl Read + Send + 'static) {
        let captured = Arc::clone(self);
        thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                captured.push(&chunk[..length]);
            }
            captured.close();
        });
    }

    /// Adds bytes at the end.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut state = lock(&self.state);
        state.bytes.extend_from_slice(bytes);
        // Dropping only at twice the limit keeps this cheap: each byte moves once at most.
        if state.bytes.len() > 2 * self.limit {
            let surplus = state.bytes.len() - self.limit;
            state.bytes.drain(..surplus);
            state.dropped += surplus;
        }
        self.changed.notify_all();
    }

    /// Marks the end of the stream.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// Returns the bytes that are kept.
    #[must_use]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        lock(&self.state).bytes.clone()
    }

    /// Returns the kept bytes as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.state).bytes).into_owned()
    }

    /// Returns the last `count` lines.
    #[must_use]
    pub(crate) fn last_lines(&self, count: usize) -> Vec<String> {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..]
            .iter()
            .map(|line| (*line).to_owned())
            .collect()
    }

    /// Waits until `find` returns something, the stream ends, or the deadline passes.
    ///
    /// `find` gets the bytes and whether the stream has ended; it is called again after every change.
    pub(crate) fn wait_for<T>(
        &self,
        deadline: Deadline,
        mut find: impl FnMut(&[u8], bool) -> Option<T>,
    ) -> Option<T> {
        let mut state = lock(&self.state);
        loop {
            let found = find(&state.bytes, state.closed);
            let left = deadline.remaining();
            match (found, left) {
                (Some(found), _) => return Some(found),
                (None, Some(left)) if !state.closed => {
                    let waited = self.changed.wait_timeout(state, left);
                    state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
                }
                (None, _) => return None,
            }
        }
    }

    /// Waits until the stream has ended, and returns whether it has.
    pub(crate) fn wait_for_end(&self, deadline: Deadline) -> bool {
        self.wait_for(deadline, |_, closed| closed.then_some(()))
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_bytes_go_first() {
        let captured = Captured::new(4);
        captured.push(b"12345678");
        assert_eq!(captured.bytes(), b"12345678");
        captured.push(b"9");
        assert_eq!(captured.bytes(), b"6789");
    }

    #[test]
    fn the_last_lines_are_the_last() {
        let captured = Captured::new(100);
        captured.push(b"one\ntwo\nthree\n");
        assert_eq!(captured.last_lines(2), ["two", "three"]);
        assert_eq!(captured.last_lines(9).len(), 3);
    }

    #[test]
    fn waiting_ends_with_the_stream() {
        let captured = Arc::new(Captured::new(100));
        captured.pump(&b"hello"[..]);
        assert!(captured.wait_for_end(Deadline::patience()));
        let found = captured.wait_for(Deadline::patience(), |bytes, _| {
            bytes.ends_with(b"goodbye").then_some(())
        });
        assert_eq!(found, None);
    }

    #[test]
    fn waiting_ends_with_the_deadline() {
        let captured = Captured::new(100);
        assert!(!captured.wait_for_end(Deadline::after(Duration::from_millis(1))));
    }
}
