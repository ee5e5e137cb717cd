//! One bench: the workspace in which settings are built and judged, one after the other.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::grade::bench::Workbench;
use crate::patch::apply;
use crate::run::build::Build;
use crate::run::test::Guard;
use crate::starter::blank;
use crate::units::Units;
use crate::units::both::Both;
use crate::verify::judge::{Tests, Verdict, shortened};
use crate::verify::plan::{Change, Claim, Demand, Proof, Setting};
use crate::verify::turns::Turns;
use course::manifest::{Exercise, Manifest};

/// Cargo's settings in a bench: without debug information, which is not needed there, builds are faster.
const CONFIG: &str = "\n[profile.dev]\ndebug = false\n";

/// A claim that was judged.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) proof: Proof,
    /// The stage's short name.
    pub(super) stage: String,
    pub(super) claim: String,
    /// The objections; none, if it holds.
    pub(super) against: Vec<String>,
    /// The try that caught a wrong solution, if it was not the first.
    pub(super) late: Option<usize>,
    /// The time that it took; claims that share a setting count for the first one.
    pub(super) time: Duration,
}

impl Row {
    /// Returns whether the claim holds.
    pub(super) fn holds(&self) -> bool {
        self.against.is_empty()
    }
}

/// A place to build and run tests.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) root: &'a Path,
    manifest: &'a Manifest,
    pub(super) workbench: Workbench,
    /// The executables with the reference's tests, by stage (see `outside`).
    pub(super) kept: Mutex<HashMap<String, PathBuf>>,
    /// The code as the setting wants it, before it is compared with what the workbench has.
    staging: PathBuf,
    pub(super) guard: Guard,
    pub(super) turns: Arc<Turns>,
}

impl<'a> Bench<'a> {
    /// Creates a bench in a folder; waits while another command uses it.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(super) fn open(
        root: &'a Path,
        manifest: &'a Manifest,
        folder: &Path,
        turns: Arc<Turns>,
    ) -> Result<Self> {
        let mut workbench = Workbench::open_in(folder, root, manifest)?;
        workbench.site.is_shared = true;
        let config = workbench.site.root.join(".cargo/config.toml");
        let text = fs::read_to_string(&config).context("cannot read .cargo/config.toml")?;
        fs::write(&config, text + CONFIG).context("cannot write .cargo/config.toml")?;
        Ok(Self {
            root,
            manifest,
            workbench,
            kept: Mutex::default(),
            staging: folder.join("staging"),
            guard: Guard::limits(),
            turns,
        })
    }

    /// Returns the folder with cargo's output.
    pub(super) fn target(&self) -> &Path {
        &self.workbench.site.target
    }

    /// Builds all stages as they are in the reference.
    ///
    /// # Errors
    ///
    /// Fails if cargo cannot be started.
    pub(super) fn warm_up(&self) -> Result<()> {
        self.prepare(&Change::Blank(vec![]))?;
        for stage in &self.manifest.stages {
            // The results are ignored, because the proofs check whether it compiles. Alone, the programs need their
            // dependencies with fewer features.
            self.workbench.site.build(stage)?;
            let _ = self.workbench.site.build_programs(stage)?;
        }
        Ok(())
    }

    /// Applies a setting, builds it, runs the tests that its claims need, and judges them.
    ///
    /// # Errors
    ///
    /// Fails if a patch does not fit, cargo cannot be started, or the tests cannot be listed.
    pub(super) fn judge(&self, setting: &Setting<'_>) -> Result<Vec<Row>> {
        let start = Instant::now();
        let is_hunt = |claim: &&Claim<'_>| claim.proof == Proof::Hunts;
        let is_milestone = |claim: &&Claim<'_>| claim.proof == Proof::Scratch;
        let (hunts, others): (Vec<_>, Vec<_>) = setting.claims.iter().partition(is_hunt);
        let (milestones, tests): (Vec<_>, Vec<_>) = others.into_iter().partition(is_milestone);
        let mut verdicts = self.judge_tests(setting, &tests)?;
        if !hunts.is_empty() {
            verdicts.extend(self.judge_hunts(setting, &hunts, !tests.is_empty())?);
        }
        if !milestones.is_empty() {
            verdicts.extend(self.judge_milestones(setting, &milestones)?);
        }
        let mut time = Some(start.elapsed());
        let row = |(claim, verdict): (&Claim<'_>, Verdict)| Row {
            proof: claim.proof,
            stage: setting.stage.id().to_owned(),
            claim: claim.text.clone(),
            against: verdict.against,
            late: verdict.late,
            time: time.take().unwrap_or_default(),
        };
        let claims = tests.into_iter().chain(hunts).chain(milestones);
        Ok(claims.zip(verdicts).map(row).collect())
    }

    /// Judges the claims about tests, with as little to build as they allow.
    fn judge_tests(&self, setting: &Setting<'_>, claims: &[&Claim<'_>]) -> Result<Vec<Verdict>> {
        if claims.is_empty() {
            return Ok(vec![]);
        }
        if let Some(verdicts) = self.judge_units(setting, claims)? {
            return Ok(verdicts);
        }
        match self.judge_outside(setting, claims)? {
            Some(verdicts) => Ok(verdicts),
            None => self.judge_all(setting, claims),
        }
    }

    /// The same with everything built anew, whatever the tests look at.
    fn judge_all(&self, setting: &Setting<'_>, claims: &[&Claim<'_>]) -> Result<Vec<Verdict>> {
        Ok(match self.tests(setting)? {
            Ok(mut tests) => {
                tests.run_all(claims.iter().flat_map(|claim| claim.must_pass()));
                claims.iter().map(|claim| tests.judge(claim)).collect()
            }
            Err(refusal) => vec![Verdict::against(vec![refusal]); claims.len()],
        })
    }

    /// Applies and builds a setting; returns the objection if that fails.
    pub(super) fn tests(&self, setting: &Setting<'_>) -> Result<Result<Tests<'_>, String>> {
        if let Some(refusal) = self.prepare(&setting.change)? {
            return Ok(Err(refusal));
        }
        let site = &self.workbench.site;
        let (build, messages) = self.turns.take(|| site.compile(setting.stage))?;
        let executable = match build {
            Build::Ready(executable) => executable,
            Build::Broken(messages) => return Ok(Err(shortened(&messages))),
        };
        let units = self.units(setting)?;
        self.tests_in(executable, setting, messages, units).map(Ok)
    }

    /// Builds the unit tests, if a claim is about them.
    fn units(&self, setting: &Setting<'_>) -> Result<Units> {
        let is_program = matches!(setting.change, Change::Program(_));
        if is_program || !setting.claims.iter().any(Claim::wants_units) {
            return Ok(Units::default());
        }
        self.turns
            .take(|| Units::build(&self.workbench, setting.stage, None))
    }

    /// Judges a wrong solution by unit tests alone; `None` if it is not one of them that must catch it.
    fn judge_units(
        &self,
        setting: &Setting<'_>,
        claims: &[&Claim<'_>],
    ) -> Result<Option<Vec<Verdict>>> {
        if !matches!(setting.change, Change::Patch(_))
            || !claims.iter().all(|claim| claim.is_about_a_unit_test())
        {
            return Ok(None);
        }
        if let Some(refusal) = self.prepare(&setting.change)? {
            return Ok(Some(vec![Verdict::against(vec![refusal]); claims.len()]));
        }
        let stage = self.manifest.stage(setting.stage.id())?;
        let folder = self.workbench.site.folder(stage);
        let all = Both::units(stage, self.guard.clone(), folder, self.units(setting)?);
        let mut tests = Tests {
            all,
            warnings: String::new(),
            needs_units: true,
            runs: HashMap::new(),
        };
        Ok(Some(
            claims.iter().map(|claim| tests.judge(claim)).collect(),
        ))
    }

    /// Lists the tests of an executable, none of which has run.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be run.
    pub(super) fn tests_in(
        &self,
        executable: PathBuf,
        setting: &Setting<'_>,
        warnings: String,
        units: Units,
    ) -> Result<Tests<'_>> {
        let folder = self.workbench.site.folder(setting.stage);
        let program = match &setting.change {
            Change::Program(program) => Some(program.as_path()),
            Change::Blank(_) | Change::Patch(_) => None,
        };
        let stage = self.manifest.stage(setting.stage.id())?;
        let guard = self.guard.with_program(program);
        Ok(Tests {
            all: Both::list(stage, guard, executable, folder, units)?,
            warnings,
            needs_units: !setting.is_variant(),
            runs: HashMap::new(),
        })
    }

    /// Changes the workbench's code to that of a setting; writes only files that differ. Returns the refusal of a patch
    /// that does not fit.
    ///
    /// # Errors
    ///
    /// Fails if the code cannot be copied.
    pub(super) fn prepare(&self, change: &Change<'_>) -> Result<Option<String>> {
        let stages = &self.manifest.stages;
        Workbench::stage_in(&self.staging, self.root, stages)?;
        let refusal = match change {
            Change::Blank(open) => {
                blank(self.root, &self.staging, open)?;
                None
            }
            Change::Patch(patch) => apply(patch, &self.staging)?,
            Change::Program(_) => None,
        };
        self.workbench.fill(self.root, &self.staging, stages)?;
        Ok(refusal)
    }
}

impl Claim<'_> {
    /// Returns whether unit tests have to be built for it. Where tests must fail, those that look from outside do, and the
    /// proof of the needs is stricter than that of the order.
    fn wants_units(&self) -> bool {
        let is_proof = matches!(
            self.proof,
            Proof::Reference | Proof::Needs | Proof::Variants
        );
        is_proof || self.is_about_a_unit_test()
    }

    /// Returns whether it is about the failure of a unit test, which is named by its path.
    fn is_about_a_unit_test(&self) -> bool {
        let test = match &self.demand {
            Demand::Catches(test) | Demand::CatchesEachTime(test, _) => Some(test),
            Demand::Says { test, .. } => Some(test),
            Demand::NoWarning
            | Demand::Fails(_)
            | Demand::Passes(_)
            | Demand::Works(_)
            | Demand::Exposes(_)
            | Demand::Clears(_)
            | Demand::Reaches(_)
            | Demand::Misses(_) => None,
        };
        test.is_some_and(|test| test.contains("::"))
    }

    /// Returns the exercises whose tests must all pass.
    fn must_pass(&self) -> impl Iterator<Item = &Exercise> {
        let all = match &self.demand {
            Demand::Passes(exercises) => exercises.as_slice(),
            Demand::NoWarning
            | Demand::Fails(_)
            | Demand::Catches(_)
            | Demand::CatchesEachTime(..)
            | Demand::Says { .. }
            | Demand::Works(_)
            | Demand::Exposes(_)
            | Demand::Clears(_)
            | Demand::Reaches(_)
            | Demand::Misses(_) => &[],
        };
        all.iter().copied()
    }
}
