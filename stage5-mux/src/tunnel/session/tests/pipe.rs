//! A simulated link: a rate, a delay and a buffer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One direction of the link.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Bytes that were written, and when they arrive.
    queue: VecDeque<(Instant, Vec<u8>)>,
    pub(super) delay: Duration,
    /// Bytes in a second; `None` for any number.
    pub(super) rate: Option<u64>,
    /// Bytes that may wait to be sent.
    pub(super) buffer: usize,
    /// When the last byte that was written has left.
    free_at: Instant,
    /// All bytes that were ever written.
    pub(super) carried: u64,
}

impl Pipe {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            delay: Duration::ZERO,
            rate: None,
            buffer: 256 * 1024,
            free_at: now,
            carried: 0,
        }
    }

    /// Returns how many bytes can be written now.
    pub(super) fn room(&self, now: Instant) -> usize {
        let waiting = match self.rate {
            Some(rate) => {
                let time = self.free_at.saturating_duration_since(now);
                usize::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap()
            }
            None => self.queue.iter().map(|(_, bytes)| bytes.len()).sum(),
        };
        self.buffer.saturating_sub(waiting)
    }

    pub(super) fn write(&mut self, bytes: Vec<u8>, now: Instant) {
        if bytes.is_empty() {
            return;
        }
        self.carried += bytes.len() as u64;
        let time = self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_nanos(bytes.len() as u64 * 1_000_000_000 / rate)
        });
        self.free_at = self.free_at.max(now) + time;
        self.queue.push_back((self.free_at + self.delay, bytes));
    }

    /// Returns the bytes that have arrived, at most `max`.
    pub(super) fn read(&mut self, max: usize, now: Instant) -> Vec<u8> {
        let mut read = Vec::new();
        while read.len() < max {
            let Some((_, bytes)) = self.queue.front_mut().filter(|(due, _)| *due <= now) else {
                break;
            };
            let part = bytes.len().min(max - read.len());
            read.extend(bytes.drain(..part));
            if bytes.is_empty() {
                self.queue.pop_front();
            }
        }
        read
    }
}
