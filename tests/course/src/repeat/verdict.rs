//! Which tests of a run failed, with the seeds of their random bytes, read from what libtest prints.

use std::path::{Path, PathBuf};

use crate::run::test::Run;
use course::manifest::last_segment;

/// A test that failed in one of the runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The test, or how the whole run ended when no test is named.
    pub(super) test: String,
    /// The `COURSE_SEED` that repeats the test's random bytes.
    pub(super) seed: Option<String>,
    /// Where the output is.
    pub(super) file: PathBuf,
}

/// Finds the tests that failed in a run; at least one entry, also when libtest named none.
pub(super) fn failures(run: &Run, file: &Path) -> Vec<Failure> {
    let failure = |test: &str, seed: Option<&str>| Failure {
        test: test.to_owned(),
        seed: seed.map(str::to_owned),
        file: file.to_owned(),
    };
    let named = names(&run.output);
    if named.is_empty() {
        let last = run.output.lines().rfind(|line| !line.trim().is_empty());
        let how = format!("{:?}: {}", run.outcome, last.unwrap_or("no output"));
        return vec![failure(&how, None)];
    }
    let seeded = |name: &&str| failure(last_segment(name), seed(&run.output, name));
    named.iter().map(seeded).collect()
}

/// Returns the failures in one line.
pub(super) fn list(failures: &[Failure]) -> String {
    let word = |failure: &Failure| match &failure.seed {
        Some(seed) => format!("{} (seed {seed})", failure.test),
        None => failure.test.clone(),
    };
    failures.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Reads the names from the list at the end.
fn names(output: &str) -> Vec<&str> {
    let Some((_, list)) = output.rsplit_once("\nfailures:\n") else {
        return vec![];
    };
    let lines = list.lines().take_while(|line| !line.trim().is_empty());
    lines.map(str::trim).collect()
}

/// Finds the seed in the output of the test.
fn seed<'a>(output: &'a str, name: &str) -> Option<&'a str> {
    let (_, report) = output.split_once(&format!("---- {name} stdout ----"))?;
    let report = report.split("\n---- ").next().unwrap_or(report);
    let (_, rest) = report.split_once("COURSE_SEED=")?;
    rest.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::run::test::Outcome;

    fn run(output: &str) -> Run {
        Run {
            outcome: Outcome::Failed,
            output: output.to_owned(),
            time: Duration::ZERO,
        }
    }

    const OUTPUT: &str = "running 3 tests\ntest a::e11_x ... FAILED\ntest e12_y ... FAILED\n\nfailures:\n\n\
        ---- a::e11_x stdout ----\nIt is wrong.\nThe random bytes come from seed 0x2a; COURSE_SEED=0x2a replays them.\n\n\
        ---- e12_y stdout ----\nNo seed.\n\n\nfailures:\n    a::e11_x\n    e12_y\n\ntest result: FAILED. 1 passed; 2 failed\n";

    #[test]
    fn failed_tests_are_named_with_their_own_seeds() {
        let found = failures(&run(OUTPUT), Path::new("f"));
        let pairs: Vec<_> = found
            .iter()
            .map(|failure| (failure.test.as_str(), failure.seed.as_deref()))
            .collect();
        assert_eq!(pairs, [("e11_x", Some("0x2a")), ("e12_y", None)]);
        assert_eq!(list(&found), "e11_x (seed 0x2a), e12_y");
    }

    #[test]
    fn a_run_that_names_no_test_has_failed_all_the_same() {
        let found = failures(&run("running\nit did not end\n\n"), Path::new("f"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].test, "Failed: it did not end");
    }
}
