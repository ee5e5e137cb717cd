//! The transcript: a numbered list of the actions and observations of a test, printed when it fails.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::captured::Captured;
use crate::seed::choose_seed;
use crate::sync::lock;

/// Steps kept from the beginning.
const FIRST_STEPS: usize = 40;
/// Steps kept from the end.
const LAST_STEPS: usize = 60;
/// Lines of a program's stderr that a report shows.
const LAST_WORDS: usize = 15;

thread_local! {
    static CURRENT: RefCell<Option<Transcript>> = const { RefCell::new(None) };
}

/// The actions and observations of one test so far; cheap to clone and to share between its threads.
#[derive(Clone, Debug)]
pub struct Transcript {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    owner: ThreadId,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    first: Vec<Step>,
    last: VecDeque<Step>,
    steps: usize,
    streams: u64,
    clients: usize,
    hint: String,
    programs: Vec<(String, Arc<Captured>)>,
    reported: bool,
}

#[derive(Debug)]
struct Step {
    number: usize,
    at: Duration,
    text: String,
}

impl Transcript {
    /// Creates an empty transcript with a seed of its own and makes it the current one of this thread.
    #[must_use]
    pub fn begin(hint: &str) -> Self {
        let transcript = Self::with_seed(choose_seed());
        lock(&transcript.shared.state).hint = hint.to_owned();
        transcript.enter();
        transcript
    }

    fn with_seed(seed: u64) -> Self {
        let (started, owner) = (Instant::now(), thread::current().id());
        Self {
            shared: Arc::new(Shared {
                started,
                owner,
                seed,
                state: Mutex::default(),
            }),
        }
    }

    /// Returns the transcript of the test that this thread belongs to, or begins one.
    #[must_use]
    pub fn current() -> Self {
        let known = CURRENT.with_borrow(Clone::clone);
        known.unwrap_or_else(|| Self::begin(""))
    }

    /// Makes this the current transcript of the calling thread: a thread that a test starts calls this first.
    pub fn enter(&self) {
        CURRENT.set(Some(self.clone()));
    }

    /// Forgets the current transcript of the calling thread.
    pub fn leave() {
        CURRENT.set(None);
    }

    /// Adds a step.
    pub fn step(&self, text: impl Into<String>) {
        let at = self.shared.started.elapsed();
        let mut state = lock(&self.shared.state);
        state.steps += 1;
        let step = Step {
            number: state.steps,
            at,
            text: text.into(),
        };
        if state.first.len() < FIRST_STEPS {
            state.first.push(step);
            return;
        }
        state.last.push_back(step);
        if state.last.len() > LAST_STEPS {
            state.last.pop_front();
        }
    }

    /// Adds a step unless the last one is the same: what is asked again and again is shown once.
    pub(crate) fn step_once(&self, text: String) {
        let is_last = {
            let state = lock(&self.shared.state);
            let last = state.last.back().or(state.first.last());
            last.is_some_and(|last| last.text == text)
        };
        if !is_last {
            self.step(text);
        }
    }

    /// Returns the seed of this test's random bytes.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// Returns whether the calling thread is the one that began this transcript.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.shared.owner == thread::current().id()
    }

    pub(crate) fn next_stream(&self) -> u64 {
        let mut state = lock(&self.shared.state);
        state.streams += 1;
        state.streams
    }

    pub(crate) fn next_client(&self) -> usize {
        let mut state = lock(&self.shared.state);
        state.clients += 1;
        state.clients
    }

    /// Makes the stderr of a program part of the report.
    pub(crate) fn watch(&self, program: &str, stderr: &Arc<Captured>) {
        lock(&self.shared.state)
            .programs
            .push((program.to_owned(), Arc::clone(stderr)));
    }

    /// Marks the transcript as printed and returns whether it already was.
    pub(crate) fn mark_reported(&self) -> bool {
        std::mem::replace(&mut lock(&self.shared.state).reported, true)
    }

    /// Returns the sentence that a blanked exercise left on some program's stderr, if any.
    pub(crate) fn missing_exercise(&self) -> Option<String> {
        let state = lock(&self.shared.state);
        state
            .programs
            .iter()
            .find_map(|(_, stderr)| missing_exercise(&stderr.text()))
    }

    /// Returns the report that follows a failure's own words: steps, stderr, hint, seed.
    #[must_use]
    pub fn report(&self) -> String {
        let state = lock(&self.shared.state);
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = write!(text, "{}{}", state.steps_text(), state.programs_text());
        if !state.hint.is_empty() {
            let _ = writeln!(text, "\nHint: {}", state.hint);
        }
        let seed = self.shared.seed;
        let _ = writeln!(
            text,
            "\nThe random bytes come from seed {seed:#x}; COURSE_SEED={seed:#x} replays them."
        );
        text
    }
}

impl State {
    fn steps_text(&self) -> String {
        if self.steps == 0 {
            return String::new();
        }
        let mut text = String::from("\nWhat was done and seen:\n");
        self.first.iter().for_each(|step| step.write(&mut text));
        let left_out = self.steps - self.first.len() - self.last.len();
        if left_out > 0 {
            let _ = writeln!(text, "        ... {left_out} steps left out ...");
        }
        self.last.iter().for_each(|step| step.write(&mut text));
        text
    }

    fn programs_text(&self) -> String {
        let mut text = String::new();
        for (program, stderr) in &self.programs {
            let lines = stderr.last_lines(LAST_WORDS);
            if lines.is_empty() {
                let _ = writeln!(text, "\n{program} wrote nothing to stderr.");
                continue;
            }
            let _ = writeln!(text, "\nThe last lines that {program} wrote to stderr:");
            for line in lines {
                let _ = writeln!(text, "  | {line}");
            }
        }
        text
    }
}

impl Step {
    fn write(&self, text: &mut String) {
        let seconds = self.at.as_secs_f64();
        let _ = writeln!(
            text,
            "  {:>4}  {seconds:>7.3} s  {}",
            self.number, self.text
        );
    }
}

/// Finds `exercise N.M` in the message of a `todo!("exercise N.M: ...")`.
pub(crate) fn missing_exercise(stderr: &str) -> Option<String> {
    let (_, rest) = stderr.split_once("not yet implemented: ")?;
    let line = rest.lines().next()?;
    line.starts_with("exercise ").then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered() {
        let transcript = Transcript::with_seed(0x2a);
        transcript.step("client 1 connects");
        transcript.step("client 1 sends 3 bytes");
        let report = transcript.report();
        assert!(
            report.contains("What was done and seen:\n     1"),
            "{report}"
        );
        assert!(report.contains(" s  client 1 connects\n     2"), "{report}");
        assert!(report.contains("COURSE_SEED=0x2a replays"), "{report}");
        assert!(!report.contains("Hint"), "{report}");
    }

    #[test]
    fn a_long_test_keeps_its_beginning_and_its_end() {
        let transcript = Transcript::with_seed(1);
        for number in 1..=1000 {
            transcript.step(format!("step {number}"));
        }
        let report = transcript.report();
        assert!(
            report.contains("step 1\n") && report.contains("step 1000\n"),
            "{report}"
        );
        assert!(report.contains("... 900 steps left out ..."), "{report}");
    }

    #[test]
    fn the_report_holds_stderr_and_hint() {
        let transcript = Transcript::begin("Read until 0.");
        let stderr = Arc::new(Captured::new(100));
        transcript.watch("stage1-server", &stderr);
        assert!(
            transcript
                .report()
                .contains("stage1-server wrote nothing to stderr.")
        );
        stderr.push(b"first\nlast\n");
        let report = transcript.report();
        assert!(
            report.contains("that stage1-server wrote to stderr:\n  | first\n  | last"),
            "{report}"
        );
        assert!(report.contains("\nHint: Read until 0.\n"), "{report}");
    }

    #[test]
    fn a_missing_exercise_is_found() {
        let stderr = "thread 'main' panicked at a.rs:3:5:\nnot yet implemented: exercise 3.2: flush\nnote: run";
        assert_eq!(
            missing_exercise(stderr).as_deref(),
            Some("exercise 3.2: flush")
        );
        assert_eq!(missing_exercise("not yet implemented: later"), None);
        assert_eq!(missing_exercise("all is well"), None);
    }
}
