//! Unit tests of an exercise, as they were handed out, with the code of a submission.
//!
//! ```text
//!   submission's src ─────────────────────┐
//!                                          ├─ laid.rs ─▶ workbench: stageN-*/unit ─ build.rs ─▶ executable ─▶ each test alone
//!   the test modules of .given or, where  ┘             a second copy of src,                     names.rs
//!   there is none, of the course's own src              a test target of its own
//!   pristine.rs
//! ```
//!
//! Unit tests lie in `src`, which a submission brings along, so those of a submission prove nothing: they may be empty, or say
//! yes to everything. In `unit`, each test module of the submission has the handed-out text, and others of it are gone; the
//! black-box tests are built from `src`, which nothing here touches. `seal.rs.txt` at the end of `unit/lib.rs` has two tests that run
//! before and after each unit test: they carry the nonce, so that code which ends the process has not passed.
//!
//! A unit test may use a type or a function that a submission has changed. A module that does not compile is left out, and the
//! others are built again; its tests are not run, which costs no points and gives none, because the black-box tests judge the
//! behaviour. The report says so in a sentence. Where the fault is in the code itself, no unit test of the stage is run.
//!
//! `unit` in `course.toml` says which unit test belongs to which exercise.

pub(crate) mod both;
mod build;
mod laid;
pub(crate) mod pristine;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use crate::grade::bench::Workbench;
use crate::grade::files;
use crate::run::build::Site;
use crate::run::guard::Guard;
use build::{Compiled, Fault};
use course::manifest::{Exercise, Stage, owner_of_unit};
use course::unit::TestModule;
use laid::Laid;
use pristine::Pristine;

/// How often the modules that do not compile are left out: an error in one may hide those of another.
const ROUNDS: usize = 6;

/// The unit tests of a stage, ready to run.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// The executable with them; none, if nothing could be built.
    pub(crate) executable: Option<PathBuf>,
    /// The paths of those that belong to an exercise.
    pub(crate) names: Vec<String>,
    unrun: Vec<Unrun>,
}

/// Tests that cannot be run with this code.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unrun {
    /// The module, or nothing for all of the stage.
    module: String,
    tests: Vec<String>,
    why: String,
}

impl Units {
    /// Builds the unit tests of a stage with the code that a workbench holds, confined if there is a guard.
    ///
    /// # Errors
    ///
    /// Fails if the handed-out tests cannot be read, the copy cannot be written, or cargo cannot be started.
    pub(crate) fn build(bench: &Workbench, stage: &Stage, guard: Option<&Guard>) -> Result<Self> {
        let pristine = Pristine::read(&bench.course, stage)?;
        let is_graded = |test: &String| owner_of_unit(stage, test).is_some();
        if !pristine.tests().any(is_graded) {
            return Ok(Self::default());
        }
        let desk = Desk {
            site: &bench.site,
            stage,
            guard,
            pristine,
        };
        desk.build()
    }

    /// Says in a sentence for each module, or for the whole stage, which unit tests of an exercise were not run and why.
    pub(crate) fn unrun<'s>(
        &'s self,
        stage: &'s Stage,
        exercise: &'s Exercise,
    ) -> impl Iterator<Item = String> + 's {
        let is_mine = |test: &String| {
            owner_of_unit(stage, test).is_some_and(|owner| owner.id() == exercise.id())
        };
        let mine = self
            .unrun
            .iter()
            .filter(move |one| one.tests.iter().any(is_mine));
        mine.map(|one| one.in_words(exercise.id()))
    }
}

/// A build of the unit tests of a stage.
struct Desk<'a> {
    site: &'a Site,
    stage: &'a Stage,
    guard: Option<&'a Guard>,
    pristine: Pristine,
}

impl Desk<'_> {
    /// Builds with all modules, and without those that do not compile.
    fn build(&self) -> Result<Units> {
        let folder = self.site.folder(self.stage);
        let code = files::read(&folder.join("src"))?;
        let (mut without, mut unrun) = (BTreeSet::new(), Vec::new());
        for _ in 0..ROUNDS {
            let laid = match Laid::over(&code, &self.pristine, &without) {
                Ok(laid) => laid,
                Err(error) => return Ok(self.none(format!("{error:#}"))),
            };
            files::write(&laid.files, &folder.join(pristine::FOLDER))?;
            let faults = match build::build(self.site, self.stage, self.guard)? {
                Compiled::Ready(executable) => return self.ready(executable, unrun),
                Compiled::Broken(faults) => faults,
            };
            let found: Vec<_> = faults.iter().filter_map(|one| laid.blame(one)).collect();
            if found.is_empty() {
                return Ok(self.none(faults.first().map_or_else(String::new, Fault::in_words)));
            }
            for (module, fault) in found {
                if without.insert(module.path.clone()) {
                    unrun.push(self.uncompiled(&module.path, fault));
                }
            }
        }
        Ok(self.none("too many of them do not compile with this code".to_owned()))
    }

    fn uncompiled(&self, module: &str, fault: &Fault) -> Unrun {
        Unrun {
            module: module.to_owned(),
            tests: self.pristine.tests_of(module),
            why: format!("do not compile with this code: {}", fault.in_words()),
        }
    }

    /// Lists the tests of the executable; those that it lacks are in files that are no part of the crate any more.
    fn ready(&self, executable: PathBuf, mut unrun: Vec<Unrun>) -> Result<Units> {
        let lister = self.guard.cloned().unwrap_or_else(Guard::limits);
        let names = lister.list(&executable, &self.site.folder(self.stage))?;
        let is_told = |module: &str| unrun.iter().any(|one: &Unrun| one.module == module);
        let is_lost = |test: &String| !names.contains(test);
        let lost = |module: &TestModule| {
            let tests: Vec<_> = module
                .tests
                .iter()
                .filter(|test| is_lost(test))
                .cloned()
                .collect();
            let file = module.file.display();
            let unrun = Unrun {
                module: module.path.clone(),
                why: format!("were not found: src/{file} is no part of the crate"),
                tests,
            };
            (!unrun.tests.is_empty() && !is_told(&module.path)).then_some(unrun)
        };
        let lost: Vec<_> = self.pristine.modules().filter_map(lost).collect();
        unrun.extend(lost);
        let is_graded = |name: &&String| owner_of_unit(self.stage, name).is_some();
        let handed_out = self.pristine.tests().filter(is_graded);
        let names = handed_out
            .filter(|test| names.contains(test))
            .cloned()
            .collect();
        Ok(Units {
            executable: Some(executable),
            names,
            unrun,
        })
    }

    /// Says why no test is run.
    fn none(&self, why: String) -> Units {
        Units {
            unrun: vec![Unrun {
                module: String::new(),
                tests: self.pristine.tests().cloned().collect(),
                why,
            }],
            ..Units::default()
        }
    }
}

impl Unrun {
    fn in_words(&self, exercise: &str) -> String {
        let why = &self.why;
        if self.module.is_empty() {
            format!("The unit tests of {exercise} were not run, because {why}")
        } else {
            let module = &self.module;
            format!("The unit tests of {exercise} in {module} were not run, because they {why}")
        }
    }
}
