//! Waiting for a condition instead of sleeping; a failure says which condition stayed false.

use std::fmt::Debug;

use crate::deadline::{Deadline, holds_by};
use crate::failure::Failure;

/// Waits until `condition` is true, checking it every millisecond.
///
/// # Panics
///
/// Panics if the deadline passes first; the message says that `what` did not happen.
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

/// Waits with [`PATIENCE`](crate::deadline::PATIENCE) until `look` returns `expected`.
///
/// # Panics
///
/// Panics if the deadline passes first; the message names `what`, the expected value and the last value seen.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::PATIENCE;
    use std::time::Duration;

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
    #[should_panic(expected = "This did not happen within")]
    fn a_condition_that_stays_false_is_named() {
        eventually("never", Deadline::exactly(Duration::ZERO), || false);
    }
}
