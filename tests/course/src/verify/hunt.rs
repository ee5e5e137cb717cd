//! The proof that every hunt can be won: its kept script exposes the fault, and clears the reference and every variant.
//!
//! The claims join settings that are there for other proofs, so that nothing is built twice: a wrong solution's program is
//! there when its test has failed, the reference's and a variant's when all tests have passed.

use std::path::Path;

use anyhow::Result;

use crate::run::script::Ending;
use crate::verify::bench::Bench;
use crate::verify::judge::Verdict;
use crate::verify::plan::{Change, Claim, Demand, Proof, Setting};
use course::hunt::bug_of;
use course::manifest::Stage;

/// The time limit of a kept script, in seconds.
const SECONDS: u64 = 20;
/// How often a script is tried: the claims share the machine with everything else.
const TRIES: usize = 2;

/// Adds the claims about hunts to the settings.
///
/// # Errors
///
/// Fails if a kept script names no wrong solution of its stage.
pub(super) fn join(root: &Path, settings: &mut [Setting<'_>]) -> Result<()> {
    for setting in settings {
        let stage: &Stage = setting.stage;
        for hunt in &stage.hunts {
            let script = root.join(hunt.kept());
            let name = hunt.name();
            let (text, demand) = match about(&setting.change, &bug_of(root, stage, hunt)?) {
                About::TheBug => (
                    format!("the hunt {name} is won by its kept script"),
                    Demand::Exposes(script),
                ),
                About::Right(what) => (
                    format!("the script of {name} clears {what}"),
                    Demand::Clears(script),
                ),
                About::Nothing => continue,
            };
            setting.claims.push(Claim::new(Proof::Hunts, text, demand));
        }
    }
    Ok(())
}

/// What a setting's program is to a hunt of its stage.
enum About {
    TheBug,
    Right(String),
    Nothing,
}

fn about(change: &Change<'_>, bug: &Path) -> About {
    match change {
        Change::Blank(open) if open.is_empty() => About::Right("the reference".to_owned()),
        Change::Patch(patch) if patch == bug => About::TheBug,
        Change::Patch(patch) | Change::Program(patch) if is_variant(patch) => {
            About::Right(patch.file_stem().unwrap_or_default().display().to_string())
        }
        Change::Blank(_) | Change::Patch(_) | Change::Program(_) => About::Nothing,
    }
}

fn is_variant(file: &Path) -> bool {
    file.parent()
        .is_some_and(|folder| folder.ends_with("tests/variants"))
}

impl Bench<'_> {
    /// Judges the claims about hunts of a setting whose program is built already, or builds it.
    ///
    /// # Errors
    ///
    /// Fails if a patch does not fit or a process cannot be started.
    pub(super) fn judge_hunts(
        &self,
        setting: &Setting<'_>,
        claims: &[&Claim<'_>],
        is_built: bool,
    ) -> Result<Vec<Verdict>> {
        if !is_built && let Some(refusal) = self.build_program(setting)? {
            return Ok(vec![Verdict::against(vec![refusal]); claims.len()]);
        }
        let program = match &setting.change {
            Change::Program(program) => program.clone(),
            Change::Blank(_) | Change::Patch(_) => {
                self.target().join("debug").join(setting.stage.package())
            }
        };
        claims
            .iter()
            .map(|claim| self.judge_hunt(claim, &program))
            .collect()
    }

    /// Builds the program of a setting; returns the refusal if that fails.
    fn build_program(&self, setting: &Setting<'_>) -> Result<Option<String>> {
        if let Some(refusal) = self.prepare(&setting.change)? {
            return Ok(Some(refusal));
        }
        if matches!(setting.change, Change::Program(_)) {
            return Ok(None);
        }
        let site = &self.workbench.site;
        let built = self.turns.take(|| site.build_programs(setting.stage))?;
        Ok(built.err())
    }

    fn judge_hunt(&self, claim: &Claim<'_>, program: &Path) -> Result<Verdict> {
        let (script, wanted) = match &claim.demand {
            Demand::Exposes(script) => (script, 1),
            Demand::Clears(script) => (script, 0),
            Demand::NoWarning
            | Demand::Fails(_)
            | Demand::Passes(_)
            | Demand::Catches(_)
            | Demand::CatchesEachTime(..)
            | Demand::Says { .. }
            | Demand::Works(_)
            | Demand::Reaches(_)
            | Demand::Misses(_) => {
                return Ok(Verdict::against(vec![
                    "this is no claim about a hunt".to_owned(),
                ]));
            }
        };
        let guard = self.guard.lasting(SECONDS);
        let mut against = Vec::new();
        for number in 1..=TRIES {
            let run = guard.run_script(script, program)?;
            if run.ending == Ending::Status(wanted) {
                let late = (number > 1).then_some(number);
                return Ok(Verdict {
                    against: vec![],
                    late,
                });
            }
            against = vec![format!("{:?}: {}", run.ending, run.output.trim_end())];
        }
        Ok(Verdict::against(against))
    }
}
