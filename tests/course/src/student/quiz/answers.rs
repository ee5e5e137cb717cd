//! The answers of a student: `quiz.json` in the workspace, so that they can be handed in with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use course::quiz::Question;

/// The file's name.
pub(crate) const FILE: &str = "quiz.json";
/// The most bytes of it that are read: a submission may hold anything.
const BYTES: u64 = 256 << 10;

/// All answers of a workspace.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Answers {
    #[serde(default)]
    answers: BTreeMap<String, Answer>,
}

/// The answers to one question.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Answer {
    /// The letter that was chosen first.
    first: char,
    /// Whether the last answer was right.
    known: bool,
}

impl Answers {
    /// Reads the answers of a workspace or a submission; none where they are missing, damaged or a link.
    pub(crate) fn load(root: &Path) -> Self {
        let path = root.join(FILE);
        let is_plain =
            fs::symlink_metadata(&path).is_ok_and(|it| it.is_file() && it.len() <= BYTES);
        let text = if is_plain {
            fs::read_to_string(&path).ok()
        } else {
            None
        };
        text.and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// Writes them.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub(super) fn save(&self, root: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(root.join(FILE), text).with_context(|| format!("cannot write {FILE}"))
    }

    /// Returns whether the last answer to a question was right.
    pub(super) fn knows(&self, question: &Question) -> bool {
        self.answers
            .get(&question.name)
            .is_some_and(|answer| answer.known)
    }

    /// Records a choice by its place.
    pub(super) fn note(&mut self, question: &Question, choice: usize) {
        let known = question.choices().get(choice).is_some_and(|it| it.is_right);
        let letter = letter(choice);
        let answer = Answer {
            first: letter,
            known,
        };
        let kept = self.answers.entry(question.name.clone()).or_insert(answer);
        kept.known = known;
    }

    /// Returns whether the first answer to a question was right; `None` if it was never answered.
    pub(crate) fn first_was_right(&self, question: &Question) -> Option<bool> {
        let first = self.answers.get(&question.name)?.first;
        let choices = question.choices();
        let place = (0..choices.len()).find(|at| letter(*at) == first)?;
        Some(choices[place].is_right)
    }
}

/// Returns the letter of a choice: `a` for the first.
pub(super) fn letter(place: usize) -> char {
    ('a'..='z').nth(place).unwrap_or('?')
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use course::quiz::Wrong;

    pub(in crate::student::quiz) fn question() -> Question {
        let wrong = |choice: &str| Wrong {
            choice: choice.to_owned(),
            why: format!("{choice} is tempting."),
        };
        Question {
            name: "a-question".to_owned(),
            exercise: "1.3".to_owned(),
            situation: "A server reads once.".to_owned(),
            ask: "What comes?".to_owned(),
            right: "half".to_owned(),
            why: "It was half.".to_owned(),
            wrong: vec![wrong("all"), wrong("nothing")],
            bug: None,
            observed: vec!["half a line".to_owned()],
            test: Some("e13_a".to_owned()),
            cite: None,
        }
    }

    #[test]
    fn the_first_answer_stays_and_the_last_one_tells_what_is_known() {
        let (folder, question) = (tempfile::tempdir().unwrap(), question());
        let right = question
            .choices()
            .iter()
            .position(|it| it.is_right)
            .unwrap();
        let mut answers = Answers::load(folder.path());
        assert_eq!(answers.first_was_right(&question), None);
        answers.note(&question, (right + 1) % 3);
        assert!(!answers.knows(&question));
        answers.note(&question, right);
        answers.save(folder.path()).unwrap();
        let answers = Answers::load(folder.path());
        assert!(answers.knows(&question));
        assert_eq!(answers.first_was_right(&question), Some(false));
    }

    #[test]
    fn a_file_that_is_no_file_of_answers_holds_none() {
        let (folder, question) = (tempfile::tempdir().unwrap(), question());
        let path = folder.path().join(FILE);
        for text in [
            "",
            "[]",
            "{\"answers\": {\"a-question\": {\"first\": \"zz\"}}}",
        ] {
            fs::write(&path, text).unwrap();
            assert!(!Answers::load(folder.path()).knows(&question), "{text}");
        }
        fs::write(
            &path,
            "{\"answers\": {\"a-question\": {\"first\": \"z\", \"known\": true}}}",
        )
        .unwrap();
        assert_eq!(
            Answers::load(folder.path()).first_was_right(&question),
            None
        );
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(!Answers::load(folder.path()).knows(&question));
    }
}
