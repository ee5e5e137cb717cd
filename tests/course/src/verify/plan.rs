//! The plan: the claims about exercises, and the settings in which they are tested.

use std::collections::HashSet;
use std::mem;
use std::path::PathBuf;

use clap::ValueEnum;

use course::manifest::{Exercise, Manifest, Stage};
use course::milestones::Milestone;

/// The proofs: claims about every stage, exercise, wrong or different solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Proof {
    /// A starter compiles without warnings
    Compiles,
    /// On it, each exercise has a test that fails
    Unsolved,
    /// With the first exercises of a stage and the simple versions of the others, its program runs
    Runs,
    /// The reference passes every test
    Reference,
    /// With one exercise blanked alone, a test of it fails
    Alone,
    /// With an exercise, what it needs, and nothing else, all its tests pass
    Needs,
    /// Restored in order, each exercise turns its own tests from red to green
    Order,
    /// Each wrong solution of tests/bugs is caught by the test that it names, in its own stage
    Bugs,
    /// Each right but different solution of tests/variants passes
    Variants,
    /// The kept script of each hunt exposes its fault, and clears the reference and every variant
    Hunts,
    /// The answer to each question of tests/quiz is what the test of its wrong solution says
    Quiz,
    /// Our programs in C reach every milestone of tests/scratch, and an empty program none
    Scratch,
}

impl Proof {
    /// All of them, in the order of the table.
    pub(super) const ALL: [Self; 12] = [
        Self::Compiles,
        Self::Unsolved,
        Self::Runs,
        Self::Reference,
        Self::Alone,
        Self::Needs,
        Self::Order,
        Self::Bugs,
        Self::Variants,
        Self::Hunts,
        Self::Quiz,
        Self::Scratch,
    ];

    /// Returns the sentence of the table.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Compiles => "a starter compiles without warnings",
            Self::Unsolved => "on it, each exercise has a test that fails",
            Self::Runs => "with its first exercises, a program runs",
            Self::Reference => "the reference passes every test",
            Self::Alone => "blanked alone, an exercise fails a test of its own",
            Self::Needs => "with what it needs and nothing else, it passes",
            Self::Order => "in order, each turns its tests from red to green",
            Self::Bugs => "wrong solutions are caught by the test they name",
            Self::Variants => "right but different solutions pass",
            Self::Hunts => "kept scripts of hunts expose and clear",
            Self::Quiz => "answers of the quiz are what tests say",
            Self::Scratch => "programs in C reach milestones, an empty one none",
        }
    }

    /// Returns whether it proves that the tests fail where they should.
    pub(super) fn is_quick(self) -> bool {
        match self {
            Self::Compiles | Self::Unsolved | Self::Alone | Self::Bugs => true,
            Self::Runs
            | Self::Reference
            | Self::Needs
            | Self::Order
            | Self::Variants
            | Self::Hunts
            | Self::Quiz
            | Self::Scratch => false,
        }
    }
}

/// The reference with a change, and the outcomes that the tests of one stage must have.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) stage: &'a Stage,
    pub(super) change: Change<'a>,
    pub(super) claims: Vec<Claim<'a>>,
}

/// How a setting differs from the reference.
#[derive(Debug)]
pub(super) enum Change<'a> {
    /// The bodies of these exercises are blank.
    Blank(Vec<&'a Exercise>),
    /// A patch is applied.
    Patch(PathBuf),
    /// The tests run this program in place of the stage's.
    Program(PathBuf),
}

/// Something that must be true in a setting.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) proof: Proof,
    pub(super) text: String,
    pub(super) demand: Demand<'a>,
}

/// The outcome that the tests must have.
#[derive(Debug)]
pub(super) enum Demand<'a> {
    /// No test is run, but the build must have no warnings.
    NoWarning,
    /// At least one test of the exercise fails.
    Fails(&'a Exercise),
    /// Every test of the exercises passes.
    Passes(Vec<&'a Exercise>),
    /// The test of this name fails, in one of a few tries.
    Catches(String),
    /// The test of this name fails this many times in a row.
    CatchesEachTime(String, usize),
    /// The test of this name fails, and its message has these words.
    Says {
        /// The test.
        test: String,
        /// The words.
        words: Vec<String>,
    },
    /// This script ends with 1 on the program.
    Exposes(PathBuf),
    /// This script ends with 0 on the program.
    Clears(PathBuf),
    /// The test of this name passes.
    Works(&'a str),
    /// The program in C passes all tests of this milestone.
    Reaches(Milestone),
    /// A program that ends at once fails a test of this milestone.
    Misses(Milestone),
}

/// Plans all claims about exercises.
pub(super) fn exercises(manifest: &Manifest) -> Vec<Setting<'_>> {
    let mut plan = Plan::default();
    // The exercises so far, because a stage does not use later ones.
    let mut known: Vec<&Exercise> = Vec::new();
    for stage in &manifest.stages {
        let earlier = known.len();
        known.extend(&stage.exercises);
        plan.whole(stage, &known);
        for place in earlier..known.len() {
            plan.one(manifest, stage, &known, place);
        }
    }
    plan.settings
}

#[derive(Default)]
struct Plan<'a> {
    settings: Vec<Setting<'a>>,
}

impl<'a> Plan<'a> {
    /// Plans the claims about a stage as a whole.
    fn whole(&mut self, stage: &'a Stage, known: &[&'a Exercise]) {
        let id = stage.id();
        let text = format!("a starter of {id} compiles without warnings");
        self.add(
            stage,
            known,
            Claim::new(Proof::Compiles, text, Demand::NoWarning),
        );
        for exercise in &stage.exercises {
            let text = format!("{} fails on a starter", exercise.id());
            self.add(
                stage,
                known,
                Claim::new(Proof::Unsolved, text, Demand::Fails(exercise)),
            );
        }
        self.running(stage, known);
        let text = format!("the reference passes {id}");
        let all = Demand::Passes(stage.exercises.iter().collect());
        self.add(stage, &[], Claim::new(Proof::Reference, text, all));
    }

    /// Plans the claim that the stage's program runs long before its last exercise.
    fn running(&mut self, stage: &'a Stage, known: &[&'a Exercise]) {
        let Some(runs) = &stage.runs else {
            return;
        };
        let (from, test) = (runs.from.as_ref().as_str(), runs.test.as_ref().as_str());
        let later = known.iter().skip_while(|one| one.id() != from).skip(1);
        let open: Vec<_> = later.copied().collect();
        let text = format!("the program of {} runs from {from} on", stage.id());
        let claim = Claim::new(Proof::Runs, text, Demand::Works(test));
        self.add(stage, &open, claim);
    }

    /// Plans the claims about the exercise at an index of the order.
    fn one(
        &mut self,
        manifest: &'a Manifest,
        stage: &'a Stage,
        known: &[&'a Exercise],
        place: usize,
    ) {
        let exercise = known[place];
        let (id, green) = (exercise.id(), || Demand::Passes(vec![exercise]));
        let text = format!("{id} is red until it is restored");
        let red = Demand::Fails(exercise);
        self.add(stage, &known[place..], Claim::new(Proof::Order, text, red));
        let text = format!("{id} is green once it is restored");
        self.add(
            stage,
            &known[place + 1..],
            Claim::new(Proof::Order, text, green()),
        );

        let text = format!("{id} blanked alone is caught by its own tests");
        let red = Demand::Fails(exercise);
        self.add(stage, &[exercise], Claim::new(Proof::Alone, text, red));

        let needed = needed_by(manifest, exercise);
        let is_open = |one: &&Exercise| !needed.contains(one.id());
        let others: Vec<_> = known.iter().copied().filter(is_open).collect();
        let text = format!("{id} passes with what it needs and nothing else");
        self.add(stage, &others, Claim::new(Proof::Needs, text, green()));
    }

    /// Adds a claim to the setting in which exactly `open` is blank.
    fn add(&mut self, stage: &'a Stage, open: &[&'a Exercise], claim: Claim<'a>) {
        let fits = |setting: &&mut Setting<'_>| {
            setting.stage.id() == stage.id() && setting.has_blank(open)
        };
        if let Some(setting) = self.settings.iter_mut().find(fits) {
            setting.claims.push(claim);
            return;
        }
        self.settings.push(Setting {
            stage,
            change: Change::Blank(open.to_vec()),
            claims: vec![claim],
        });
    }
}

impl<'a> Claim<'a> {
    /// Creates a claim.
    pub(super) fn new(proof: Proof, text: String, demand: Demand<'a>) -> Self {
        Self {
            proof,
            text,
            demand,
        }
    }

    /// Makes it stricter: a test that must catch a wrong solution has to do so this many times in a row.
    pub(super) fn repeat(&mut self, times: usize) {
        if let Demand::Catches(test) = &mut self.demand {
            self.demand = Demand::CatchesEachTime(mem::take(test), times);
        }
    }
}

impl Setting<'_> {
    /// Returns whether all tests of the stage run.
    pub(super) fn is_long(&self) -> bool {
        self.claims
            .iter()
            .any(|claim| matches!(claim.proof, Proof::Reference | Proof::Variants))
    }

    /// Returns whether it is a right but different solution.
    pub(super) fn is_variant(&self) -> bool {
        self.claims
            .iter()
            .any(|claim| claim.proof == Proof::Variants)
    }

    /// Returns its place within the stage: settings that differ little follow each other, so that cargo rebuilds little.
    pub(super) fn place(&self) -> usize {
        let Change::Blank(_) = self.change else {
            return 3;
        };
        let mut proofs = self.claims.iter().map(|claim| claim.proof);
        match proofs.next() {
            // Almost nothing is blank.
            Some(Proof::Alone) => 2,
            // Almost everything is, also of earlier stages.
            Some(Proof::Needs) => 0,
            // From almost everything of the stage to nothing.
            _ => 1,
        }
    }

    fn has_blank(&self, open: &[&Exercise]) -> bool {
        let Change::Blank(blank) = &self.change else {
            return false;
        };
        blank
            .iter()
            .map(|one| one.id())
            .eq(open.iter().map(|one| one.id()))
    }
}

/// Returns an exercise and all that it needs, directly or through others.
fn needed_by<'a>(manifest: &'a Manifest, exercise: &'a Exercise) -> HashSet<&'a str> {
    let mut needed = HashSet::from([exercise.id()]);
    let all: Vec<_> = manifest.exercises().map(|(_, one)| one).collect();
    // One pass from the end is enough: each needs only earlier ones.
    for one in all.into_iter().rev() {
        if needed.contains(one.id()) {
            needed.extend(one.needs());
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::workspace;

    fn manifest() -> Manifest {
        Manifest::load(&workspace::root().unwrap()).unwrap()
    }

    #[test]
    fn what_an_exercise_needs_is_followed_to_the_beginning() {
        let manifest = manifest();
        let (_, client) = manifest.find("3.3").unwrap();
        let needed = needed_by(&manifest, client);
        for id in ["3.3", "3.1", "1.4", "1.2", "1.1"] {
            assert!(needed.contains(id), "{id}");
        }
        for id in ["3.2", "2.1", "3.5"] {
            assert!(!needed.contains(id), "{id}");
        }
    }

    #[test]
    fn every_exercise_has_every_claim_and_settings_are_shared() {
        let manifest = manifest();
        let settings = exercises(&manifest);
        let claims = |proof| {
            let all = settings.iter().flat_map(|setting| &setting.claims);
            all.filter(|claim| claim.proof == proof).count()
        };
        let count = manifest.exercises().count();
        assert_eq!(claims(Proof::Unsolved), count);
        assert_eq!(claims(Proof::Alone), count);
        assert_eq!(claims(Proof::Needs), count);
        assert_eq!(claims(Proof::Order), 2 * count);
        assert_eq!(claims(Proof::Compiles), manifest.stages.len());
        let running = manifest.stages.iter().filter(|stage| stage.runs.is_some());
        assert_eq!(claims(Proof::Runs), running.count());
        // The first exercise is red until it is restored: that is the starter.
        let starter = settings.iter().find(|setting| {
            let mut proofs = setting.claims.iter().map(|claim| claim.proof);
            proofs.any(|proof| proof == Proof::Compiles)
        });
        let proofs = starter.unwrap().claims.iter().map(|claim| claim.proof);
        assert!(proofs.into_iter().any(|proof| proof == Proof::Order));
    }

    #[test]
    fn all_proofs_are_in_the_table() {
        assert_eq!(Proof::ALL.as_slice(), Proof::value_variants());
    }
}
