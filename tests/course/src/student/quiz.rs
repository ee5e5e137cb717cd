//! `cargo course quiz`: questions about wrong solutions, each after its exercise, until all of them are known.
//!
//! ```text
//!   tests/quiz ──▶ here: which questions? ──▶ ask.rs: at a terminal ──▶ answers.rs: quiz.json in the workspace
//!                          │
//!                          └── without a terminal ──▶ print.rs: the questions, with --answers their answers, too
//! ```

pub(crate) mod answers;
mod ask;
mod print;

use std::io::{self, IsTerminal as _};
use std::path::Path;

use anyhow::{Result, ensure};
use clap::Args;

use crate::starter::Record;
use crate::student::progress::{Status, statuses};
use answers::Answers;
use ask::Asked;
use course::manifest::Manifest;
use course::quiz::{self, Question};
use course::workspace;

/// Answer questions: what does a client see of this mistake?
///
/// The questions of an exercise come once it has passed, or when you name it. What you did not know comes again the next time.
/// Your answers are in quiz.json in the workspace. Without a terminal, the questions are only printed.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// An exercise, like 3.2, or a stage, like stage3; default: every exercise that has passed
    place: Option<String>,

    /// Print all of these questions with their answers, for instructors; not in a workspace
    #[arg(long)]
    answers: bool,
}

/// Asks or prints.
///
/// # Errors
///
/// Fails if there is no such exercise or stage, no question, or the answers cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let is_workspace = Record::read(&root)?.is_some();
    ensure!(
        !(options.answers && is_workspace),
        "--answers is for the course itself: here, each answer comes after yours"
    );
    let all = quiz::all(&root, &manifest)?;
    ensure!(
        !all.is_empty(),
        "there are no questions here: ask your instructor for a course that has them"
    );
    let chosen = match &options.place {
        Some(place) => named(&manifest, &all, place)?,
        None if is_workspace => passed(&root, &manifest, &all)?,
        None => all.iter().collect(),
    };
    if chosen.is_empty() {
        println!(
            "No question yet: those of an exercise come once it has passed, or when you name it: cargo course quiz 1.1"
        );
        return Ok(());
    }
    if options.answers || !io::stdin().is_terminal() {
        print::questions(&root, &manifest, &chosen, options.answers)?;
        if !options.answers {
            println!("These are only the questions: answer them in a terminal.");
        }
        return Ok(());
    }
    ask_open_ones(&root, &manifest, chosen, options.place.is_some())
}

/// Asks those of the questions that the student does not know yet; if all are known, all of them again, but only if
/// they were named.
fn ask_open_ones(
    root: &Path,
    manifest: &Manifest,
    chosen: Vec<&Question>,
    are_named: bool,
) -> Result<()> {
    let mut answers = Answers::load(root);
    let mut questions = chosen.clone();
    questions.retain(|one| !answers.knows(one));
    if questions.is_empty() && are_named {
        questions = chosen;
    }
    if questions.is_empty() {
        println!(
            "You know the answers to all questions so far. Name an exercise or a stage to repeat them."
        );
        return Ok(());
    }
    session(root, manifest, &questions, &mut answers)
}

/// Asks one question after another until the last, or until the student has enough.
fn session(
    root: &Path,
    manifest: &Manifest,
    questions: &[&Question],
    answers: &mut Answers,
) -> Result<()> {
    let desk = ask::Desk { root, manifest };
    let (mut input, mut output) = (io::stdin().lock(), io::stdout());
    for (at, question) in questions.iter().enumerate() {
        desk.show(&mut output, question, (at + 1, questions.len()))?;
        match ask::answer(&mut input, &mut output, question)? {
            Asked::Chosen(choice) => {
                desk.tell(&mut output, question, choice)?;
                answers.note(question, choice);
                answers.save(root)?;
            }
            Asked::Skipped => {}
            Asked::Stopped => break,
        }
    }
    let known = questions.iter().filter(|one| answers.knows(one)).count();
    let rest = match questions.len() - known {
        0 => "",
        _ => " The others come again: cargo course quiz",
    };
    println!("\n{known} of {} known.{rest}", questions.len());
    Ok(())
}

/// Finds the questions of an exercise or a stage.
fn named<'q>(manifest: &Manifest, all: &'q [Question], place: &str) -> Result<Vec<&'q Question>> {
    let exercises: Vec<&str> = match manifest.stage(place) {
        Ok(stage) => stage.exercises.iter().map(|one| one.id()).collect(),
        Err(_) => vec![manifest.find(place)?.1.id()],
    };
    let found: Vec<_> = of(all, |id| exercises.contains(&id)).collect();
    ensure!(!found.is_empty(), "there is no question about {place} yet");
    Ok(found)
}

/// Finds the questions of the exercises that have passed.
fn passed<'q>(root: &Path, manifest: &Manifest, all: &'q [Question]) -> Result<Vec<&'q Question>> {
    let statuses = statuses(root, manifest)?;
    let is_passed = |id: &str| {
        let mut all = statuses.iter();
        all.any(|(one, status)| {
            one.id() == id && matches!(status, Status::Passed | Status::Changed)
        })
    };
    Ok(of(all, is_passed).collect())
}

fn of(all: &[Question], is_it: impl Fn(&str) -> bool) -> impl Iterator<Item = &Question> {
    all.iter().filter(move |one| is_it(&one.exercise))
}

/// Returns a line about the questions of an exercise that has just passed; `None` if there are none left.
pub(crate) fn invitation(root: &Path, manifest: &Manifest, exercise: &str) -> Option<String> {
    let all = quiz::all(root, manifest).ok()?;
    let answers = Answers::load(root);
    let count = of(&all, |id| id == exercise)
        .filter(|one| !answers.knows(one))
        .count();
    let words = if count == 1 { "question" } else { "questions" };
    (count > 0).then(|| format!("{count} {words} about it: cargo course quiz {exercise}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_found_by_exercise_and_by_stage() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        let all = quiz::all(&root, &manifest).unwrap();
        let Some(first) = all.first() else {
            return;
        };
        let of_one = named(&manifest, &all, &first.exercise).unwrap();
        assert!(of_one.iter().all(|one| one.exercise == first.exercise));
        let of_stage = named(&manifest, &all, "stage1").unwrap();
        assert!(of_stage.len() >= of_one.len());
        assert!(of_stage.iter().all(|one| one.exercise.starts_with("1.")));
        assert!(named(&manifest, &all, "9.9").is_err());
    }
}
