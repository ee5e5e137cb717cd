//! The expected verdicts of all submissions beside the actual ones.

use anyhow::{Context, Result};

use crate::grade::class::row::Row;
use crate::rehearse::submission::Submission;
use course::manifest::Exercise;

/// A letter for each verdict.
const LETTERS: &[(char, &str)] = &[
    ('p', "passed"),
    ('f', "failed"),
    ('l', "timed out"),
    ('n', "could not build"),
    ('u', "could not be graded"),
    (ANY, "anything but passed"),
];
/// Anything but passed, because how it fails may depend on the machine.
const ANY: char = 'x';

/// A comparison, rendered.
#[derive(Debug)]
pub(super) struct Table {
    /// The table, the meaning of the letters, and the differences in words.
    pub(super) text: String,
    /// The number of submissions with other verdicts or points than they must get.
    pub(super) wrong: usize,
}

/// Compares the rows of a class with the expected verdicts of its submissions.
///
/// # Errors
///
/// Fails if a submission has no row.
pub(super) fn compare(
    submissions: &[&Submission],
    rows: &[Row],
    exercises: &[Exercise],
    is_quick: bool,
) -> Result<Table> {
    let (mut text, mut stories, mut wrong) = (head(exercises), String::new(), 0);
    for submission in submissions {
        let row = rows.iter().find(|row| row.name == submission.name);
        let row = row.with_context(|| format!("{} was not graded", submission.name))?;
        let must = submission.expected(is_quick);
        let got: String = row.verdicts().map(letter).take(exercises.len()).collect();
        let points = points(must, exercises);
        let story = story(submission.name, exercises, must, &got)
            + &sum(submission.name, points, row.total);
        text += &format!(
            "{:<13} {must:<8} {got:<8} {points:>5} {:>5} {:>6}  {}{}\n",
            submission.name,
            row.total,
            row.seconds(),
            submission.about,
            if story.is_empty() { "" } else { "   <-- WRONG" }
        );
        wrong += usize::from(!story.is_empty());
        stories += &story;
    }
    let text = text + &legend() + &stories;
    Ok(Table { text, wrong })
}

fn head(exercises: &[Exercise]) -> String {
    let range = match exercises {
        [first, .., last] => format!("{} to {}", first.id(), last.id()),
        [..] => String::new(),
    };
    format!(
        "{:<13} {range:<17} {:>11}\n{:<13} {:<8} {:<8} {:>5} {:>5} {:>6}  what it does\n",
        "", "points", "submission", "must get", "got", "must", "got", "s"
    )
}

fn legend() -> String {
    let all: Vec<_> = LETTERS
        .iter()
        .map(|(letter, words)| format!("{letter} {words}"))
        .collect();
    all.join(", ") + "\n"
}

/// Returns the points of the exercises that must pass.
fn points(must: &str, exercises: &[Exercise]) -> u64 {
    let pairs = must.chars().zip(exercises);
    let passed = pairs.filter(|(letter, _)| *letter == 'p');
    passed.map(|(_, exercise)| u64::from(exercise.points)).sum()
}

/// Describes each exercise with another verdict than expected, in a line each.
fn story(name: &str, exercises: &[Exercise], must: &str, got: &str) -> String {
    let all = exercises.iter().zip(must.chars().zip(got.chars()));
    let wrong = all.filter(|(_, (must, got))| !fits(*must, *got));
    wrong
        .map(|(exercise, (must, got))| {
            let id = exercise.id();
            format!(
                "{name}, exercise {id}: must get \"{}\", got \"{}\"\n",
                words(must),
                words(got)
            )
        })
        .collect()
}

fn sum(name: &str, must: u64, got: u64) -> String {
    if must == got {
        String::new()
    } else {
        format!("{name}: must get {must} points, got {got}\n")
    }
}

fn letter(verdict: &str) -> char {
    let found = LETTERS.iter().find(|(_, words)| *words == verdict);
    found.map_or('?', |(letter, _)| *letter)
}

fn words(letter: char) -> &'static str {
    let found = LETTERS.iter().find(|(one, _)| *one == letter);
    found.map_or("?", |(_, words)| words)
}

fn fits(must: char, got: char) -> bool {
    must == got || must == ANY && got != 'p'
}

#[cfg(test)]
mod tests {
    use super::super::submissions::SUBMISSIONS;
    use super::*;
    use course::manifest::Manifest;
    use course::workspace;
    use serde_json::json;

    fn row(name: &str, score: u64, verdicts: [&str; 5]) -> Row {
        let test =
            |verdict| json!({"number": "1.1", "score": 0, "extra_data": {"verdict": verdict}});
        let mark = json!({"mark": {"code": 1, "course": 2, "seconds": 3}});
        let tests: Vec<_> = verdicts.into_iter().map(test).collect();
        let results = json!({"score": score, "tests": tests, "extra_data": mark});
        Row::parse(name, &results).unwrap()
    }

    #[test]
    fn a_difference_is_shown_with_exercise_and_points() {
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        let exercises = &manifest.stages[0].exercises;
        let all = exercises.iter().map(|one| u64::from(one.points)).sum();
        let looping = SUBMISSIONS
            .iter()
            .find(|one| one.name == "looping")
            .unwrap();
        let submissions = [&SUBMISSIONS[0], looping];
        let good = ["passed", "timed out", "passed", "failed", "failed"];
        let seven =
            all - u64::from(exercises[1].points + exercises[3].points + exercises[4].points);
        let compare = |looping| {
            let rows = [row("perfect", all, ["passed"; 5]), looping];
            compare(&submissions, &rows, exercises, false).unwrap()
        };
        let table = compare(row("looping", seven, good));
        assert_eq!(table.wrong, 0, "{}", table.text);
        let table = compare(row("looping", all, ["passed"; 5]));
        assert_eq!(table.wrong, 1);
        for part in [
            "looping       plpxf    ppppp",
            "<-- WRONG",
            "looping, exercise 1.2: must get \"timed out\", got \"passed\"",
            "looping, exercise 1.4: must get \"anything but passed\", got \"passed\"",
            &format!("looping: must get {seven} points, got {all}"),
        ] {
            assert!(table.text.contains(part), "{part}: {}", table.text);
        }
        let missing = super::compare(&submissions, &[], exercises, false);
        assert!(missing.unwrap_err().to_string().contains("not graded"));
    }

    #[test]
    fn a_letter_fits_itself_and_x_all_but_passed() {
        assert!(fits('p', 'p') && fits('x', 'f') && fits('x', 'u'));
        assert!(!fits('x', 'p') && !fits('p', 'f') && !fits('f', '?'));
    }
}
