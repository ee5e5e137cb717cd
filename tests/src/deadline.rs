//! Deadlines: a limit for every wait, scaled for slow machines and stretched on busy ones.

use std::env;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::load::stretch_factor;

/// How long a test waits for an event that should happen at once, before scaling.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two checks of a condition.
const CHECK_EVERY: Duration = Duration::from_millis(1);

/// The moment at which a wait gives up.
///
/// On a busy machine it is put off (see [`stretch_factor`]), because slow is not stuck.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    began: Instant,
    allowed: Duration,
    /// Whether a high load puts it off.
    patient: bool,
}

impl Deadline {
    /// Starts a deadline that passes after `duration`, scaled.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Self {
            began: Instant::now(),
            allowed: scaled(duration),
            patient: true,
        }
    }

    /// Starts the same deadline, but no load puts it off: for windows in which nothing may happen.
    #[must_use]
    pub fn exactly(duration: Duration) -> Self {
        Self {
            patient: false,
            ..Self::after(duration)
        }
    }

    /// Starts the usual deadline, [`PATIENCE`].
    #[must_use]
    pub fn patience() -> Self {
        Self::after(PATIENCE)
    }

    /// Returns the time that is left, or `None` if the deadline has passed.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let waited = self.began.elapsed();
        left(self.allowed, waited).or_else(|| {
            // The load is read only now, when the caller would give up, because reading it on every check costs a system call.
            let stretched = self.allowed.mul_f64(stretch_factor());
            self.patient.then(|| left(stretched, waited)).flatten()
        })
    }

    /// Returns whether the deadline has passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.remaining().is_none()
    }

    /// Returns the time that is allowed on an idle machine, for messages.
    #[must_use]
    pub fn allowed(&self) -> Duration {
        self.allowed
    }

    /// Waits for a value from another thread.
    ///
    /// # Errors
    ///
    /// Fails if the deadline passes first, or every sender is gone.
    pub fn receive<T>(&self, values: &Receiver<T>) -> Result<T, RecvTimeoutError> {
        loop {
            let left = self.remaining().ok_or(RecvTimeoutError::Timeout)?;
            match values.recv_timeout(left) {
                // Asks again, because the deadline may have been put off meanwhile.
                Err(RecvTimeoutError::Timeout) => {}
                result => return result,
            }
        }
    }
}

fn left(allowed: Duration, waited: Duration) -> Option<Duration> {
    let left = allowed.checked_sub(waited);
    left.filter(|left| !left.is_zero())
}

impl From<Duration> for Deadline {
    fn from(duration: Duration) -> Self {
        Self::after(duration)
    }
}

/// The number of bytes after which a transfer gets a new deadline.
const SHARE: usize = 64 * 1024;

/// The deadline of a transfer: it restarts with every 64 KiB, because slow is not stuck.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    patience: Duration,
    deadline: Deadline,
    counted: usize,
}

impl Flow {
    /// Starts with a deadline that passes after `patience`, scaled.
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            deadline: Deadline::after(patience),
            counted: 0,
        }
    }

    /// Returns the deadline for the bytes that follow the first `total` ones.
    pub(crate) fn after(&mut self, total: usize) -> Deadline {
        if total.saturating_sub(self.counted) >= SHARE {
            self.counted = total;
            self.deadline = Deadline::after(self.patience);
        }
        self.deadline
    }
}

/// Multiplies `duration` by `COURSE_TIME_SCALE` (default 1), for slow machines.
#[must_use]
pub fn scaled(duration: Duration) -> Duration {
    duration.mul_f64(time_scale())
}

/// Writes `duration`, scaled, in the form that the programs' options take: `1500ms`.
#[must_use]
pub fn option(duration: Duration) -> String {
    format!("{}ms", scaled(duration).as_millis())
}

fn time_scale() -> f64 {
    static SCALE: OnceLock<f64> = OnceLock::new();
    *SCALE.get_or_init(|| {
        let Ok(text) = env::var("COURSE_TIME_SCALE") else {
            return 1.0;
        };
        let Some(scale) = parse_scale(&text) else {
            panic!("COURSE_TIME_SCALE is {text:?}, but it must be a number from 0.1 to 1000");
        };
        scale
    })
}

fn parse_scale(text: &str) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|scale| (0.1..=1000.0).contains(scale))
}

/// Waits until `condition` is true or the deadline passes, and returns whether it became true.
pub fn holds_by(deadline: Deadline, condition: &mut dyn FnMut() -> bool) -> bool {
    loop {
        if condition() {
            return true;
        }
        if deadline.passed() {
            return false;
        }
        // Every wait for a condition sleeps here and nowhere else, so that none of them can forget its deadline.
        thread::sleep(CHECK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_a_sane_number() {
        assert_eq!(parse_scale("2.5"), Some(2.5));
        assert_eq!(parse_scale("0"), None);
        assert_eq!(parse_scale("-1"), None);
        assert_eq!(parse_scale("fast"), None);
    }

    #[test]
    fn a_passed_deadline_leaves_no_time() {
        let deadline = Deadline::after(Duration::ZERO);
        assert!(deadline.passed());
        assert_eq!(deadline.remaining(), None);
    }

    #[test]
    fn a_high_load_puts_off_a_patient_deadline() {
        let base = Duration::from_secs(10);
        assert_eq!(
            left(base, Duration::from_secs(4)),
            Some(Duration::from_secs(6))
        );
        assert_eq!(left(base, base), None);
        assert_eq!(left(2 * base, base), Some(base));
        assert!(!Deadline::exactly(Duration::from_millis(1)).patient);
    }

    #[test]
    fn waiting_for_a_value_ends_with_the_deadline() {
        let (sender, receiver) = std::sync::mpsc::channel();
        sender.send(7).unwrap();
        assert_eq!(Deadline::patience().receive(&receiver), Ok(7));
        let soon = Deadline::exactly(Duration::from_millis(1));
        assert_eq!(soon.receive(&receiver), Err(RecvTimeoutError::Timeout));
        drop(sender);
        let gone = Deadline::patience().receive(&receiver);
        assert_eq!(gone, Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_transfer_that_moves_gets_a_new_deadline() {
        let mut flow = Flow::new(Duration::ZERO);
        flow.patience = PATIENCE;
        assert!(flow.after(SHARE - 1).passed());
        assert!(!flow.after(SHARE).passed());
        flow.patience = Duration::ZERO;
        assert!(!flow.after(2 * SHARE - 1).passed());
        assert!(flow.after(2 * SHARE).passed());
    }
}
