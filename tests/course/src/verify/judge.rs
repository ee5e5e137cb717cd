//! How a setting's claims are judged: which tests run, how often, and what speaks against a claim.

use std::collections::HashMap;

use crate::run::output;
use crate::run::test::{Outcome, Run};
use crate::units::both::Both;
use crate::verify::plan::{Claim, Demand};
use course::manifest::Exercise;

/// The characters of the compiler's messages in a row.
const MESSAGES: usize = 1200;

/// How often the test that must catch a wrong solution is tried: some mistakes show only when threads meet.
const TRIES: usize = 3;

/// How many runs of a test that is repeated go on at the same time: on a wrong solution, most tests wait until their deadline.
const AT_ONCE: usize = 5;

/// What was found about a claim: the objections to it, and the try that caught a wrong solution if it was not the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    pub(super) against: Vec<String>,
    pub(super) late: Option<usize>,
}

impl Verdict {
    /// Creates the verdict of these objections.
    pub(super) fn against(against: Vec<String>) -> Self {
        Self {
            against,
            late: None,
        }
    }
}

/// The tests of a setting, with the outcomes so far.
pub(super) struct Tests<'a> {
    pub(super) all: Both<'a>,
    pub(super) warnings: String,
    /// Whether each unit test must be run, so that one which does not compile is an objection.
    pub(super) needs_units: bool,
    pub(super) runs: HashMap<String, Run>,
}

impl Tests<'_> {
    /// Runs all tests of some exercises, several at a time.
    pub(super) fn run_all<'e>(&mut self, exercises: impl Iterator<Item = &'e Exercise>) {
        let wanted: Vec<_> = exercises.map(Exercise::id).collect();
        let is_wanted = |name: &&String| {
            let owner = self.all.owner(name);
            owner.is_some_and(|owner| wanted.contains(&owner.id()))
        };
        let names: Vec<_> = self.all.names.iter().filter(is_wanted).cloned().collect();
        let runs = self.all.run_all(&names, &|_, _| ());
        self.runs.extend(names.into_iter().zip(runs));
    }

    /// Judges a claim.
    pub(super) fn judge(&mut self, claim: &Claim<'_>) -> Verdict {
        Verdict::against(match &claim.demand {
            Demand::NoWarning if self.warnings.is_empty() => vec![],
            Demand::NoWarning => vec![shortened(&self.warnings)],
            Demand::Passes(exercises) => exercises
                .iter()
                .flat_map(|exercise| self.unpassed(exercise))
                .collect(),
            Demand::Fails(exercise) => self.escape(&self.of(exercise), "every test of it passes"),
            Demand::Catches(test) => return self.catch(test, &[]),
            Demand::CatchesEachTime(test, times) => self.catch_each_time(test, *times),
            Demand::Says { test, words } => return self.catch(test, words),
            // Judged by verify/hunt.rs, without tests, and by verify/scratch.rs, with other programs.
            Demand::Exposes(_) | Demand::Clears(_) | Demand::Reaches(_) | Demand::Misses(_) => {
                vec![]
            }
            Demand::Works(test) => self.failure(test),
        })
    }

    /// Runs the test that must catch a wrong solution until it fails and its message has all of the words, at most [`TRIES`]
    /// times.
    fn catch(&mut self, test: &str, words: &[String]) -> Verdict {
        let found = self.named(test);
        let mut against = vec![];
        for number in 1..=TRIES {
            against = self.escape(&found, "the test passes");
            if against.is_empty() {
                against = self.unsaid(&found, words);
            }
            if against.is_empty() {
                let late = (number > 1).then_some(number);
                return Verdict { against, late };
            }
            self.runs.retain(|name, _| !found.contains(name));
        }
        Verdict::against(against)
    }

    /// Runs the test that must catch a wrong solution several times; returns the objection if it does not fail each time.
    fn catch_each_time(&self, test: &str, times: usize) -> Vec<String> {
        let Some(name) = self.named(test).pop() else {
            return vec!["there is no such test".to_owned()];
        };
        let runs = self.all.repeat(&name, times, AT_ONCE);
        if let Some(run) = runs.iter().find(|run| run.outcome == Outcome::NotGraded) {
            return vec![format!("{name}: {}", headline(run))];
        }
        let passed = (1..)
            .zip(&runs)
            .filter(|(_, run)| run.outcome == Outcome::Passed);
        let passed: Vec<String> = passed.map(|(number, _)| number.to_string()).collect();
        if passed.is_empty() {
            return vec![];
        }
        vec![format!(
            "the test fails in {} of {times} runs; not in {}",
            times - passed.len(),
            passed.join(", ")
        )]
    }

    /// Lists the words that the message of a test which has failed does not have, however its blanks are. Its hint does not
    /// count, because that is there whatever has happened.
    fn unsaid(&self, names: &[String], words: &[String]) -> Vec<String> {
        let runs = names.iter().filter_map(|name| self.runs.get(name));
        let said: String = runs.map(|run| without_hint(&run.output)).collect();
        let is_unsaid = |word: &&String| !one_line(&said).contains(&one_line(word));
        let unsaid = words.iter().filter(is_unsaid);
        unsaid
            .map(|word| format!("{word:?} is not in the message:\n{}", shortened(&said)))
            .collect()
    }

    /// Runs the test that shows that a program works; returns the objection if it does not pass.
    fn failure(&mut self, test: &str) -> Vec<String> {
        let found = self.named(test);
        let Some(name) = found.first() else {
            return vec![format!("there is no test {test}")];
        };
        let run = || self.all.run(name);
        let run = self.runs.entry(name.clone()).or_insert_with(run);
        match run.outcome {
            Outcome::Passed => vec![],
            Outcome::Failed | Outcome::TimedOut | Outcome::NotGraded => {
                vec![format!("{test}: {}", headline(run))]
            }
        }
    }

    /// Returns the tests of this name; a unit test is named by its path.
    fn named(&self, test: &str) -> Vec<String> {
        let is_meant = |name: &&String| self.all.shown(name) == test;
        self.all.names.iter().filter(is_meant).cloned().collect()
    }

    /// Lists the tests of an exercise that have not passed.
    fn unpassed(&self, exercise: &Exercise) -> Vec<String> {
        let names = self.of(exercise);
        if names.is_empty() {
            return vec![format!("{} has no test", exercise.id())];
        }
        // The course's own code has to compile with its own unit tests; a variant need not.
        let unrun = self.all.unrun(exercise).into_iter();
        let unrun: Vec<_> = unrun.filter(|_| self.needs_units).collect();
        let judged = |name| (name, self.runs.get(name));
        let complaint = |(name, run): (&String, Option<&Run>)| match run {
            Some(run) if run.outcome == Outcome::Passed => None,
            Some(run) => Some(format!("{name}: {}", headline(run))),
            None => Some(format!("{name} was not run")),
        };
        let complaints = names.iter().map(judged).filter_map(complaint);
        complaints.chain(unrun).collect()
    }

    /// Runs tests until one fails; returns the objection if none does.
    fn escape(&mut self, names: &[String], why: &str) -> Vec<String> {
        for name in names {
            let run = || self.all.run(name);
            let run = self.runs.entry(name.clone()).or_insert_with(run);
            match run.outcome {
                Outcome::Failed | Outcome::TimedOut => return vec![],
                Outcome::Passed => {}
                Outcome::NotGraded => return vec![format!("{name}: {}", headline(run))],
            }
        }
        let none = names.is_empty().then_some("there is no such test");
        vec![none.unwrap_or(why).to_owned()]
    }

    /// Returns the names of an exercise's tests.
    fn of(&self, exercise: &Exercise) -> Vec<String> {
        let is_mine = |name: &&String| {
            let owner = self.all.owner(name);
            owner.is_some_and(|owner| owner.id() == exercise.id())
        };
        self.all.names.iter().filter(is_mine).cloned().collect()
    }
}

/// Returns the message of a failed test up to its hint.
fn without_hint(output: &str) -> String {
    let message = output::message(output);
    let end = message.find("\nHint: ").unwrap_or(message.len());
    message[..end].to_owned() + "\n"
}

/// Returns a text with one blank in place of each run of blanks and line ends.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Describes in one line why a test has not passed.
fn headline(run: &Run) -> String {
    let outcome = run.outcome;
    if let Some(exercise) = output::unwritten(&run.output) {
        return format!("{outcome:?}, exercise {exercise} is blank");
    }
    let message = output::message(&run.output);
    let first = message.lines().next().unwrap_or("no message");
    format!("{outcome:?}, {first}")
}

/// Returns the beginning of the compiler's messages.
pub(super) fn shortened(messages: &str) -> String {
    messages.chars().take(MESSAGES).collect()
}
