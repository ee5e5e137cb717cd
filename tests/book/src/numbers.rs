//! Numbers in prose that the course knows: exercises, hours, wrong solutions, variants, hunts.
//!
//! A sentence with such a number is listed here with its words, so that the check finds it when the number has changed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use course::listing;
use course::manifest::{Exercise, Manifest, Stage};
use course::quiz;

/// Describes every sentence that is not in its file with the numbers of today.
///
/// # Errors
///
/// Fails if a file or folder cannot be read.
pub(crate) fn problems(root: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (file, sentence) in sentences(root, manifest)? {
        let text =
            fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        if !one_line(&text).contains(&sentence) {
            problems.push(format!(
                "{file}: the numbers have changed, it should say: {sentence}"
            ));
        }
    }
    Ok(problems)
}

/// Returns all sentences with a number, and their files.
fn sentences(root: &Path, manifest: &Manifest) -> Result<Vec<(&'static str, String)>> {
    const INTRODUCTION: &str = "book/src/introduction.md";
    const INSTRUCTORS: &str = "book/src/instructors.md";
    const README: &str = "README.md";
    let count = manifest.exercises().count();
    let minutes: u32 = manifest.stages.iter().map(minutes).sum();
    let hours = format!("add up to about {} hours", hours(minutes));
    let bugs = bugs(root, manifest)?;
    let (all, of_stages) = (bugs.iter().sum::<usize>(), list(&bugs));
    let variants = listing::entries(&root.join("tests/variants"))?.len();
    let hunts = manifest.hunts().count();
    let asked = lines(root, "[[question]]")?;
    let run = lines(root, "bug = ")?;
    let points: u32 = manifest.hunts().map(|(_, hunt)| hunt.points).sum();
    let mut sentences = vec![
        (INTRODUCTION, format!("The {count} exercises {hours};")),
        (INSTRUCTORS, format!("The exercises {hours}")),
        (README, format!("{all} wrong solutions")),
        (README, of_stages),
        (README, format!("{variants} right but different solutions")),
        (README, format!("{hunts} bug hunts")),
        (README, format!("{hunts} faulty programs")),
        (README, format!("{asked} questions")),
        (README, format!("for {run} of them")),
        (INSTRUCTORS, format!("{asked} questions")),
        (INSTRUCTORS, format!("their {points} points")),
    ];
    for (place, stage) in manifest.stages.iter().enumerate() {
        let next = manifest.stages.get(place + 1);
        sentences.push((INTRODUCTION, row(stage, next)));
    }
    Ok(sentences)
}

/// Counts the lines of the questions that begin with some words.
fn lines(root: &Path, begin: &str) -> Result<usize> {
    let mut count = 0;
    for file in listing::below(&root.join(quiz::FOLDER), "toml")? {
        let text = fs::read_to_string(&file)?;
        count += text.lines().filter(|line| line.starts_with(begin)).count();
    }
    Ok(count)
}

/// Counts the wrong solutions of each stage: `tests/bugs/s3-*.patch`.
fn bugs(root: &Path, manifest: &Manifest) -> Result<Vec<usize>> {
    let names = listing::stems(&root.join("tests/bugs"), "patch")?;
    let of_stage = |stage: &Stage| {
        let prefix = format!("s{}-", stage.number());
        names
            .iter()
            .filter(|name| name.starts_with(&prefix))
            .count()
    };
    Ok(manifest.stages.iter().map(of_stage).collect())
}

/// Lists the numbers of the stages: `13 of stage 1, 14, 16, 28, and 45 of stage 5`.
fn list(counts: &[usize]) -> String {
    let mut words: Vec<String> = counts.iter().map(usize::to_string).collect();
    let last = words.len();
    if let Some(first) = words.first_mut() {
        first.push_str(" of stage 1");
    }
    if let Some(word) = words.last_mut().filter(|_| last > 1) {
        *word = format!("and {word} of stage {last}");
    }
    words.join(", ")
}

/// Returns the end of a stage's row in the table of the introduction, exercises and hours, with the text that follows it.
fn row(stage: &Stage, next: Option<&Stage>) -> String {
    let after = next.map_or_else(|| "##".to_owned(), |next| format!("| [{}](", next.number()));
    let hours = hours(minutes(stage));
    format!("| {} | {hours} | {after}", stage.exercises.len())
}

fn minutes(stage: &Stage) -> u32 {
    stage
        .exercises
        .iter()
        .map(|one: &Exercise| one.minutes)
        .sum()
}

/// Rounds to half an hour: `3½`.
pub(crate) fn hours(minutes: u32) -> String {
    let halves = (minutes + 15) / 30;
    let half = if halves % 2 == 1 { "½" } else { "" };
    format!("{}{half}", halves / 2)
}

/// Joins the words of a text with single spaces, because a sentence may be wrapped anywhere.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_the_prose() {
        assert_eq!(hours(165), "3");
        assert_eq!(hours(200), "3½");
        assert_eq!(list(&[13, 14, 45]), "13 of stage 1, 14, and 45 of stage 3");
        assert_eq!(list(&[13]), "13 of stage 1");
    }

    #[test]
    fn a_number_that_has_changed_is_found() {
        let root = course::workspace::root().unwrap();
        let mut manifest = Manifest::load(&root).unwrap();
        assert_eq!(problems(&root, &manifest).unwrap(), Vec::<String>::new());
        manifest.stages[0].exercises.pop();
        let found = problems(&root, &manifest).unwrap();
        assert!(found[0].contains("exercises add up to about"), "{found:?}");
    }
}
