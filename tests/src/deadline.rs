//! Deadlines instead of sleeps: wait for a condition, and say what did not come true.

use std::fmt::Debug;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::crowding::crowding;
use crate::failure::{Failure, fail};

/// How long a test waits for something that should happen at once, before scaling.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A moment after which waiting makes no sense any more.
///
/// Where others fill the machine, it is put off (see [`crowding`]): slow is not stuck.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    began: Instant,
    allowed: Duration,
    /// Whether a crowd puts it off.
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

    /// The same, but nothing puts it off: for windows in which nothing may happen.
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

    /// Returns the time that is left, or `None` when the deadline has passed.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let waited = self.began.elapsed();
        left(self.allowed, waited).or_else(|| {
            // Only now, when somebody would give up, does it matter.
            let stretched = self.allowed.mul_f64(crowding());
            self.patient.then(|| left(stretched, waited)).flatten()
        })
    }

    /// Tells whether the deadline has passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.remaining().is_none()
    }

    /// Returns the time that is allowed where there is no crowd, for messages.
    #[must_use]
    pub fn allowed(&self) -> Duration {
        self.allowed
    }

    /// Waits for a value from another thread.
    ///
    /// # Errors
    /// When the deadline passes first, or nobody is left to send one.
    pub fn receive<T>(&self, values: &Receiver<T>) -> Result<T, RecvTimeoutError> {
        loop {
            let left = self.remaining().ok_or(RecvTimeoutError::Timeout)?;
            match values.recv_timeout(left) {
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

/// How many bytes earn a transfer its full patience again.
const SHARE: usize = 64 * 1024;

/// The patience with a transfer: its deadline begins anew with every 64 KiB, because slow is not stuck.
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

    /// Returns the deadline for what comes after the first `total` bytes.
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

/// Writes `duration`, scaled, as the programs' options take a time: `1500ms`.
#[must_use]
pub fn option(duration: Duration) -> String {
    format!("{}ms", scaled(duration).as_millis())
}

fn time_scale() -> f64 {
    static SCALE: OnceLock<f64> = OnceLock::new();
    *SCALE.get_or_init(|| match std::env::var("COURSE_TIME_SCALE") {
        Ok(text) => parse_scale(&text).unwrap_or_else(|| {
            fail(format!(
                "COURSE_TIME_SCALE is {text:?}, but it must be a number from 0.1 to 1000"
            ))
        }),
        Err(_) => 1.0,
    })
}

fn parse_scale(text: &str) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|scale| (0.1..=1000.0).contains(scale))
}

/// Waits until `condition` is true, looking again every millisecond.
///
/// # Panics
/// When the deadline passes first; the message says that `what` did not happen.
#[track_caller]
pub fn eventually(what: &str, deadline: impl Into<Deadline>, mut condition: impl FnMut() -> bool) {
    let deadline = deadline.into();
    if !holds_by(deadline, &mut condition) {
        Failure::new(format!(
            "This did not happen within {:?}: {what}",
            deadline.allowed()
        ))
        .raise();
    }
}

/// Waits with [`PATIENCE`] until `look` returns `expected`.
///
/// # Panics
/// When the deadline passes first; the message names `what`, the value hoped for and the last value seen.
#[track_caller]
pub fn eventually_equal<T: PartialEq + Debug>(
    what: &str,
    expected: &T,
    mut look: impl FnMut() -> T,
) {
    let deadline = Deadline::patience();
    let mut seen = look();
    let came = holds_by(deadline, &mut || {
        seen = look();
        seen == *expected
    });
    if !came {
        Failure::new(format!(
            "{what}: still wrong after {:?}",
            deadline.allowed()
        ))
        .detail(format!("expected {expected:?}"))
        .detail(format!("seen     {seen:?}"))
        .raise();
    }
}

/// Waits until `condition` is true or the deadline passes, and tells which it was.
pub fn holds_by(deadline: Deadline, condition: &mut dyn FnMut() -> bool) -> bool {
    loop {
        if condition() {
            return true;
        }
        if deadline.passed() {
            return false;
        }
        // Between two looks at a condition; every wait of the tests comes through here.
        thread::sleep(LOOK_AGAIN);
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
    fn a_crowd_puts_off_what_is_patient() {
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
    fn a_value_that_never_comes_is_not_waited_for() {
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
    fn a_transfer_that_goes_on_gets_a_new_deadline() {
        let mut flow = Flow::new(Duration::ZERO);
        flow.patience = PATIENCE;
        assert!(flow.after(SHARE - 1).passed());
        assert!(!flow.after(SHARE).passed());
        flow.patience = Duration::ZERO;
        assert!(!flow.after(2 * SHARE - 1).passed());
        assert!(flow.after(2 * SHARE).passed());
    }

    #[test]
    fn waiting_ends_with_the_condition() {
        let mut looks = 0;
        eventually("three looks", PATIENCE, || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    #[should_panic(expected = "expected 2")]
    fn a_wrong_value_is_named() {
        // The scale is fixed for the process, so this test uses the short-lived helper directly.
        let came = holds_by(Deadline::after(Duration::ZERO), &mut || false);
        assert!(!came);
        Failure::new("count: still wrong")
            .detail("expected 2")
            .raise();
    }
}
