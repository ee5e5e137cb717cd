//! The quiet end of scripts: when a test is over, its scripted peers unwind without a failure.

use std::cell::RefCell;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The pause between two checks of a script that only waits for the end of its test.
const CHECK_EVERY: Duration = Duration::from_millis(20);

thread_local! {
    /// Set on the threads of a scripted peer; when it is true, the test is over and a failure no longer counts.
    static STOPPING: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// The panic payload of a script that was still running when its test ended.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Makes failures of the calling thread silent as soon as `stopping` is true.
pub(crate) fn forgive_when(stopping: &Arc<AtomicBool>) {
    STOPPING.set(Some(Arc::clone(stopping)));
}

/// Unwinds without a message if the test that the calling script serves is over.
pub(crate) fn end_quietly_when_stopping() {
    let stopping = STOPPING.with_borrow(|flag| {
        flag.as_ref()
            .is_some_and(|flag| flag.load(Ordering::Acquire))
    });
    // A second panic while the first unwinds would abort the whole process.
    if stopping && !thread::panicking() {
        panic::resume_unwind(Box::new(Stopped));
    }
}

/// Blocks a script until its test is over.
pub(crate) fn rest_until_stopped() -> ! {
    loop {
        end_quietly_when_stopping();
        thread::park_timeout(CHECK_EVERY);
    }
}
