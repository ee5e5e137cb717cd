//! A histogram with fixed buckets: recording is one increment in an array.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

const BUCKETS: usize = 17;

/// Counts durations in fixed buckets from 50 microseconds to 10 seconds.
///
/// It holds no lock and allocates nothing, so that a worker can own one and copy it out. The last count is
/// for everything above the last bound.
///
/// ```
/// use std::time::Duration;
/// use stage4_proxy::inspect::Histogram;
///
/// let mut latency = Histogram::default();
/// latency.record(Duration::from_micros(80));
/// assert_eq!(latency.count(), 1);
/// assert_eq!(latency.sum(), Duration::from_micros(80));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS + 1],
    sum_us: u64,
}

impl Histogram {
    /// The upper bound of each bucket, in microseconds; a duration equal to a bound belongs to it.
    pub const BOUNDS_US: [u64; BUCKETS] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000,
    ];

    /// Counts one duration, rounded down to microseconds.
    pub fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = Self::BOUNDS_US.partition_point(|&bound| bound < us);
        self.counts[bucket] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// Returns how many durations were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of all recorded durations.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// Returns each bucket's bound in microseconds with the number of durations up to that bound.
    ///
    /// The numbers are cumulative, as the Prometheus text format wants them.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let sums = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Self::BOUNDS_US.into_iter().zip(sums)
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }
}

/// Writes `{"bounds_us": [..], "counts": [..], "sum_us": .., "count": ..}`, with one count more than bounds.
impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Histogram", 4)?;
        fields.serialize_field("bounds_us", &Self::BOUNDS_US)?;
        fields.serialize_field("counts", &self.counts)?;
        fields.serialize_field("sum_us", &self.sum_us)?;
        fields.serialize_field("count", &self.count())?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(micros: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for &us in micros {
            histogram.record(Duration::from_micros(us));
        }
        histogram
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        for (bucket, &bound) in Histogram::BOUNDS_US.iter().enumerate() {
            assert_eq!(recorded(&[bound]).counts[bucket], 1, "at {bound}");
            assert_eq!(
                recorded(&[bound + 1]).counts[bucket + 1],
                1,
                "above {bound}"
            );
        }
    }

    #[test]
    fn the_longest_duration_is_counted_and_does_not_overflow() {
        let mut histogram = recorded(&[1]);
        histogram.record(Duration::MAX);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.count(), 3);
        assert_eq!(histogram.counts[BUCKETS], 2);
        assert_eq!(histogram.sum(), Duration::from_micros(u64::MAX));
    }

    #[test]
    fn cumulative_counts_rise_and_leave_out_what_is_above_the_last_bound() {
        let histogram = recorded(&[10, 60, 70, 20_000_000]);
        let sums: Vec<_> = histogram.cumulative().collect();
        assert_eq!(sums[..3], [(50, 1), (100, 3), (250, 3)]);
        assert_eq!(sums.len(), BUCKETS);
        assert_eq!(sums[BUCKETS - 1], (10_000_000, 3));
    }

    #[test]
    fn merging_equals_recording_everything_in_one() {
        let mut sum = recorded(&[1, 300]);
        sum.merge(&recorded(&[300, 99_000_000]));
        assert_eq!(sum, recorded(&[1, 300, 300, 99_000_000]));
    }

    #[test]
    fn the_json_names_its_bounds() {
        let json = serde_json::to_value(recorded(&[75])).unwrap();
        assert_eq!(json["bounds_us"].as_array().unwrap().len(), BUCKETS);
        assert_eq!(json["counts"].as_array().unwrap().len(), BUCKETS + 1);
        assert_eq!(json["counts"][1], 1);
        assert_eq!(json["sum_us"], 75);
        assert_eq!(json["count"], 1);
    }
}
