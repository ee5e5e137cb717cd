//! `{{#transcript NAME}}`: a recorded terminal, `book/transcripts/NAME.txt`, and the check that it still shows the same.
//!
//! A transcript has the input and the output of a terminal, or of several with numbers:
//!
//! ```text
//! % varies: 127\.0\.0\.1:\d{5}
//! 1$ stage1-server
//! listening on 127.0.0.1:8080
//! 2$ stage2-client
//! 2< stressed
//! desserts
//! % eof 2
//! 1>
//! INFO client 127.0.0.1:50312 has left
//! ```
//!
//! | line | meaning |
//! |---|---|
//! | `$ COMMAND`, `1$ COMMAND` | starts a command (a line of bash) in terminal 1; a `\` at the end continues it on the next line |
//! | `1< TEXT` | types a line into the program that runs in terminal 1 |
//! | `1>` | output that appeared in terminal 1 meanwhile follows (the recorder writes it) |
//! | `% eof 1`, `% interrupt 1` | Ctrl-D or Ctrl-C in terminal 1; the program ends then |
//! | `% runs` | below a command: it keeps running until the end (the recorder writes it) |
//! | `% ends` | below a command that is silent for long: the recorder waits for its end |
//! | `% until: COMMAND` | below a command or a typed line: the next step waits until this line of bash succeeds |
//! | anything else | output |
//!
//! Lines for the runner, at the head of the file; chapters do not show them:
//!
//! | line | meaning |
//! |---|---|
//! | `% varies: REGEX` | text that may differ from run to run, like a process id; times of day, ports chosen by the kernel, and spaces never count |
//! | `% drop: REGEX` | lines of output that are left out |
//! | `% file NAME: TEXT` | a file with one line of text, in the folder where the commands run |
//! | `% needs: PROGRAM ...` | programs without which it cannot run (the usual ones, like curl, ss and strace, are known) |
//! | `% alone: REASON` | it is not played beside others, because it measures something |
//! | `% # TEXT` | a remark |
//!
//! To write one, type the commands without their output and run `cargo book --record NAME`: it fills in the outputs, and
//! replaces them when you run it again. `cargo book --check` runs all of them, several side by side, and compares. The commands run in an empty
//! folder, in a network namespace with nothing but loopback, so that all ports are free; the course's programs are found by their names. The
//! next step begins when the output of the last one is complete and its program waits for something, or has ended; everything ends with
//! the transcript.

mod alone;
mod asleep;
mod awaited;
pub(crate) mod files;
mod format;
pub(crate) mod scripts;
pub(crate) mod session;
pub(crate) mod show;
mod stage;
mod terminal;

use std::fs;
use std::iter;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};

use crate::times::Times;
use files::{names, path_of, read};
use stage::Stage;

/// All transcripts, ready to be played.
pub(crate) struct Plays {
    stage: Stage,
    together: Vec<Play>,
    alone: Vec<Play>,
}

/// One transcript.
struct Play {
    name: String,
    path: PathBuf,
}

impl Plays {
    /// Builds the programs, and says which transcripts cannot be compared here.
    ///
    /// # Errors
    ///
    /// Fails if the programs cannot be built, or a transcript is malformed.
    pub(crate) fn prepare(root: &Path) -> Result<Self> {
        let mut plays = Self {
            stage: Stage::build()?,
            together: Vec::new(),
            alone: Vec::new(),
        };
        for name in names(root)? {
            let transcript = read(root, &name)?;
            if let Some(reason) = plays.stage.cannot_run(&transcript) {
                println!("book/transcripts/{name}.txt is not compared: {reason}.");
                continue;
            }
            let path = path_of(root, &name);
            if transcript.alone || !plays.stage.separates_ports() {
                plays.alone.push(Play { name, path });
            } else {
                plays.together.push(Play { name, path });
            }
        }
        Ok(plays)
    }

    /// Plays the transcripts that may be played side by side, and describes what differs from the recordings.
    ///
    /// # Errors
    ///
    /// Fails if a session is not played to its end.
    pub(crate) fn together(&self, times: Times) -> Result<Vec<String>> {
        // They mostly wait: for a timeout, or for each other's output.
        let lanes = 4 * thread::available_parallelism().map_or(1, NonZero::get);
        let found = side_by_side(&self.together, lanes, |play| self.compare(play, times));
        Ok(found.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }

    /// Plays the transcripts that need the machine for themselves, one after the other.
    ///
    /// # Errors
    ///
    /// Fails if a session is not played to its end.
    pub(crate) fn alone(&self, times: Times) -> Result<Vec<String>> {
        let found = self.alone.iter().map(|play| self.compare(play, times));
        Ok(found.collect::<Result<Vec<_>>>()?.concat())
    }

    fn compare(&self, play: &Play, times: Times) -> Result<Vec<String>> {
        let name = &play.name;
        let session = || self.stage.play(&play.path, false);
        let report = times.of(&format!("transcript {name}"), session)?;
        let place = |problem| format!("book/transcripts/{name}.txt:{problem}");
        Ok(report.problems.into_iter().map(place).collect())
    }
}

/// Does the same with each of `all`, at most `lanes` at a time, and returns the results in their order.
fn side_by_side<T: Sync, R: Send>(
    all: &[T],
    lanes: usize,
    does: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take_next = || {
        let place = next.fetch_add(1, Ordering::Relaxed);
        all.get(place).map(|one| (place, does(one)))
    };
    let lane = || iter::from_fn(take_next).collect::<Vec<_>>();
    let mut done: Vec<_> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let done = lanes.into_iter().map(|lane| lane.join());
        done.flat_map(|lane| lane.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Records a transcript, or all of them, and writes the outputs into their files.
///
/// # Errors
///
/// Fails if a transcript is malformed, cannot be run here, or a step of it fails.
pub(crate) fn record(root: &Path, only: Option<&str>) -> Result<()> {
    let stage = Stage::build()?;
    let all = match only {
        Some(name) => vec![name.to_owned()],
        None => names(root)?,
    };
    for name in all {
        let transcript = read(root, &name)?;
        if let Some(reason) = stage.cannot_run(&transcript) {
            bail!("book/transcripts/{name}.txt cannot be recorded: {reason}");
        }
        let path = path_of(root, &name);
        let report = stage.play(&path, true)?;
        ensure!(
            report.problems.is_empty(),
            "{}:{}",
            path.display(),
            report.problems.join("\n")
        );
        fs::write(&path, &report.text)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("Recorded book/transcripts/{name}.txt.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn several_run_side_by_side_and_keep_their_order() {
        let meeting = Barrier::new(3);
        let numbers: Vec<usize> = (0..9).collect();
        let doubled = side_by_side(&numbers, 3, |number| {
            // Passed only when three are here at the same time.
            meeting.wait();
            number * 2
        });
        assert_eq!(doubled, [0, 2, 4, 6, 8, 10, 12, 14, 16]);
        assert_eq!(side_by_side(&[1], 3, |number| *number), [1]);
    }
}
