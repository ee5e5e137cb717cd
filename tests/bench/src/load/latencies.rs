//! How long things took.

use std::time::Duration;

/// A list of durations, in nanoseconds; each is at most 4.3 s long.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    nanoseconds: Vec<u32>,
}

impl Default for Latencies {
    fn default() -> Self {
        // Room from the start: growing would stop everything for a moment while it copies.
        const EXPECTED: usize = 1 << 20;
        Self {
            nanoseconds: Vec::with_capacity(EXPECTED),
        }
    }
}

impl Latencies {
    /// Adds one.
    pub(crate) fn add(&mut self, time: Duration) {
        let nanoseconds = u32::try_from(time.as_nanos()).unwrap_or(u32::MAX);
        self.nanoseconds.push(nanoseconds);
    }

    /// Returns the list, sorted, and begins a new one.
    pub(crate) fn take(&mut self) -> Self {
        let mut taken = std::mem::take(self);
        taken.nanoseconds.sort_unstable();
        taken
    }

    /// Returns their number.
    pub(crate) fn count(&self) -> usize {
        self.nanoseconds.len()
    }

    /// Returns the time within which a share of them was over, in microseconds, of a sorted list.
    pub(crate) fn quantile_us(&self, numerator: usize, denominator: usize) -> f64 {
        let last = self.nanoseconds.len().saturating_sub(1);
        let nanoseconds = self.nanoseconds.get(last * numerator / denominator);
        nanoseconds.map_or(f64::NAN, |&value| f64::from(value) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_positions_in_the_sorted_list() {
        let mut latencies = Latencies::default();
        for us in (0..=100).rev() {
            latencies.add(Duration::from_micros(us));
        }
        let taken = latencies.take();
        assert_eq!((taken.count(), latencies.count()), (101, 0));
        assert!((taken.quantile_us(50, 100) - 50.0).abs() < f64::EPSILON);
        assert!((taken.quantile_us(99, 100) - 99.0).abs() < f64::EPSILON);
    }
}
