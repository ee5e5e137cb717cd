//! Whether all streams get the same.

use std::io;

use crate::rows::{Row, TunnelRow};
use crate::scenario::tunnel::bulk::readers;
use crate::scenario::{Bench, Outcome};
use crate::upstream::tag::Reading;
use crate::window::Spent;

const STREAMS: usize = 8;

impl Bench<'_> {
    /// Measures the bytes of eight streams, and then of the other seven while one of them has a slow reader.
    pub(super) fn tunnel_fairness(&self) -> io::Result<Outcome> {
        let arrangement = self.arrange_tunnel_on_loopback()?;
        let mut tags = readers(STREAMS);
        let (all, spent) = self.pump(&arrangement, &tags)?;
        arrangement.wait_for_ends()?;
        tags[0].reading = Reading::Slow;
        let (mut others, later) = self.pump(&arrangement, &tags)?;
        others.remove(0);
        let share = 100.0 * rate(&others, &later) / rate(&all, &spent);
        let figures = vec![
            (Row::Tunnel(TunnelRow::Fairness), jain(&all)),
            (Row::Tunnel(TunnelRow::FairnessOfOthers), jain(&others)),
            (Row::Tunnel(TunnelRow::ShareOfOthers), share),
        ];
        Ok(Outcome {
            figures,
            spent: Some(spent.plus(&later)),
        })
    }
}

fn rate(bytes: &[u64], spent: &Spent) -> f64 {
    bytes.iter().sum::<u64>() as f64 / spent.time.as_secs_f64()
}

/// Returns 1 if all have the same, and 1/n if one of n has everything: Jain, Chiu and Hawe, "A quantitative measure of
/// fairness" (1984).
fn jain(shares: &[u64]) -> f64 {
    let shares = shares.iter().map(|&share| share as f64);
    let sum: f64 = shares.clone().sum();
    let squares: f64 = shares.clone().map(|share| share * share).sum();
    sum * sum / (squares * shares.count() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jain_is_one_for_equal_shares_and_a_part_for_one_winner() {
        assert!((jain(&[5, 5, 5, 5]) - 1.0).abs() < 1e-9);
        assert!((jain(&[8, 0, 0, 0]) - 0.25).abs() < 1e-9);
        assert!((jain(&[1, 3]) - 0.8).abs() < 1e-9);
    }
}
