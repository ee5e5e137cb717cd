//! Several benches at work at the same time: while one compiles, another's tests wait for their deadlines.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;

use crate::run::build::target_folder;
use crate::verify::bench::{Bench, Row};
use crate::verify::dependencies;
use crate::verify::plan::Setting;
use crate::verify::progress::Progress;
use crate::verify::terminal;
use course::manifest::Manifest;

/// Creates `count` benches beside cargo's output; their common dependencies are built once.
///
/// # Errors
///
/// Fails if they cannot be written, or the stages cannot be built.
pub(super) fn benches<'a>(
    root: &'a Path,
    manifest: &'a Manifest,
    count: usize,
) -> Result<Vec<Bench<'a>>> {
    let folder = |number: usize| target_folder(root).join(format!("course/verify-{number}"));
    let first = Bench::open(root, manifest, &folder(1))?;
    if !first.target().exists() {
        dependencies::take_over(root, &target_folder(root), first.target())?;
    }
    let mut benches = vec![first];
    for number in 2..=count {
        let bench = Bench::open(root, manifest, &folder(number))?;
        if !bench.target().exists() {
            let first = &benches[0];
            if number == 2 {
                terminal::tell("verify: building the stages for the first time");
                first.warm_up()?;
            }
            dependencies::take_over(root, first.target(), bench.target())?;
        }
        benches.push(bench);
    }
    Ok(benches)
}

/// Judges all settings; the rows are in the order in which their settings ended.
///
/// # Errors
///
/// Fails with the first error of a bench.
pub(super) fn run(
    benches: &[Bench<'_>],
    settings: &[Setting<'_>],
    progress: &Progress,
) -> Result<Vec<Row>> {
    let next = Mutex::new(settings.iter());
    let rows = Mutex::new(Ok(Vec::new()));
    let work = |bench: &Bench<'_>| {
        while let Some(setting) = take(&next, &rows) {
            progress.begin(setting);
            let outcome = bench.judge(setting);
            if let Ok(rows) = &outcome {
                progress.end(setting, rows);
            }
            let mut all = lock(&rows);
            match (&mut *all, outcome) {
                (Ok(all), Ok(rows)) => all.extend(rows),
                (Ok(_), Err(error)) => *all = Err(error),
                (Err(_), _) => {}
            }
        }
    };
    thread::scope(|scope| {
        for bench in benches {
            scope.spawn(|| work(bench));
        }
    });
    progress.finish();
    rows.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the next setting, unless a bench has failed.
fn take<'s, 'a>(
    next: &Mutex<std::slice::Iter<'s, Setting<'a>>>,
    rows: &Mutex<Result<Vec<Row>>>,
) -> Option<&'s Setting<'a>> {
    let goes_on = lock(rows).is_ok();
    goes_on.then(|| lock(next).next()).flatten()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
