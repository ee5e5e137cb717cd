//! One bench: the workspace in which settings are built and judged, one after the other.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::grade::bench::Workbench;
use crate::run::build::{Build, cargo};
use crate::run::test::{Guard, Outcome, Run};
use crate::run::{output, suite};
use crate::starter::blank;
use crate::verify::bug::apply;
use crate::verify::plan::{Change, Claim, Demand, Proof, Setting};
use course::manifest::{Exercise, Manifest, Stage, last_segment, owner_of};

/// The lines of the compiler's messages in a row.
const MESSAGES: usize = 1200;

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
    root: &'a Path,
    manifest: &'a Manifest,
    workbench: Workbench,
    /// The code as the setting wants it, before it is compared with what the workbench has.
    staging: PathBuf,
    guard: Guard,
}

impl<'a> Bench<'a> {
    /// Creates a bench in a folder; waits while another command uses it.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(super) fn open(root: &'a Path, manifest: &'a Manifest, folder: &Path) -> Result<Self> {
        let workbench = Workbench::open_in(folder, root, manifest)?;
        let config = workbench.site.root.join(".cargo/config.toml");
        let text = fs::read_to_string(&config).context("cannot read .cargo/config.toml")?;
        fs::write(&config, text + CONFIG).context("cannot write .cargo/config.toml")?;
        Ok(Self {
            root,
            manifest,
            workbench,
            staging: folder.join("staging"),
            guard: Guard::limits(),
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
            // The result is ignored, because the proofs check whether it compiles.
            self.workbench.site.build(stage)?;
        }
        Ok(())
    }

    /// Removes the artifacts of the workspace's own packages and keeps those of their dependencies.
    ///
    /// A test executable contains the path of the program that it starts, so one that was copied from another bench would start
    /// that bench's program.
    ///
    /// # Errors
    ///
    /// Fails if cargo cannot do it.
    pub(super) fn forget_own(&self) -> Result<()> {
        let mut clean = Command::new(cargo());
        clean.args(["clean", "--offline", "--quiet", "--package", "harness"]);
        for stage in &self.manifest.stages {
            clean.args(["--package", stage.package()]);
        }
        clean.arg("--target-dir").arg(self.target());
        let status = clean.current_dir(&self.workbench.site.root).status();
        ensure!(
            status.context("cannot start cargo")?.success(),
            "cannot clean {}",
            self.target().display()
        );
        Ok(())
    }

    /// Applies a setting, builds it, runs the tests that its claims need, and judges them.
    ///
    /// # Errors
    ///
    /// Fails if a patch does not fit, cargo cannot be started, or the tests cannot be listed.
    pub(super) fn judge(&self, setting: &Setting<'_>) -> Result<Vec<Row>> {
        let start = Instant::now();
        let claims = setting.claims.iter();
        let verdicts = match self.tests(setting)? {
            Ok(mut tests) => {
                tests.run_all(claims.clone().flat_map(Claim::must_pass));
                claims.map(|claim| tests.against(claim)).collect()
            }
            Err(refusal) => vec![vec![refusal]; setting.claims.len()],
        };
        let mut time = Some(start.elapsed());
        let row = |(claim, against): (&Claim<'_>, _)| Row {
            proof: claim.proof,
            stage: setting.stage.id().to_owned(),
            claim: claim.text.clone(),
            against,
            time: time.take().unwrap_or_default(),
        };
        Ok(setting.claims.iter().zip(verdicts).map(row).collect())
    }

    /// Applies and builds a setting; returns the objection if that fails.
    fn tests(&self, setting: &Setting<'_>) -> Result<Result<Tests<'_>, String>> {
        if let Some(refusal) = self.prepare(&setting.change)? {
            return Ok(Err(refusal));
        }
        let site = &self.workbench.site;
        let (build, messages) = site.compile(setting.stage)?;
        let executable = match build {
            Build::Ready(executable) => executable,
            Build::Broken(messages) => return Ok(Err(messages.chars().take(MESSAGES).collect())),
        };
        let folder = site.folder(setting.stage);
        let program = match &setting.change {
            Change::Program(program) => Some(program.as_path()),
            Change::Blank(_) | Change::Patch(_) => None,
        };
        Ok(Ok(Tests {
            names: self.guard.list(&executable, &folder)?,
            stage: self.manifest.stage(setting.stage.id())?,
            guard: self.guard.with_program(program),
            warnings: messages,
            executable,
            folder,
            runs: HashMap::new(),
        }))
    }

    /// Changes the workbench's code to that of a setting; writes only files that differ.
    fn prepare(&self, change: &Change<'_>) -> Result<Option<String>> {
        let stages = &self.manifest.stages;
        Workbench::stage_in(&self.staging, self.root, stages)?;
        let refusal = match change {
            Change::Blank(open) => {
                blank(&self.staging, open)?;
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
    /// Returns the exercises whose tests must all pass.
    fn must_pass(&self) -> impl Iterator<Item = &Exercise> {
        let all = match &self.demand {
            Demand::Passes(exercises) => exercises.as_slice(),
            Demand::NoWarning | Demand::Fails(_) | Demand::Catches(_) => &[],
        };
        all.iter().copied()
    }
}

/// The tests of a setting, with the outcomes so far.
struct Tests<'a> {
    stage: &'a Stage,
    guard: Guard,
    executable: PathBuf,
    folder: PathBuf,
    names: Vec<String>,
    warnings: String,
    runs: HashMap<String, Run>,
}

impl Tests<'_> {
    /// Runs all tests of some exercises, several at a time.
    fn run_all<'e>(&mut self, exercises: impl Iterator<Item = &'e Exercise>) {
        let wanted: Vec<_> = exercises.map(Exercise::id).collect();
        let is_wanted = |name: &&String| {
            owner_of(self.stage, name).is_some_and(|owner| wanted.contains(&owner.id()))
        };
        let names: Vec<_> = self.names.iter().filter(is_wanted).cloned().collect();
        let tell = |_: &str, _: &Run| ();
        let runs = suite::run(&self.guard, &self.executable, &self.folder, &names, &tell);
        self.runs.extend(names.into_iter().zip(runs));
    }

    /// Returns the objections to a claim.
    fn against(&mut self, claim: &Claim<'_>) -> Vec<String> {
        match &claim.demand {
            Demand::NoWarning if self.warnings.is_empty() => vec![],
            Demand::NoWarning => vec![self.warnings.chars().take(MESSAGES).collect()],
            Demand::Passes(exercises) => exercises
                .iter()
                .flat_map(|exercise| self.unpassed(exercise))
                .collect(),
            Demand::Fails(exercise) => self.escape(&self.of(exercise), "every test of it passes"),
            Demand::Catches(test) => {
                let is_meant = |name: &&String| last_segment(name) == test;
                let found: Vec<_> = self.names.iter().filter(is_meant).cloned().collect();
                self.escape(&found, "the test passes")
            }
        }
    }

    /// Lists the tests of an exercise that have not passed.
    fn unpassed(&self, exercise: &Exercise) -> Vec<String> {
        let names = self.of(exercise);
        if names.is_empty() {
            return vec![format!("{} has no test", exercise.id())];
        }
        let judged = |name| (name, self.runs.get(name));
        let complaint = |(name, run): (&String, Option<&Run>)| match run {
            Some(run) if run.outcome == Outcome::Passed => None,
            Some(run) => Some(format!("{name}: {}", headline(run))),
            None => Some(format!("{name} was not run")),
        };
        names.iter().map(judged).filter_map(complaint).collect()
    }

    /// Runs tests until one fails; returns the objection if none does.
    fn escape(&mut self, names: &[String], why: &str) -> Vec<String> {
        for name in names {
            let run = || self.guard.run(&self.executable, &self.folder, name);
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
            owner_of(self.stage, name).is_some_and(|owner| owner.id() == exercise.id())
        };
        self.names.iter().filter(is_mine).cloned().collect()
    }
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
