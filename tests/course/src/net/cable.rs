//! The cable between the two networks, as a machine without sockets and clock: frames come in, and leave it later, or never.
//!
//! ```text
//!   put ──▶ pulled? ──▶ queue full? ──▶ waits for the rate ──▶ lost? ──▶ under way for the delay ──▶ take
//!             ✗             ✗                                    ✗
//! ```
//!
//! A lost frame has used its share of the rate, because it is lost on its way.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::net::units::{Loss, Rate};

/// The bytes that are under way in one direction at most; more are dropped as by a full queue.
const HELD_BYTES: usize = 64 << 20;

/// Properties of the cable, as options give them.
#[derive(Args, Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Change {
    /// The bits that each direction carries in a second: 512kbit, 10mbit, 1gbit; off for no limit
    #[arg(long)]
    pub(super) rate: Option<Rate>,

    /// How long a packet is under way; a round trip takes twice as long: 50ms
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(super) delay: Option<Duration>,

    /// The share of packets that are lost in each direction: 1%
    #[arg(long)]
    pub(super) loss: Option<Loss>,

    /// How long a packet may wait for the rate; the queue drops those that would wait longer [default: 100ms]
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(super) queue: Option<Duration>,
}

/// The properties of the cable, the same in both directions.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Cable {
    rate: Rate,
    delay: Duration,
    loss: Loss,
    queue: Duration,
    /// Every frame vanishes, while the interfaces at both ends stay up.
    pub(super) is_pulled: bool,
}

/// What happened to the frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Counts {
    pub(super) arrived: u64,
    pub(super) lost: u64,
    pub(super) dropped_by_queue: u64,
    pub(super) cut: u64,
}

/// One direction of the cable.
#[derive(Debug)]
pub(super) struct Line {
    /// The frames under way, each with the time of its arrival.
    frames: VecDeque<(Instant, Vec<u8>)>,
    held_bytes: usize,
    /// When the last frame that was put has left the queue, at the rate.
    free_at: Option<Instant>,
    random: Random,
    pub(super) counts: Counts,
}

/// Pseudo-random numbers (splitmix64): the same seed loses the same packets, counted from the first.
#[derive(Debug)]
struct Random(u64);

impl Cable {
    /// Creates a cable.
    pub(super) fn new(change: Change) -> Self {
        let cable = Self {
            rate: Rate::default(),
            delay: Duration::ZERO,
            loss: Loss::default(),
            queue: Duration::from_millis(100),
            is_pulled: false,
        };
        cable.with(change)
    }

    /// Returns a cable with some properties changed.
    pub(super) fn with(self, change: Change) -> Self {
        Self {
            rate: change.rate.unwrap_or(self.rate),
            delay: change.delay.unwrap_or(self.delay),
            loss: change.loss.unwrap_or(self.loss),
            queue: change.queue.unwrap_or(self.queue),
            ..self
        }
    }
}

impl fmt::Display for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_pulled {
            return f.write_str("the cable is pulled");
        }
        let delay = humantime::format_duration(self.delay);
        write!(f, "{delay} each way, {}, {}", self.rate, self.loss)
    }
}

impl Line {
    /// Creates an empty line.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            frames: VecDeque::new(),
            held_bytes: 0,
            free_at: None,
            random: Random(seed),
            counts: Counts::default(),
        }
    }

    /// Takes a frame from its sender.
    pub(super) fn put(&mut self, frame: &[u8], cable: &Cable, now: Instant) {
        if cable.is_pulled {
            self.counts.cut += 1;
            return;
        }
        let begins_at = self.free_at.map_or(now, |free_at| free_at.max(now));
        let is_full = begins_at - now > cable.queue || self.held_bytes > HELD_BYTES;
        if is_full {
            self.counts.dropped_by_queue += 1;
            return;
        }
        let sent_at = begins_at + cable.rate.time_of(frame.len());
        self.free_at = Some(sent_at);
        if self.random.next() < cable.loss.share() {
            self.counts.lost += 1;
            return;
        }
        self.held_bytes += frame.len();
        self.frames
            .push_back((sent_at + cable.delay, frame.to_vec()));
    }

    /// Returns the next frame that has arrived by now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.next_arrival()? > now {
            return None;
        }
        let (_, frame) = self.frames.pop_front()?;
        self.held_bytes -= frame.len();
        self.counts.arrived += 1;
        Some(frame)
    }

    /// Loses everything under way: the cable was pulled.
    pub(super) fn cut(&mut self) {
        self.counts.cut += self.frames.len() as u64;
        self.frames.clear();
        self.held_bytes = 0;
        self.free_at = None;
    }

    /// Returns when the next frame arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.frames.front().map(|(arrives_at, _)| *arrives_at)
    }
}

impl Random {
    /// Returns the next number, from 0 to 1, without 1 itself.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The upper 32 bits are enough, and fit into a float exactly.
        let upper = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0);
        f64::from(upper) / 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn cable(rate: &str, delay: Duration, loss: &str) -> Cable {
        Cable::new(Change {
            rate: Some(rate.parse().unwrap()),
            delay: Some(delay),
            loss: Some(loss.parse().unwrap()),
            queue: None,
        })
    }

    #[test]
    fn frames_wait_for_the_rate_and_then_for_the_delay() {
        let cable = cable("8mbit", 50 * MS, "0%");
        let now = Instant::now();
        let mut line = Line::new(1);
        // 1000 bytes take a millisecond.
        line.put(&[1; 1000], &cable, now);
        line.put(&[2; 2000], &cable, now);
        assert_eq!(line.next_arrival(), Some(now + 51 * MS));
        assert_eq!(line.take(now + 50 * MS), None);
        assert_eq!(line.take(now + 51 * MS).unwrap()[0], 1);
        assert_eq!(line.take(now + 52 * MS), None);
        assert_eq!(line.take(now + 53 * MS).unwrap()[0], 2);
        line.put(&[3; 1000], &cable, now + 100 * MS);
        assert_eq!(line.next_arrival(), Some(now + 151 * MS));
        assert_eq!(line.counts.arrived, 2);
    }

    #[test]
    fn the_queue_drops_frames_that_would_wait_too_long() {
        let cable = cable("8mbit", Duration::ZERO, "0%");
        let now = Instant::now();
        let mut line = Line::new(1);
        for _ in 0..150 {
            line.put(&[0; 1000], &cable, now);
        }
        // The last one that is accepted waits for 100 ms.
        assert_eq!(line.counts.dropped_by_queue, 49);
        while line.take(now + 200 * MS).is_some() {}
        assert_eq!(line.counts.arrived, 101);
        assert_eq!(line.held_bytes, 0);
    }

    #[test]
    fn the_share_of_lost_frames_is_the_one_asked_for_and_a_seed_repeats_it() {
        let cable = cable("off", Duration::ZERO, "10%");
        let lost = |seed| {
            let mut line = Line::new(seed);
            let frames = (0..10_000).map(|_| {
                let before = line.counts.lost;
                line.put(&[0], &cable, Instant::now());
                line.counts.lost > before
            });
            frames.collect::<Vec<_>>()
        };
        let count = lost(7).iter().filter(|lost| **lost).count();
        assert!((900..1100).contains(&count), "{count} of 10000");
        assert_eq!(lost(7), lost(7));
        assert_ne!(lost(7), lost(8));
    }

    #[test]
    fn a_pulled_cable_loses_the_frames_under_way_and_all_that_follow() {
        let mut cable = cable("off", 50 * MS, "0%");
        let now = Instant::now();
        let mut line = Line::new(1);
        line.put(&[1], &cable, now);
        cable.is_pulled = true;
        line.cut();
        line.put(&[2], &cable, now);
        assert_eq!(line.take(now + 100 * MS), None);
        assert_eq!(line.counts.cut, 2);
        cable.is_pulled = false;
        line.put(&[3], &cable, now);
        assert_eq!(line.take(now + 50 * MS), Some(vec![3]));
    }
}
