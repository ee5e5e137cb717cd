//! Which exercise a test belongs to: the prefixes of test names in the manifest, of which the longest one that fits decides.

use toml::Spanned;

use crate::manifest::{Exercise, Problem, Stage};

/// The claims on the tests of one kind: an exercise has prefixes for those that judge it, and a stage for those that count for
/// no exercise.
pub(super) struct Claims {
    /// What a problem calls one of these tests.
    noun: &'static str,
    of_exercise: fn(&Exercise) -> &[Spanned<String>],
    ungraded: fn(&Stage) -> &[Spanned<String>],
}

/// The claims on the tests that see a program from outside.
pub(super) const TESTS: Claims = Claims {
    noun: "test",
    of_exercise: |exercise| &exercise.tests,
    ungraded: |stage| &stage.ungraded,
};

/// The claims on the unit tests, by their paths.
pub(super) const UNIT_TESTS: Claims = Claims {
    noun: "unit test",
    of_exercise: |exercise| &exercise.unit,
    ungraded: |stage| &stage.ungraded_unit,
};

impl Claims {
    /// Finds the exercise of a test: the one with the longest prefix that fits, unless an ungraded one is as long.
    pub(super) fn owner<'a>(&self, stage: &'a Stage, test: &str) -> Option<&'a Exercise> {
        let claim = |exercise: &'a Exercise| {
            let length = longest((self.of_exercise)(exercise), test)?;
            Some((length, exercise))
        };
        let claims = stage.exercises.iter().filter_map(claim);
        let (length, owner) = claims.max_by_key(|(length, _)| *length)?;
        (self.ungraded_length(stage, test) < Some(length)).then_some(owner)
    }

    /// Returns whether a test belongs to no exercise, and is not called ungraded either.
    pub(super) fn is_orphan(&self, stage: &Stage, test: &str) -> bool {
        self.owner(stage, test).is_none() && self.ungraded_length(stage, test).is_none()
    }

    /// Describes the prefixes of a stage that fit none of its tests.
    pub(super) fn unmatched(&self, stage: &Stage, tests: &[impl AsRef<str>]) -> Vec<Problem> {
        let graded = stage.exercises.iter().flat_map(self.of_exercise);
        let all = graded.chain((self.ungraded)(stage));
        let fits_none = |prefix: &&Spanned<String>| {
            let prefix = prefix.as_ref().as_str();
            !tests.iter().any(|test| test.as_ref().starts_with(prefix))
        };
        let problem = |prefix: &Spanned<String>| {
            let text = format!("no {} begins with {:?}", self.noun, prefix.as_ref());
            Problem::new(prefix, text)
        };
        all.filter(fits_none).map(problem).collect()
    }

    fn ungraded_length(&self, stage: &Stage, test: &str) -> Option<usize> {
        longest((self.ungraded)(stage), test)
    }
}

/// Returns the length of the longest prefix that fits a name.
fn longest(prefixes: &[Spanned<String>], name: &str) -> Option<usize> {
    let all = prefixes.iter().map(|prefix| prefix.as_ref().as_str());
    let fitting = all.filter(|prefix| name.starts_with(prefix));
    fitting.map(str::len).max()
}
