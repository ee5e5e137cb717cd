//! Runs: datagrams of one length that pass through the kernel as one piece (`udp(7)`).
//!
//! ```text
//!   datagrams   ├── 100 ──┼── 100 ──┼── 100 ──┼─ 40 ─┤
//!   a run       ├─────────────── 340 ───────────────┤   and beside it: segments of 100
//! ```
//!
//! The bytes of a run have no borders in them. So all of its segments have the same length, except that the last one
//! may be shorter, and none is empty. A run goes to one receiver, and comes from one sender.

use std::ops::Range;

/// Segments of one run: the kernel's own bound (`UDP_MAX_SEGMENTS` of its older versions).
const MOST_SEGMENTS: usize = 64;
/// Bytes of one run, which the kernel sees as one datagram first: 65,535 without the headers of IPv4 and UDP.
const MOST_BYTES: usize = 65_507;

/// Says which datagrams may leave as one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Runs {
    /// The longest segment of a run; 0 if there are no runs.
    longest: usize,
}

impl Runs {
    /// Creates the rules for a kernel that takes runs, or for one that does not.
    pub(super) fn new(are_known: bool) -> Self {
        let longest = if are_known { MOST_BYTES } else { 0 };
        Self { longest }
    }

    /// Returns how many of the datagrams with these lengths, from the first one on, leave together: 1 or more.
    pub(super) fn count(self, mut lengths: impl Iterator<Item = usize>) -> usize {
        let segment = lengths.next().unwrap_or(0);
        if segment == 0 || segment > self.longest {
            return 1;
        }
        let (mut count, mut bytes) = (1, segment);
        for length in lengths.take(MOST_SEGMENTS - 1) {
            bytes += length;
            if length == 0 || length > segment || bytes > MOST_BYTES {
                break;
            }
            count += 1;
            if length < segment {
                break;
            }
        }
        count
    }

    /// Notes that the kernel refuses runs of this segment: the way to some receiver is too narrow for it.
    ///
    /// Longer segments than this one leave one by one from now on, whichever way they go. To keep a length for each
    /// receiver would be worth little, because the datagrams of most programs fit into every way.
    pub(super) fn narrow(&mut self, segment: usize) {
        self.longest = self.longest.min(segment.saturating_sub(1));
    }

    /// Notes that the kernel takes no runs at all.
    pub(super) fn stop(&mut self) {
        self.longest = 0;
    }
}

/// Returns the places of the datagrams in `length` received bytes; `segment` is `None` unless they are a run.
pub(super) fn split(length: usize, segment: Option<usize>) -> impl Iterator<Item = Range<usize>> {
    let segment = segment.filter(|&segment| segment > 0).unwrap_or(length);
    // A datagram without a byte is a datagram.
    let count = length.div_ceil(segment.max(1)).max(1);
    (0..count).map(move |number| number * segment..length.min((number + 1) * segment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the numbers of datagrams that leave together.
    fn plan(runs: Runs, lengths: &[usize]) -> Vec<usize> {
        let (mut plan, mut rest) = (Vec::new(), lengths);
        while !rest.is_empty() {
            let count = runs.count(rest.iter().copied());
            plan.push(count);
            rest = &rest[count..];
        }
        plan
    }

    #[test]
    fn a_run_has_one_length_and_a_shorter_end() {
        let table: [(&[usize], &[usize]); 8] = [
            (&[100], &[1]),
            (&[100, 100, 100, 40], &[4]),
            (&[100, 100, 40, 40, 100], &[3, 1, 1]),
            (&[40, 100, 100], &[1, 2]),
            (&[0, 0, 5, 5], &[1, 1, 2]),
            (&[5, 5, 0, 5], &[2, 1, 1]),
            (&[40_000, 25_507, 1], &[2, 1]),
            (&[40_000, 25_508], &[1, 1]),
        ];
        for (lengths, expected) in table {
            assert_eq!(plan(Runs::new(true), lengths), expected, "{lengths:?}");
            let alone = vec![1; lengths.len()];
            assert_eq!(plan(Runs::new(false), lengths), alone, "{lengths:?}");
        }
    }

    #[test]
    fn a_run_is_bounded() {
        assert_eq!(plan(Runs::new(true), &[1; 130]), [64, 64, 2]);
        assert_eq!(plan(Runs::new(true), &[1472; 60]), [44, 16]);
    }

    #[test]
    fn a_refused_segment_leaves_alone_and_a_shorter_one_does_not() {
        let mut runs = Runs::new(true);
        runs.narrow(1000);
        assert_eq!(plan(runs, &[1000, 1000, 999, 999]), [1, 1, 2]);
        runs.narrow(2000);
        assert_eq!(plan(runs, &[1000, 1000, 999, 999]), [1, 1, 2]);
        runs.stop();
        assert_eq!(plan(runs, &[1, 1]), [1, 1]);
    }

    proptest! {
        #[test]
        fn a_receiver_gets_the_datagrams_that_were_joined(
            choice in prop::collection::vec(prop::sample::select(vec![0, 1, 7, 7, 7, 1472, 1472, 9000]), 0..200)
        ) {
            let (mut rest, mut received) = (&choice[..], Vec::new());
            while !rest.is_empty() {
                let count = Runs::new(true).count(rest.iter().copied());
                let bytes = rest[..count].iter().sum();
                prop_assert!(count <= 64 && bytes <= 65_507);
                let segment = (count > 1).then_some(rest[0]);
                received.extend(split(bytes, segment).map(|place| place.len()));
                rest = &rest[count..];
            }
            prop_assert_eq!(received, choice);
        }

        #[test]
        fn the_places_follow_each_other(length in 0..70_000_usize, segment: Option<u16>) {
            let mut end = 0;
            for place in split(length, segment.map(usize::from)) {
                prop_assert_eq!(place.start, end);
                end = place.end;
            }
            prop_assert_eq!(end, length);
        }
    }
}
