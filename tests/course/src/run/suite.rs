//! All tests of a stage, or some of them, a few at a time.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::run::test::{Guard, Run};

/// Runs the named tests, a few at a time, and reports each as it ends; the results are in the order of the names.
pub(crate) fn run(
    guard: &Guard,
    executable: &Path,
    folder: &Path,
    names: &[String],
    tell: &(dyn Fn(&str, &Run) + Sync),
) -> Vec<Run> {
    let one = |name: &str| guard.run(executable, folder, name);
    run_with(guard.jobs, names, &one, tell)
}

/// The same for tests that `one` runs, `jobs` at a time.
pub(crate) fn run_with(
    jobs: usize,
    names: &[String],
    one: &(dyn Fn(&str) -> Run + Sync),
    tell: &(dyn Fn(&str, &Run) + Sync),
) -> Vec<Run> {
    let next = Mutex::new(names.iter().enumerate());
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some((place, name)) = lock(&next).next() else {
                return;
            };
            let run = one(name);
            tell(name, &run);
            lock(&results).push((place, run));
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, run)| run).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
