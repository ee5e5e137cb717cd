//! The trial of a hunt's script: it must end with 1 on the wrong program and with 0 on every right one, each time.
//!
//! ```text
//!   the script ──────────┐
//!   wrong, right, ... ───┴─▶ every program ROUNDS times, in random order, each run guarded and alone ─▶ Verdict
//! ```
//!
//! 1. The first run that ends otherwise ends the trial, so that a script that sleeps forever costs one time limit.
//! 2. A script cannot tell the programs apart without running them: each is a copy in a folder with a random name, all of
//!    one size and without permission to read.
//! 3. The order is random, because a script without isolation could count its runs.

use std::fs::{self, File, Permissions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::hunts::kit::Programs;
use crate::run::guard::Guard;
use crate::run::script::{Ending, ScriptRun};
use course::hunt::HELP;

/// How often a script is run against each program: a fault that is seen now and then is not seen.
const ROUNDS: usize = 3;
/// The time limit of a run, in seconds, which `COURSE_TIME_SCALE` and load stretch.
const SECONDS: u64 = 20;

/// The verdict about a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has exposed the fault each time, and cleared every right program each time.
    Caught,
    /// It has cleared the wrong program.
    Missed,
    /// It has accused a right program.
    FalseAlarm,
    /// It was still running at its time limit.
    TimedOut,
    /// It has ended with neither 0 nor 1.
    Broken,
    /// It could not be judged, which is not its fault.
    NotGraded,
}

impl Verdict {
    /// Returns the verdict in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Caught => "caught",
            Self::Missed => "missed",
            Self::FalseAlarm => "false alarm",
            Self::TimedOut => "timed out",
            Self::Broken => "broken",
            Self::NotGraded => "could not be graded",
        }
    }
}

/// The verdict, and the run that decided it.
#[derive(Debug)]
pub(crate) struct Trial {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// What has happened, for the student.
    pub(crate) story: String,
}

/// A program in the trial.
struct Suspect {
    program: PathBuf,
    /// Its place among the right ones; `None` for the wrong one.
    right: Option<usize>,
}

/// Judges a script.
///
/// # Errors
///
/// Fails if the copies cannot be written.
pub(crate) fn judge(
    guard: &Guard,
    script: &Path,
    help: &Path,
    programs: &Programs,
) -> Result<Trial> {
    let guard = guard.lasting(SECONDS);
    let desk = folder()?;
    let script = copy_script(desk.path(), script, help)?;
    let suspects = suspects(desk.path(), programs)?;
    let mut runs: Vec<&Suspect> = (0..ROUNDS).flat_map(|_| &suspects).collect();
    shuffle(&mut runs);
    let objection = Mutex::new(None);
    let one = |suspect: &&Suspect| {
        let run = guard.run_script(&script, &suspect.program);
        let found = verdict_of(suspect, &run);
        let is_good = found.is_none();
        let mut first = objection.lock().unwrap_or_else(PoisonError::into_inner);
        *first = first.take().or(found);
        is_good
    };
    guard.each(&runs, &one);
    let objection = objection.into_inner();
    let objection = objection.unwrap_or_else(PoisonError::into_inner);
    Ok(objection.unwrap_or_else(|| Trial {
        verdict: Verdict::Caught,
        story: format!(
            "it has exposed the fault {ROUNDS} times out of {ROUNDS}, and cleared {} right program{} as often",
            programs.right.len(),
            if programs.right.len() == 1 { "" } else { "s" }
        ),
    }))
}

/// Returns the objection to a run, if there is one.
fn verdict_of(suspect: &Suspect, run: &Result<ScriptRun>) -> Option<Trial> {
    let run = match run {
        Ok(run) => run,
        Err(error) => {
            return Some(Trial {
                verdict: Verdict::NotGraded,
                story: format!("{error:#}"),
            });
        }
    };
    let verdict = match (run.ending, suspect.right) {
        (Ending::Status(1), None) | (Ending::Status(0), Some(_)) => return None,
        (Ending::Status(0), None) => Verdict::Missed,
        (Ending::Status(1), Some(_)) => Verdict::FalseAlarm,
        (Ending::Status(_), _) => Verdict::Broken,
        (Ending::TimedOut, _) => Verdict::TimedOut,
        (Ending::NotStarted, _) => Verdict::NotGraded,
    };
    let what = match suspect.right {
        None => "the program with the fault".to_owned(),
        Some(0) => "the reference, which is right".to_owned(),
        Some(number) => format!("right program {number}, which differs from the reference"),
    };
    let how = match run.ending {
        Ending::Status(status) => format!("it ended with {status}"),
        Ending::TimedOut => "it was still running at its time limit".to_owned(),
        Ending::NotStarted => "it could not be started".to_owned(),
    };
    let mut story = format!("on {what}, {how}");
    let output = run.output.trim_end();
    if !output.is_empty() {
        story += &format!(":\n{output}");
    }
    Some(Trial { verdict, story })
}

/// Creates a folder that other users may enter and not list.
fn folder() -> Result<TempDir> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
    Ok(folder)
}

/// Copies the script, as an executable, and the help of the course beside it.
fn copy_script(desk: &Path, script: &Path, help: &Path) -> Result<PathBuf> {
    let folder = desk.join("script");
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
    let copy = folder.join(script.file_name().context("a script has a name")?);
    for (from, to, mode) in [(script, &copy, 0o755), (help, &folder.join(HELP), 0o644)] {
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        fs::set_permissions(to, Permissions::from_mode(mode))?;
    }
    Ok(copy)
}

/// Copies the programs.
fn suspects(desk: &Path, programs: &Programs) -> Result<Vec<Suspect>> {
    let rights = programs.right.iter().enumerate();
    let all: Vec<_> = rights
        .map(|(number, path)| (path, Some(number)))
        .chain([(&programs.wrong, None)])
        .collect();
    let mut size = 0;
    for (path, _) in &all {
        size = size.max(path.metadata()?.len());
    }
    let names = RandomState::new();
    let copy = |(path, right): (&PathBuf, Option<usize>)| {
        let folder = desk.join(format!("{:016x}", names.hash_one(path)));
        let program = copy_program(path, &folder, size)
            .with_context(|| format!("cannot copy {}", path.display()))?;
        Ok(Suspect { program, right })
    };
    all.into_iter().map(copy).collect()
}

/// Copies a program that cannot be read, and is as long as the others: the loader ignores bytes behind its end. A script of an
/// interpreter must be readable and keeps its length; that it is one is no secret worth keeping, because it is right.
fn copy_program(program: &Path, folder: &Path, size: u64) -> Result<PathBuf> {
    fs::create_dir(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o711))?;
    let mut bytes = Vec::new();
    File::open(program)?.read_to_end(&mut bytes)?;
    let is_script = bytes.starts_with(b"#!");
    if !is_script {
        bytes.resize(usize::try_from(size)?, 0);
    }
    let copy = folder.join("program");
    let mut file = File::create(&copy)?;
    file.write_all(&bytes)?;
    let mode = if is_script { 0o555 } else { 0o111 };
    fs::set_permissions(&copy, Permissions::from_mode(mode))?;
    Ok(copy)
}

fn shuffle<T>(all: &mut [T]) {
    let (random, mut place) = (RandomState::new(), 0);
    all.sort_by_cached_key(|_| {
        place += 1;
        random.hash_one(place)
    });
}

#[cfg(test)]
mod tests;
