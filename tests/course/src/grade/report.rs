//! The outcome of grading, independent of its formats.

pub(crate) mod gradescope;
pub(super) mod junit;
pub(crate) mod markdown;
pub(crate) mod table;

use crate::hunts::trial;
use crate::run::output;
use crate::run::test::{Outcome, Run};
use course::manifest::Exercise;

/// A graded submission.
#[derive(Debug)]
pub(crate) struct Report {
    /// The stages in their order.
    pub(crate) stages: Vec<StageReport>,
    /// The hunts for which the submission has a script; their points are not among those of the exercises.
    pub(crate) hunts: Vec<HuntReport>,
    /// The questions of the quiz that were answered, and whether the first answer was right. They have no points.
    pub(crate) quiz: Vec<(String, bool)>,
    /// How the tests were guarded.
    pub(crate) guard: String,
}

/// A graded stage.
#[derive(Debug)]
pub(crate) struct StageReport {
    pub(crate) id: String,
    pub(crate) title: String,
    /// The compiler's messages, if it did not compile.
    pub(crate) build: Option<String>,
    pub(crate) exercises: Vec<ExerciseReport>,
}

/// A graded hunt.
#[derive(Debug)]
pub(crate) struct HuntReport {
    pub(crate) name: String,
    pub(crate) title: String,
    /// The points that there are.
    pub(crate) points: u32,
    pub(crate) verdict: trial::Verdict,
    pub(crate) story: String,
}

impl HuntReport {
    /// Returns the points earned: all or none.
    pub(crate) fn earned(&self) -> u32 {
        if self.verdict == trial::Verdict::Caught {
            self.points
        } else {
            0
        }
    }
}

/// A graded exercise.
#[derive(Debug)]
pub(crate) struct ExerciseReport {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) chapter: String,
    pub(crate) points: u32,
    pub(crate) verdict: Verdict,
    /// It was graded with the reference's code in the stages before.
    pub(crate) on_reference: bool,
    pub(crate) tests: Vec<TestReport>,
    /// A sentence for each module whose unit tests were not run: they cost no points and give none.
    pub(crate) unrun: Vec<String>,
}

/// A test that was run.
#[derive(Debug)]
pub(crate) struct TestReport {
    pub(crate) name: String,
    pub(crate) run: Run,
}

/// The verdict about an exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every test has passed.
    Passed,
    /// A test has failed.
    Failed,
    /// A test did not end in time, and none has failed.
    TimedOut,
    /// The code does not compile.
    CouldNotBuild,
    /// The fault lies outside of the code.
    NotGraded,
}

impl Verdict {
    /// Returns the verdict of an exercise's tests: the worst outcome that the code is to blame for.
    pub(crate) fn of(tests: &[TestReport]) -> Self {
        let has = |outcome| tests.iter().any(|test| test.run.outcome == outcome);
        if has(Outcome::Failed) {
            Self::Failed
        } else if has(Outcome::TimedOut) {
            Self::TimedOut
        } else if has(Outcome::NotGraded) || tests.is_empty() {
            Self::NotGraded
        } else {
            Self::Passed
        }
    }

    /// Returns the verdict in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::CouldNotBuild => "could not build",
            Self::NotGraded => "could not be graded",
        }
    }
}

impl Report {
    /// Iterates over all exercises.
    pub(crate) fn exercises(&self) -> impl Iterator<Item = &ExerciseReport> {
        self.stages.iter().flat_map(|stage| &stage.exercises)
    }

    /// Returns the points earned in hunts.
    pub(crate) fn points_of_hunts(&self) -> u32 {
        self.hunts.iter().map(HuntReport::earned).sum()
    }

    /// Returns the points earned, and those that there are.
    pub(crate) fn points(&self) -> (u32, u32) {
        let earned = self.exercises().map(ExerciseReport::earned).sum();
        (
            earned,
            self.exercises().map(|exercise| exercise.points).sum(),
        )
    }
}

impl StageReport {
    /// Returns whether every exercise has passed.
    pub(crate) fn all_passed(&self) -> bool {
        self.exercises
            .iter()
            .all(|exercise| exercise.verdict == Verdict::Passed)
    }

    /// Returns whether an exercise has passed.
    pub(crate) fn passed(&self, id: &str) -> bool {
        self.exercises
            .iter()
            .any(|exercise| exercise.id == id && exercise.verdict == Verdict::Passed)
    }

    /// Adopts the exercises that have passed in a second pass; the others keep their first report.
    pub(crate) fn improve(&mut self, second: Self) {
        if self.build.is_some() && second.build.is_none() {
            *self = second;
            return;
        }
        for (first, second) in self.exercises.iter_mut().zip(second.exercises) {
            if second.verdict == Verdict::Passed {
                *first = second;
            }
        }
    }
}

impl ExerciseReport {
    /// Describes an exercise without tests.
    pub(crate) fn new(exercise: &Exercise) -> Self {
        Self {
            id: exercise.id().to_owned(),
            title: exercise.title.clone(),
            chapter: exercise.chapter.as_ref().clone(),
            points: exercise.points,
            verdict: Verdict::NotGraded,
            on_reference: false,
            tests: Vec::new(),
            unrun: Vec::new(),
        }
    }

    /// Returns the points earned: all or none.
    pub(crate) fn earned(&self) -> u32 {
        if self.verdict == Verdict::Passed {
            self.points
        } else {
            0
        }
    }

    /// Describes how many tests have passed, and on which earlier stages.
    pub(crate) fn note(&self) -> String {
        let passed = self
            .tests
            .iter()
            .filter(|test| test.run.outcome == Outcome::Passed)
            .count();
        let reference = if self.on_reference {
            ", on the reference's earlier stages"
        } else {
            ""
        };
        let unrun = if self.unrun.is_empty() {
            ""
        } else {
            ", some unit tests not run"
        };
        format!("{passed} of {} tests{reference}{unrun}", self.tests.len())
    }

    /// Returns the message of the first test that did not pass, in at most `lines` lines.
    pub(crate) fn story(&self, lines: usize) -> Option<String> {
        let test = self
            .tests
            .iter()
            .find(|test| test.run.outcome != Outcome::Passed)?;
        let text = match output::unwritten(&test.run.output) {
            Some(id) => format!("exercise {id} is not written yet"),
            None => output::message(&test.run.output),
        };
        let text: Vec<_> = text.lines().take(lines).collect();
        Some(format!("{}: {}", test.name, text.join("\n")))
    }
}

#[cfg(test)]
pub(super) mod sample {
    use std::time::Duration;

    use super::*;

    pub(crate) fn test(name: &str, outcome: Outcome, output: &str) -> TestReport {
        let run = Run {
            outcome,
            output: output.to_owned(),
            time: Duration::from_millis(1500),
        };
        TestReport {
            name: name.to_owned(),
            run,
        }
    }

    fn exercise(id: &str, points: u32, tests: Vec<TestReport>) -> ExerciseReport {
        ExerciseReport {
            id: id.to_owned(),
            title: "Title".to_owned(),
            chapter: "x.md".to_owned(),
            points,
            verdict: Verdict::of(&tests),
            on_reference: false,
            tests,
            unrun: Vec::new(),
        }
    }

    /// One exercise that passed, one that failed, one whose stage does not compile.
    pub(crate) fn report() -> Report {
        let good = exercise("1.1", 60, vec![test("e11_a", Outcome::Passed, "")]);
        let bad = vec![
            test("e12_a", Outcome::Passed, ""),
            test("e12_b", Outcome::Failed, "a < b & \"c\"\n\u{1b}[1m|"),
        ];
        let broken = ExerciseReport {
            verdict: Verdict::CouldNotBuild,
            ..exercise("2.1", 10, vec![])
        };
        let stage = |id: &str, build: Option<&str>, exercises| StageReport {
            id: id.to_owned(),
            title: "A stage".to_owned(),
            build: build.map(str::to_owned),
            exercises,
        };
        Report {
            stages: vec![
                stage("stage1", None, vec![good, exercise("1.2", 30, bad)]),
                stage(
                    "stage2",
                    Some("error[E0308]: mismatched types"),
                    vec![broken],
                ),
            ],
            hunts: Vec::new(),
            quiz: Vec::new(),
            guard: "guarded".to_owned(),
        }
    }

    /// The same with unit tests that do not compile with the code.
    pub(crate) fn report_with_unrun() -> Report {
        let mut report = report();
        let why = "The unit tests of 1.1 in a::tests were not run, because \"so\".";
        report.stages[0].exercises[0].unrun = vec![why.to_owned()];
        report
    }

    /// The same with a hunt that was won and one that was not.
    pub(crate) fn report_with_hunts() -> Report {
        let hunt = |name: &str, verdict, story: &str| HuntReport {
            name: name.to_owned(),
            title: "A hunt".to_owned(),
            points: 3,
            verdict,
            story: story.to_owned(),
        };
        Report {
            hunts: vec![
                hunt("one", trial::Verdict::Caught, "3 times"),
                hunt("two", trial::Verdict::FalseAlarm, "on <right>:\n1"),
            ],
            ..report()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_the_worst_that_the_code_is_to_blame_for() {
        let of = |outcomes: &[Outcome]| {
            let tests: Vec<_> = outcomes
                .iter()
                .map(|outcome| sample::test("x", *outcome, ""))
                .collect();
            Verdict::of(&tests)
        };
        use Outcome::{Failed, NotGraded, Passed, TimedOut};
        assert_eq!(of(&[Passed, Passed]), Verdict::Passed);
        assert_eq!(of(&[Passed, TimedOut, NotGraded]), Verdict::TimedOut);
        assert_eq!(of(&[TimedOut, Failed]), Verdict::Failed);
        assert_eq!(of(&[Passed, NotGraded]), Verdict::NotGraded);
        assert_eq!(
            of(&[]),
            Verdict::NotGraded,
            "an exercise without tests has not passed"
        );
    }

    #[test]
    fn points_are_earned_by_exercise() {
        assert_eq!(sample::report().points(), (60, 100));
    }

    #[test]
    fn the_second_pass_only_improves() {
        let mut stages = sample::report().stages;
        let mut second = sample::report().stages.remove(0);
        second.exercises[1].verdict = Verdict::Passed;
        second.exercises[1].on_reference = true;
        second.exercises[0].verdict = Verdict::Failed;
        stages[0].improve(second);
        assert!(stages[0].all_passed());
        assert!(!stages[0].exercises[0].on_reference && stages[0].exercises[1].on_reference);
    }
}
