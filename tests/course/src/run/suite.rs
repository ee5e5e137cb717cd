//! All tests of a stage, or some of them, a few at a time.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::test::{Guard, Run};

/// Runs the named tests, `jobs` at a time, and tells each as it ends; the results are in the order of the names.
pub(crate) fn run(
    guard: &Guard,
    executable: &Path,
    folder: &Path,
    names: &[String],
    tell: &(dyn Fn(&str, &Run) + Sync),
) -> Vec<Run> {
    let next = Mutex::new(names.iter().enumerate());
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some((place, name)) = lock(&next).next() else {
                return;
            };
            let run = guard.run(executable, folder, name);
            tell(name, &run);
            lock(&results).push((place, run));
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs() {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, run)| run).collect()
}

/// As many as there are processors, but no more than four: the tests measure time and load themselves.
fn jobs() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get().min(4))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
