//! The questions of `cargo course quiz` and of the boxes in the book: `tests/quiz/stage1.toml` and so on.
//!
//! ```text
//!   tests/quiz/*.toml ──┬── book ──────────▶ a box at the end of a chapter
//!                       ├── verify ────────▶ executed: the wrong solution's test fails and says the observed words
//!                       └── veil.rs ───────▶ tests/quiz/questions.hex in a workspace ──▶ cargo course quiz
//! ```
//!
//! A question is about a wrong solution of `tests/bugs`, or it cites a manual page or an RFC.

pub mod veil;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::bug::{self, Bug};
use crate::listing;
use crate::manifest::Manifest;

/// The folder of the questions, below that of the course.
pub const FOLDER: &str = "tests/quiz";
/// The wrong choices of a question: with the right one, three or four.
const WRONG: std::ops::RangeInclusive<usize> = 2..=3;
/// The most characters of a situation: a question is read at a terminal.
const LONGEST: usize = 480;

/// A question.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its name, unlike all others.
    pub name: String,
    /// The exercise after which it is asked.
    pub exercise: String,
    /// The change of a program, and the scene in which it runs.
    pub situation: String,
    /// The question itself.
    pub ask: String,
    /// The right choice.
    pub right: String,
    /// Why it is right.
    pub why: String,
    /// The wrong choices.
    pub wrong: Vec<Wrong>,
    /// The wrong solution that was run: the name of a patch in `tests/bugs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// Words of the failed test's message: what the right choice says, as it was observed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<String>,
    /// The test that has observed it; known from the wrong solution's head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// The manual page, or the section of an RFC, of a question that cannot be executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cite: Option<String>,
}

/// A wrong choice.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wrong {
    /// Its words.
    pub choice: String,
    /// Why it is tempting, and wrong.
    pub why: String,
}

/// A choice as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// Its words.
    pub text: &'a str,
    /// Why it is right or wrong.
    pub why: &'a str,
    /// Whether it is the right one.
    pub is_right: bool,
}

/// A file of questions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    question: Vec<Question>,
}

impl Question {
    /// Returns the choices in the order in which they are always shown, which tells nothing about the right one.
    pub fn choices(&self) -> Vec<Choice<'_>> {
        let wrong = self.wrong.iter().map(|one| Choice {
            text: &one.choice,
            why: &one.why,
            is_right: false,
        });
        let mut all: Vec<_> = wrong.collect();
        let right = Choice {
            text: &self.right,
            why: &self.why,
            is_right: true,
        };
        all.insert(place(&self.name, all.len() + 1), right);
        all
    }

    /// Describes how the answer is known: from a run, or from a text.
    pub fn source(&self) -> String {
        match (&self.test, &self.cite) {
            (Some(test), _) => {
                let words: Vec<_> = self.observed.iter().map(|it| format!("`{it}`")).collect();
                format!("Executed: `{test}` fails and says {}.", words.join(" and "))
            }
            (None, Some(cite)) => format!("Source: {cite}."),
            (None, None) => String::new(),
        }
    }

    /// Checks that a question is complete in itself.
    fn check(&self) -> Result<()> {
        let is_kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ensure!(self.name.chars().all(is_kebab), "its name is not like-this");
        ensure!(
            WRONG.contains(&self.wrong.len()),
            "it needs two or three wrong choices"
        );
        ensure!(self.ask.ends_with('?'), "it asks nothing");
        ensure!(self.situation.len() <= LONGEST, "its situation is too long");
        ensure!(
            self.test.is_none(),
            "its test is known from the wrong solution"
        );
        let texts: HashSet<_> = self.choices().iter().map(|one| one.text).collect();
        ensure!(
            texts.len() == self.wrong.len() + 1,
            "two choices are the same"
        );
        match (&self.bug, &self.cite) {
            (Some(_), None) => ensure!(
                self.observed.iter().any(|words| words.len() > 3),
                "it needs the words that were observed"
            ),
            (None, Some(cite)) => {
                ensure!(
                    is_source(cite),
                    "{cite:?} is no manual page and no section of an RFC"
                );
                ensure!(self.observed.is_empty(), "nothing was run");
            }
            _ => anyhow::bail!("it needs either a wrong solution or something to cite"),
        }
        Ok(())
    }

    /// Finds the test of the wrong solution, which must be one of the same exercise.
    fn resolve(&mut self, root: &Path, manifest: &Manifest) -> Result<()> {
        manifest.find_exactly(&self.exercise)?;
        let Some(name) = &self.bug else {
            return Ok(());
        };
        let bug = Bug::read(&root.join(bug::FOLDER).join(format!("{name}.patch")))?;
        ensure!(
            bug.exercise == self.exercise,
            "{name} is a wrong solution of exercise {}",
            bug.exercise
        );
        self.test = Some(bug.caught_by);
        Ok(())
    }
}

/// Reads all questions: of the course, or of a workspace; none if it has none.
///
/// # Errors
///
/// Fails if a file cannot be read, or a question is not sound.
pub fn all(root: &Path, manifest: &Manifest) -> Result<Vec<Question>> {
    if let Some(questions) = veil::read(root)? {
        return Ok(questions);
    }
    let folder = root.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut questions: Vec<Question> = Vec::new();
    for file in listing::below(&folder, "toml")? {
        let place = || format!("in {}", file.display());
        let text = fs::read_to_string(&file).with_context(place)?;
        let found: File = toml::from_str(&text).with_context(place)?;
        questions.extend(found.question);
    }
    let mut names = HashSet::new();
    for question in &mut questions {
        let name = question.name.clone();
        let checked = question
            .check()
            .and_then(|()| question.resolve(root, manifest));
        checked.with_context(|| format!("the question {name}"))?;
        ensure!(
            names.insert(name.clone()),
            "the question {name} is there twice"
        );
    }
    let place = |id: &str| manifest.exercises().position(|(_, one)| one.id() == id);
    questions.sort_by_key(|one| place(&one.exercise));
    Ok(questions)
}

/// Returns the place of the right choice: by a hash of the name (FNV-1a), so that all see the same letters.
fn place(name: &str, count: usize) -> usize {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let hash = name.bytes().fold(2_166_136_261, step);
    // The upper bits are mixed better than the lower ones.
    usize::try_from(hash >> 23).unwrap_or_default() % count
}

/// Returns whether a text names a manual page, `close(2)`, or a section of an RFC, `RFC 9112 section 6.3`.
fn is_source(text: &str) -> bool {
    let page = text.strip_suffix(')').and_then(|it| it.split_once('('));
    if let Some((name, section)) = page {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        return name.chars().all(is_name) && section.len() == 1 && section > "0" && section < "9";
    }
    let rest = text
        .strip_prefix("RFC ")
        .and_then(|it| it.split_once(" section "));
    rest.is_some_and(|(number, section)| {
        number.parse::<u16>().is_ok() && section.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn questions() -> Vec<Question> {
        let root = workspace::root().unwrap();
        all(&root, &Manifest::load(&root).unwrap()).unwrap()
    }

    #[test]
    fn every_question_is_sound_and_the_right_choice_has_no_favourite_place() {
        let questions = questions();
        let mut places = [0; 4];
        for question in &questions {
            let choices = question.choices();
            let right: Vec<_> = (0..choices.len())
                .filter(|at| choices[*at].is_right)
                .collect();
            assert_eq!(right.len(), 1, "{}", question.name);
            places[right[0]] += 1;
            assert!(!question.source().is_empty(), "{}", question.name);
        }
        // Few questions have a fourth choice.
        for count in &places[..3] {
            assert!(count * 5 >= questions.len(), "{places:?}");
        }
    }

    #[test]
    fn the_right_choice_is_not_the_longest_one_as_a_rule() {
        let questions = questions();
        let is_longest = |one: &&Question| {
            one.wrong
                .iter()
                .all(|wrong| wrong.choice.len() < one.right.len())
        };
        let count = questions.iter().filter(is_longest).count();
        assert!(
            count * 2 <= questions.len(),
            "{count} of {}",
            questions.len()
        );
    }

    #[test]
    fn a_question_without_proof_is_refused() {
        let text = "[[question]]\nname = \"a\"\nexercise = \"1.1\"\nsituation = \"S.\"\nask = \"What?\"\nright = \"r\"\nwhy = \"w\"\n\
                    wrong = [{ choice = \"x\", why = \"y\" }, { choice = \"z\", why = \"y\" }]\n";
        let file: File = toml::from_str(text).unwrap();
        let mut question = file.question[0].clone();
        let error = question.check().unwrap_err().to_string();
        assert!(error.contains("either"), "{error}");
        question.cite = Some("close(2)".to_owned());
        question.check().unwrap();
        question.wrong[1].choice = "r".to_owned();
        assert!(question.check().is_err());
    }

    #[test]
    fn a_source_is_a_manual_page_or_a_section() {
        for (text, is_it) in [
            ("close(2)", true),
            ("epoll_wait(2)", true),
            ("RFC 9112 section 6.3", true),
            ("RFC 9112", false),
            ("the book", false),
            ("close()", false),
        ] {
            assert_eq!(is_source(text), is_it, "{text}");
        }
    }
}
