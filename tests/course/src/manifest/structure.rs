//! Checks whether a manifest is sound in itself: names, order, needs, points.

use std::collections::HashSet;

use crate::manifest::{Exercise, Hunt, Manifest, Problem, Stage};

/// The sum of all points.
const POINTS: u32 = 100;

/// Describes every problem.
pub(super) fn problems(manifest: &Manifest) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut earlier = HashSet::new();
    let all: HashSet<_> = manifest.exercises().map(|(_, one)| one.id()).collect();
    for stage in &manifest.stages {
        found.extend(stage_problems(stage));
        for exercise in &stage.exercises {
            found.extend(exercise_problems(stage, exercise));
            found.extend(need_problems(exercise, &earlier, &all));
            if !earlier.insert(exercise.id()) {
                found.push(Problem::new(&exercise.id, "this exercise is listed twice"));
            }
        }
    }
    found.extend(hunt_problems(manifest));
    found.extend(twice(manifest));
    found.extend(wrong_sum(manifest));
    found
}

fn stage_problems(stage: &Stage) -> Vec<Problem> {
    let mut found = Vec::new();
    let number = stage.id().strip_prefix("stage");
    if number.is_none_or(|number| number.parse::<u8>().is_err()) {
        found.push(Problem::new(&stage.id, "a stage is named like stage3"));
    }
    if !stage.package().starts_with(&format!("{}-", stage.id())) {
        let text = format!("the package of {} is named like {0}-something", stage.id());
        found.push(Problem::new(&stage.package, text));
    }
    found
}

fn exercise_problems(stage: &Stage, exercise: &Exercise) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut wrong = |text: String| found.push(Problem::new(&exercise.id, text));
    if !is_id(exercise.id(), stage) {
        wrong(format!(
            "exercise {:?} of {} needs a number like {number}.1, or {number}.1b for a step behind it",
            exercise.id(),
            stage.id(),
            number = stage.number()
        ));
    }
    // The title becomes a string of Rust, with the meaning that braces have in a format.
    if exercise.title.is_empty()
        || exercise.title.len() > 60
        || exercise.title.contains(['{', '}', '"', '\\'])
    {
        wrong(format!(
            "exercise {}: a title has 1 to 60 letters, no braces, no quotes",
            exercise.id()
        ));
    }
    if exercise.points == 0 || exercise.minutes == 0 {
        wrong(format!(
            "exercise {}: points and minutes are at least 1",
            exercise.id()
        ));
    }
    if exercise.items.is_empty() || exercise.tests.is_empty() {
        wrong(format!(
            "exercise {} needs an item and a test",
            exercise.id()
        ));
    }
    if exercise.hints.iter().any(|hint| hint.trim().is_empty()) {
        wrong(format!("exercise {}: a hint is empty", exercise.id()));
    }
    found
}

/// Returns whether an exercise has a number of its stage, with a letter or without: a step that comes between two exercises
/// leaves their numbers as they are.
fn is_id(id: &str, stage: &Stage) -> bool {
    let Some((first, second)) = id.split_once('.') else {
        return false;
    };
    let number = second.strip_suffix(|last: char| last.is_ascii_lowercase());
    first == stage.number() && number.unwrap_or(second).parse::<u8>().is_ok()
}

/// Finds hunts whose name is no name of a folder or not the only one, or that are worth nothing.
fn hunt_problems(manifest: &Manifest) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut names = HashSet::new();
    for (_, hunt) in manifest.hunts() {
        let name = hunt.name();
        let mut wrong = |text: String| found.push(Problem::new(&hunt.name, text));
        if !is_name_of_hunt(name) {
            wrong(format!("hunt {name:?}: a name is like restart-refused"));
        }
        if !names.insert(name) {
            wrong(format!("hunt {name} is listed twice"));
        }
        if !is_worth_it(hunt) {
            wrong(format!(
                "hunt {name} needs a title, points and minutes, and no braces or quotes"
            ));
        }
    }
    found
}

fn is_name_of_hunt(name: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    name.split('-').all(is_word)
}

fn is_worth_it(hunt: &Hunt) -> bool {
    let is_title = !hunt.title.is_empty() && !hunt.title.contains(['{', '}', '"', '\\', '|']);
    is_title && hunt.points > 0 && hunt.minutes > 0
}

/// Every need must come earlier in the list, which excludes circles as well.
fn need_problems(
    exercise: &Exercise,
    earlier: &HashSet<&str>,
    all: &HashSet<&str>,
) -> Vec<Problem> {
    let id = exercise.id();
    let judge = |need: &str| match (earlier.contains(need), all.contains(need)) {
        (true, _) => None,
        (false, _) if need == id => Some(format!("exercise {id} needs itself")),
        (false, true) => Some(format!("exercise {id} needs {need}, which comes later")),
        (false, false) => Some(format!("exercise {id} needs {need}, which does not exist")),
    };
    let problem = |need| judge(AsRef::<String>::as_ref(need)).map(|text| Problem::new(need, text));
    exercise.needs.iter().filter_map(problem).collect()
}

/// Finds items and prefixes of test names that two exercises claim.
fn twice(manifest: &Manifest) -> Vec<Problem> {
    let mut found = Vec::new();
    let (mut items, mut tests, mut units) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (_, exercise) in manifest.exercises() {
        for item in &exercise.items {
            if !items.insert(item.as_ref()) {
                let text = format!("{} belongs to another exercise already", item.as_ref());
                found.push(Problem::new(item, text));
            }
        }
        for test in &exercise.tests {
            if !tests.insert(test.as_ref()) {
                let text = format!("tests {} belong to another exercise already", test.as_ref());
                found.push(Problem::new(test, text));
            }
        }
        for unit in &exercise.unit {
            // The paths of two stages may be equal.
            if !units.insert((exercise.number_of_stage(), unit.as_ref())) {
                let text = format!(
                    "unit tests {} belong to another exercise already",
                    unit.as_ref()
                );
                found.push(Problem::new(unit, text));
            }
        }
    }
    found
}

fn wrong_sum(manifest: &Manifest) -> Option<Problem> {
    let sum: u32 = manifest.exercises().map(|(_, one)| one.points).sum();
    let (_, last) = manifest.exercises().last()?;
    let text = format!("the points of all exercises are {POINTS} together, not {sum}");
    (sum != POINTS).then(|| Problem::new(&last.id, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[stage]]
id = "stage1"
package = "stage1-server"
title = "A server"

[[stage.exercise]]
id = "1.1"
title = "One"
points = 60
minutes = 10
chapter = "one.md"
items = ["stage1-server/src/a.rs::one"]
tests = ["e11_"]
needs = []
hints = ["a", "b", "c"]

[[stage.exercise]]
id = "1.2"
title = "Two"
points = 40
minutes = 10
chapter = "one.md"
items = ["stage1-server/src/a.rs::two"]
tests = ["e12_"]
needs = ["1.1"]
hints = ["a", "b", "c"]
"#;

    fn refused(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from));
        Manifest::parse(&GOOD.replacen(from, to, 1))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_sound_manifest_is_taken_and_searched() {
        let manifest = Manifest::parse(GOOD).unwrap();
        for name in ["1.2", "12", "e12", "e12_"] {
            assert_eq!(manifest.find(name).unwrap().1.name(), "1.2: Two");
        }
        let manifest = Manifest::parse(&GOOD.replace("1.2", "1.1b")).unwrap();
        for name in ["1.1b", "11b", "e11b"] {
            assert_eq!(manifest.find(name).unwrap().1.name(), "1.1b: Two");
        }
        assert_eq!(manifest.find("1.1").unwrap().1.name(), "1.1: One");
        for name in ["stage1", "1", "stage1-server"] {
            assert_eq!(manifest.stage(name).unwrap().id(), "stage1");
        }
        assert!(manifest.find("9.9").is_err());
        assert!(manifest.stage("stage9").is_err());
    }

    #[test]
    fn hunts_have_names_of_folders_and_points_of_their_own() {
        let hunt = |name: &str, points: u32| {
            format!(
                "[[stage.hunt]]\nname = {name:?}\ntitle = \"T\"\npoints = {points}\nminutes = 5\n"
            )
        };
        let text = GOOD.to_owned() + &hunt("half-words", 7) + &hunt("a", 7);
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.hunt("half-words").unwrap().1.points, 7);
        assert!(manifest.hunt("b").is_err());
        for (name, points, expected) in [
            ("Half", 1, "a name is like"),
            ("../x", 1, "a name is like"),
            ("a", 1, "listed twice"),
            ("b", 0, "needs a title"),
        ] {
            let error = Manifest::parse(&(text.clone() + &hunt(name, points))).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let table = [
            (
                "points = 40",
                "points = 39",
                "course.toml:19: the points of all exercises are 100 together, not 99",
            ),
            (
                "needs = [\"1.1\"]",
                "needs = [\"1.2\"]",
                "course.toml:26: exercise 1.2 needs itself",
            ),
            (
                "needs = []",
                "needs = [\"1.2\"]",
                "course.toml:15: exercise 1.1 needs 1.2, which comes later",
            ),
            (
                "needs = []",
                "needs = [\"7.1\"]",
                "exercise 1.1 needs 7.1, which does not exist",
            ),
            ("\"1.2\"", "\"1.1\"", "this exercise is listed twice"),
            ("\"1.2\"", "\"2.2\"", "needs a number like 1.1"),
            (
                "a.rs::two",
                "a.rs::one",
                "belongs to another exercise already",
            ),
            (
                "e12_",
                "e11_",
                "tests e11_ belong to another exercise already",
            ),
            ("title = \"Two\"", "title = \"{x}\"", "no braces"),
            ("minutes = 10", "minutes = 0", "at least 1"),
            (
                "tests = [\"e12_\"]",
                "tests = []",
                "needs an item and a test",
            ),
            (
                "\"stage1-server\"",
                "\"server\"",
                "named like stage1-something",
            ),
        ];
        for (from, to, expected) in table {
            let error = refused(from, to);
            assert!(error.contains(expected), "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn unknown_and_missing_keys_are_refused_with_their_place() {
        let error = refused("minutes = 10", "minutes = 10\nhours = 1");
        assert!(
            error.contains("hours") && error.contains("line 12"),
            "{error}"
        );
        let error = refused("hints = [\"a\", \"b\", \"c\"]", "hints = [\"a\"]");
        assert!(error.contains("line 16"), "{error}");
    }
}
