//! Wrong solutions that are seen from outside: the tests of the reference run against their programs.
//!
//! ```text
//!   the reference ─── its tests are built once, and kept ──────┐
//!   a wrong solution ─── only its programs are built ──────────┴──▶ the test that it names fails: caught
//!                                                                   it passes: judged again, with all tests built anew
//! ```
//!
//! Most tests only talk to a program. Cargo compiles all tests of a stage again whenever its library has changed, which
//! takes longer than everything else that a claim needs. A kept test that fails has seen the wrong program. One that
//! passes has proved nothing, because it may have looked at the library, which is the reference's.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use anyhow::{Context, Result};

use crate::run::build::Build;
use crate::units::Units;
use crate::verify::bench::Bench;
use crate::verify::judge::Verdict;
use crate::verify::plan::{Change, Claim, Demand, Setting};
use course::manifest::{Stage, last_segment};

impl Bench<'_> {
    /// Judges a setting by its programs alone; `None` if that proves nothing.
    ///
    /// # Errors
    ///
    /// Fails if the reference cannot be built, or cargo cannot be started.
    pub(super) fn judge_outside(
        &self,
        setting: &Setting<'_>,
        claims: &[&Claim<'_>],
    ) -> Result<Option<Vec<Verdict>>> {
        let (Change::Patch(_), Some(test)) = (&setting.change, only_test(claims)) else {
            return Ok(None);
        };
        let Some(executable) = self.reference_tests(setting.stage)? else {
            return Ok(None);
        };
        let mut tests = self.tests_in(executable, setting, String::new(), Units::default())?;
        let name = tests
            .all
            .names
            .iter()
            .find(|name| last_segment(name) == test);
        if !name.is_some_and(|name| looks_from_outside(&self.workbench.site.root, setting, name)) {
            return Ok(None);
        }
        let site = &self.workbench.site;
        if self.prepare(&setting.change)?.is_some()
            || self
                .turns
                .take(|| site.build_programs(setting.stage))?
                .is_err()
        {
            return Ok(None);
        }
        let verdicts: Vec<_> = claims.iter().map(|claim| tests.judge(claim)).collect();
        let all_hold = verdicts.iter().all(|verdict| verdict.against.is_empty());
        Ok(all_hold.then_some(verdicts))
    }

    /// Returns the executable with the reference's tests of a stage, which is built at the first call; `None` if it does
    /// not compile.
    fn reference_tests(&self, stage: &Stage) -> Result<Option<PathBuf>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(executable) = kept.get(stage.id()) {
            return Ok(Some(executable.clone()));
        }
        self.prepare(&Change::Blank(vec![]))?;
        let site = &self.workbench.site;
        let Build::Ready(built) = self.turns.take(|| site.build(stage))? else {
            return Ok(None);
        };
        // Beside the other one, because a guard lets it see the programs that are found from there.
        let copy = built.with_file_name(format!("{}-of-the-reference", stage.id()));
        fs::copy(&built, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
        kept.insert(stage.id().to_owned(), copy.clone());
        Ok(Some(copy))
    }
}

/// Returns the test that all of some claims are about; `None` if they are about others, or about more than its failure.
fn only_test<'c>(claims: &[&'c Claim<'_>]) -> Option<&'c str> {
    let of = |claim: &&'c Claim<'_>| match &claim.demand {
        Demand::Catches(test) | Demand::CatchesEachTime(test, _) | Demand::Says { test, .. } => {
            Some(test.as_str())
        }
        Demand::NoWarning
        | Demand::Fails(_)
        | Demand::Passes(_)
        | Demand::Works(_)
        | Demand::Exposes(_)
        | Demand::Clears(_)
        | Demand::Reaches(_)
        | Demand::Misses(_) => None,
    };
    let first = claims.first().and_then(of)?;
    claims
        .iter()
        .all(|claim| of(claim) == Some(first))
        .then_some(first)
}

/// Returns whether the file of a test does not mention the library of a stage.
fn looks_from_outside(root: &Path, setting: &Setting<'_>, test: &str) -> bool {
    let Some((module, _)) = test.rsplit_once("::") else {
        return false;
    };
    let file = format!(
        "tests/{}/{}.rs",
        setting.stage.id(),
        module.replace("::", "/")
    );
    fs::read_to_string(root.join(file)).is_ok_and(|text| !mentions_a_library(&text))
}

/// Returns whether a text has the name of a stage's library, such as `stage4_proxy`.
fn mentions_a_library(text: &str) -> bool {
    let is_name = |rest: &str| {
        rest.as_bytes()
            .get(..2)
            .is_some_and(|it| it[0].is_ascii_digit() && it[1] == b'_')
    };
    text.split("stage").skip(1).any(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_told_from_a_program() {
        for (text, uses) in [
            ("use stage4_proxy::access;", true),
            ("stage1_server::serve()", true),
            ("Program::start(\"stage4-proxy\")", false),
            ("the stage", false),
            ("mod stage4;", false),
            ("stage", false),
        ] {
            assert_eq!(mentions_a_library(text), uses, "{text}");
        }
    }
}
