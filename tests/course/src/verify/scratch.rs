//! The proof of the second track: our own program in C reaches every milestone of its stage, and one that ends at once none.
//!
//! The claims join the setting in which all exercises are blank, because it is built for other proofs already, and because a
//! milestone that passes there needs nothing of the reference's library: it judges the program alone.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::scratch::example;
use crate::scratch::trial::Trial;
use crate::verify::bench::Bench;
use crate::verify::judge::Verdict;
use crate::verify::plan::{Claim, Demand, Proof, Setting};
use crate::verify::terminal;
use course::manifest::Manifest;
use course::milestones::{Milestone, Program, Track};

/// A program that ends at once.
const EMPTY: &str = "/bin/true";
/// How often a milestone is tried: the claims share the machine with everything else.
const TRIES: usize = 2;

/// Adds the claims about milestones to the starters among the settings.
///
/// # Errors
///
/// Fails if the milestones cannot be read or do not fit the tests.
pub(super) fn join(root: &Path, manifest: &Manifest, settings: &mut [Setting<'_>]) -> Result<()> {
    let track = Track::load(root)?;
    track.check(root, manifest)?;
    for setting in settings {
        let is_starter = setting
            .claims
            .iter()
            .any(|claim| claim.proof == Proof::Compiles);
        let program = track
            .programs
            .iter()
            .find(|program| program.id == setting.stage.id());
        if let Some(program) = program.filter(|_| is_starter) {
            setting.claims.extend(claims(program));
        }
    }
    Ok(())
}

fn claims<'a>(program: &Program) -> Vec<Claim<'a>> {
    let of_milestone = |milestone: &Milestone| {
        let (id, name) = (&program.id, &milestone.name);
        [
            Claim::new(
                Proof::Scratch,
                format!("the C program of {id} reaches the milestone {name}"),
                Demand::Reaches(milestone.clone()),
            ),
            Claim::new(
                Proof::Scratch,
                format!("an empty program of {id} misses the milestone {name}"),
                Demand::Misses(milestone.clone()),
            ),
        ]
    };
    program.milestones.iter().flat_map(of_milestone).collect()
}

impl Bench<'_> {
    /// Judges the claims about milestones of a setting.
    ///
    /// # Errors
    ///
    /// Fails if a program cannot be built or started.
    pub(super) fn judge_milestones(
        &self,
        setting: &Setting<'_>,
        claims: &[&Claim<'_>],
    ) -> Result<Vec<Verdict>> {
        let tests = match self.tests(setting)? {
            Ok(tests) => tests,
            Err(refusal) => return Ok(vec![Verdict::against(vec![refusal]); claims.len()]),
        };
        let track = Track::load(self.root)?;
        let built = example::build(self.root, track.program(setting.stage)?, self.target());
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                return Ok(vec![
                    Verdict::against(vec![format!("{error:#}")]);
                    claims.len()
                ]);
            }
        };
        if built.is_none() {
            terminal::tell(
                "skipped: there is no C compiler, so no program in C reaches its milestones",
            );
        }
        let trial = |program: &Path| {
            Trial::new(
                &self.guard,
                tests.all.executable.clone(),
                tests.all.folder.clone(),
                program,
            )
        };
        let (ours, empty) = (
            built.as_deref().map(trial).transpose()?,
            trial(Path::new(EMPTY))?,
        );
        claims
            .iter()
            .map(|claim| judge(ours.as_ref(), &empty, &claim.demand))
            .collect()
    }
}

/// Judges one claim; without a program in C, those about it hold.
fn judge(ours: Option<&Trial>, empty: &Trial, demand: &Demand<'_>) -> Result<Verdict> {
    match (demand, ours) {
        (Demand::Reaches(milestone), Some(ours)) => {
            let mut against = vec![];
            for number in 1..=TRIES {
                against = Vec::from_iter(ours.run(milestone, &|_| ())?);
                if against.is_empty() {
                    let late = (number > 1).then_some(number);
                    return Ok(Verdict { against, late });
                }
            }
            Ok(Verdict::against(against))
        }
        (Demand::Reaches(_), None) => Ok(Verdict::default()),
        (Demand::Misses(milestone), _) => {
            let why = "a program that ends at once passes all its tests";
            let misses = empty.misses(milestone)?;
            Ok(Verdict::against(
                (!misses).then(|| why.to_owned()).into_iter().collect(),
            ))
        }
        _ => None.context("this is no claim about a milestone"),
    }
}
