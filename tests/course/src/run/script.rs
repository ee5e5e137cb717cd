//! Runs a student's script against a program, under the same guard as a test.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use crate::run::guard::Guard;
use crate::run::{confinement, output};

/// The bytes of a script's output that are kept.
const OUTPUT: usize = 16 * 1024;

/// How a script has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With an exit status of its own, or that of a shell for a signal.
    Status(i32),
    /// It was still running at its deadline.
    TimedOut,
    /// It could not be run, which is not its fault.
    NotStarted,
}

/// A script that was run.
#[derive(Clone, Debug)]
pub(crate) struct ScriptRun {
    /// How it has ended.
    pub(crate) ending: Ending,
    /// The beginning and the end of its output.
    pub(crate) output: String,
}

impl Guard {
    /// Runs a script to its end; everything that it leaves behind is killed. It sees its own folder and the program.
    ///
    /// # Errors
    ///
    /// Fails if no process can be started.
    pub(crate) fn run_script(&self, script: &Path, program: &Path) -> Result<ScriptRun> {
        let folder = script.parent().context("a script has a folder")?;
        let guard = self.with_program(Some(program));
        let (reader, writer) = io::pipe()?;
        let mut command = guard.command(script, &[folder, program], &[]);
        command
            .current_dir(folder)
            // The folder is read-only, or the course's own.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn().context("cannot start the script")?;
        // Dropped, because the reader sees end of file only after our copies of the write end are closed.
        drop(command);
        let output = output::read_bounded(reader, OUTPUT);
        let code = child.wait()?.code();
        Ok(ScriptRun {
            ending: ending_of(code),
            output: String::from_utf8_lossy(&output).into_owned(),
        })
    }

    /// Does something with each of `all`, a few at a time, until it returns false.
    pub(crate) fn each<T: Sync>(&self, all: &[T], one: &(dyn Fn(&T) -> bool + Sync)) {
        let next = Mutex::new(all.iter());
        let goes_on = AtomicBool::new(true);
        let work = || {
            while goes_on.load(Ordering::Relaxed) {
                let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(task) = taken else {
                    return;
                };
                if !one(task) {
                    goes_on.store(false, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.jobs {
                scope.spawn(work);
            }
            work();
        });
    }
}

fn ending_of(code: Option<i32>) -> Ending {
    match code {
        Some(code) if code == i32::from(confinement::TIMED_OUT) => Ending::TimedOut,
        Some(code) if code == i32::from(confinement::NOT_STARTED) => Ending::NotStarted,
        Some(code) => Ending::Status(code),
        None => Ending::NotStarted,
    }
}
