//! Waiting with a deadline.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::stop;

/// The longest time that a loop goes without checking the clock and [`stop`].
pub(crate) const TICK: Duration = Duration::from_millis(50);

const POLL_PAUSE: Duration = Duration::from_millis(2);

/// Waits until the condition holds; the error names the condition that did not.
pub(crate) fn until(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> io::Result<bool>,
) -> io::Result<()> {
    let deadline = Instant::now() + limit;
    while !condition()? {
        stop::check()?;
        if Instant::now() >= deadline {
            let sentence = format!("waited {} s for {what}", limit.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, sentence));
        }
        // Between two checks of a condition that has a deadline.
        thread::sleep(POLL_PAUSE);
    }
    Ok(())
}

/// Lets time pass, unless a signal asks us to stop.
pub(crate) fn pass(time: Duration) -> io::Result<()> {
    let deadline = Instant::now() + time;
    loop {
        stop::check()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        // Sleeps in pieces, so that Ctrl-C takes effect soon.
        thread::sleep(left.min(TICK));
    }
}
