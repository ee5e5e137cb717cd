//! Ctrl-C and the other signals that end us: a flag that every loop checks.

use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

static STOP: AtomicBool = AtomicBool::new(false);

/// The exit code of a run that a signal has ended.
pub(crate) const EXIT_CODE: u8 = 130;

/// Signals that follow the first one within this time belong to it: `timeout(1)` sends two, one to its child and one to
/// the group of both.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// Turns the usual signals into a request to stop; a later one ends the process at once.
///
/// The flag, and not the default action, because the proxies run in process groups of their own
/// and would outlive us: a return drops them, and dropping kills.
pub(crate) fn on_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        let mut first = None;
        for _ in signals.forever() {
            STOP.store(true, Ordering::Relaxed);
            if is_impatient(first.get_or_insert_with(Instant::now).elapsed()) {
                process::exit(EXIT_CODE.into());
            }
        }
    });
    Ok(())
}

/// Returns whether a signal is a second request, so long after the first one.
fn is_impatient(since_first: Duration) -> bool {
    since_first >= ONE_REQUEST
}

/// Returns whether a signal asked us to stop.
pub(crate) fn requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Ends the current measurement with an error if a signal asked us to stop.
pub(crate) fn check() -> io::Result<()> {
    if requested() {
        return Err(io::Error::other("stopped"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_signals_of_timeout_are_one_request() {
        assert!(!is_impatient(Duration::from_micros(50)));
        assert!(is_impatient(Duration::from_secs(2)));
    }
}
