//! Progress on standard error: a bar on a terminal, a line for each claim elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::verify::bench::Row;
use crate::verify::plan::Setting;
use crate::verify::terminal;

/// The width of the bar, in characters.
const BAR: usize = 20;
/// How much of a claim fits beside the bar.
const CLAIM: usize = 44;

/// The progress of the proofs.
#[derive(Debug)]
pub(super) struct Progress {
    is_terminal: bool,
    start: Instant,
    all: Count,
    done: Mutex<Count>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    settings: usize,
    /// A setting of stage 3 counts three times one of stage 1: more is built, and its tests take longer.
    weight: usize,
}

impl Count {
    fn add(&mut self, setting: &Setting<'_>) {
        self.settings += 1;
        self.weight += setting.stage.number().parse().unwrap_or(1);
    }
}

impl Progress {
    /// Creates the progress of no settings yet.
    pub(super) fn new(settings: &[Setting<'_>]) -> Self {
        let mut all = Count::default();
        for setting in settings {
            all.add(setting);
        }
        Self {
            is_terminal: io::stderr().is_terminal(),
            start: Instant::now(),
            all,
            done: Mutex::default(),
        }
    }

    /// Shows the current setting.
    pub(super) fn begin(&self, setting: &Setting<'_>) {
        if self.is_terminal {
            let done = *self.lock();
            let claim = setting.claims.first().map_or("", |claim| &claim.text);
            self.draw(done, claim);
        }
    }

    /// Counts a setting and prints its claims: all, or on a terminal only those that do not hold.
    pub(super) fn end(&self, setting: &Setting<'_>, rows: &[Row]) {
        let mut done = self.lock();
        done.add(setting);
        let position = self.position(*done);
        for row in rows {
            if !self.is_terminal || !row.holds() {
                terminal::tell(&format!("{}{}", self.clear(), line(&position, row)));
            }
        }
        if self.is_terminal {
            self.draw(*done, rows.first().map_or("", |row| &row.claim));
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        drop(write!(io::stderr().lock(), "{}", self.clear()));
    }

    fn draw(&self, done: Count, claim: &str) {
        let filled = BAR * done.weight / self.all.weight.max(1);
        let bar = format!("{}{}", "#".repeat(filled), "-".repeat(BAR - filled));
        let claim: String = claim.chars().take(CLAIM).collect();
        let position = self.position(done);
        let text = format!("{}[{bar}] {position}  {claim}", self.clear());
        let mut stderr = io::stderr().lock();
        drop(write!(stderr, "{text}").and_then(|()| stderr.flush()));
    }

    fn position(&self, done: Count) -> String {
        let left = left(self.start.elapsed(), done.weight, self.all.weight);
        format!("{:>3}/{}, {left}", done.settings, self.all.settings)
    }

    /// Returns the control characters that clear the bar, if there is one.
    fn clear(&self) -> &'static str {
        if self.is_terminal { "\r\x1b[K" } else { "" }
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(position: &str, row: &Row) -> String {
    let sign = if row.holds() { "holds" } else { "FAILS" };
    let seconds = row.time.as_secs_f64();
    let against = row.against.join("; ");
    format!(
        "verify {position}: {sign}: {} ({seconds:.1} s) {against}",
        row.claim
    )
    .trim_end()
    .to_owned()
}

/// Estimates the remaining time from the rate so far.
fn left(elapsed: Duration, done: usize, all: usize) -> String {
    if done == 0 {
        return "a while left".to_owned();
    }
    let share = f64::from(u32::try_from(all - done).unwrap_or(u32::MAX))
        / f64::from(u32::try_from(done).unwrap_or(u32::MAX));
    let seconds = elapsed.mul_f64(share).as_secs();
    if seconds < 60 {
        return format!("{seconds} s left");
    }
    format!("about {} min left", seconds.div_ceil(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_estimated_by_what_was_done() {
        let elapsed = Duration::from_secs(100);
        assert_eq!(left(elapsed, 0, 10), "a while left");
        assert_eq!(left(elapsed, 10, 10), "0 s left");
        assert_eq!(left(elapsed, 10, 14), "40 s left");
        assert_eq!(left(elapsed, 10, 70), "about 10 min left");
    }
}
