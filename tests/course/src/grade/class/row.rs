//! A row of the class: a graded submission, as its results.json has it.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The code and the course that a result is for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Mark {
    /// The fingerprint of the submission.
    pub(super) code: u64,
    /// The fingerprint of the course.
    pub(super) course: u64,
    /// How long it took.
    pub(super) seconds: u64,
}

/// A graded submission.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name of its folder.
    pub(crate) name: String,
    /// Its points.
    pub(crate) total: u64,
    possible: u64,
    pub(super) exercises: Vec<Exercise>,
    /// The hunts that it has scripts for.
    pub(super) hunts: Vec<Hunt>,
    /// The questions of the quiz that it has answered.
    pub(super) quiz: Vec<Answer>,
    mark: Mark,
}

/// An exercise of a graded submission.
#[derive(Debug)]
pub(super) struct Exercise {
    pub(super) id: String,
    pub(super) points: u64,
    pub(super) verdict: String,
    /// Whether some of its unit tests were not run.
    pub(super) has_unrun: bool,
}

/// A hunt of a graded submission.
#[derive(Debug, Deserialize)]
pub(super) struct Hunt {
    pub(super) name: String,
    pub(super) score: u64,
    pub(super) verdict: String,
}

/// An answer to a question of the quiz.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) name: String,
    /// Whether the first answer was right.
    pub(super) first_right: bool,
}

impl Row {
    /// Reads a results.json.
    ///
    /// # Errors
    ///
    /// Fails if it is not one that `grade --all` has written.
    pub(crate) fn parse(name: &str, results: &Value) -> Result<Self> {
        let tests = results["tests"].as_array().context("there are no tests")?;
        let exercises: Option<Vec<_>> = tests.iter().map(exercise).collect();
        let possible = tests.iter().filter_map(|test| test["max_score"].as_u64());
        Ok(Self {
            name: name.to_owned(),
            total: results["score"].as_u64().context("there is no score")?,
            possible: possible.sum(),
            exercises: exercises.context("a test is incomplete")?,
            hunts: match results["extra_data"].get("hunts") {
                Some(hunts) => serde_json::from_value(hunts.clone())?,
                None => Vec::new(),
            },
            quiz: match results["extra_data"].get("quiz") {
                Some(quiz) => serde_json::from_value(quiz.clone())?,
                None => Vec::new(),
            },
            mark: serde_json::from_value(results["extra_data"]["mark"].clone())?,
        })
    }

    /// Returns whether this result is one for that code and that course.
    pub(super) fn is_for(&self, code: u64, course: u64) -> bool {
        self.mark.code == code && self.mark.course == course
    }

    /// Returns the verdicts of the exercises, in words.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = &str> {
        self.exercises.iter().map(|one| one.verdict.as_str())
    }

    /// Returns how long it took.
    pub(crate) fn seconds(&self) -> u64 {
        self.mark.seconds
    }

    /// Renders a line for the terminal.
    pub(super) fn line(&self) -> String {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for exercise in &self.exercises {
            match counts
                .iter_mut()
                .find(|(words, _)| *words == exercise.verdict)
            {
                Some((_, count)) => *count += 1,
                None => counts.push((&exercise.verdict, 1)),
            }
        }
        let counts: Vec<_> = counts
            .iter()
            .map(|(words, count)| format!("{count} {words}"))
            .collect();
        let hunts = match self.hunts.len() {
            0 => String::new(),
            _ => format!(", hunts {} points", self.points_of_hunts()),
        };
        format!(
            "{:<24} {:>3} of {} points  {:>5} s  {}{hunts}",
            self.name,
            self.total,
            self.possible,
            self.mark.seconds,
            counts.join(", ")
        )
    }

    /// Returns the points of the hunts.
    pub(super) fn points_of_hunts(&self) -> u64 {
        self.hunts.iter().map(|hunt| hunt.score).sum()
    }

    /// Returns the points of a stage; the numbers of its exercises begin with `number`.
    pub(super) fn stage(&self, number: &str) -> u64 {
        let of_stage = |exercise: &&Exercise| number_of(&exercise.id) == number;
        let points = self.exercises.iter().filter(of_stage);
        points.map(|exercise| exercise.points).sum()
    }
}

fn exercise(test: &Value) -> Option<Exercise> {
    Some(Exercise {
        id: test["number"].as_str()?.to_owned(),
        points: test["score"].as_u64()?,
        verdict: test["extra_data"]["verdict"].as_str()?.to_owned(),
        has_unrun: test["extra_data"].get("unit_tests_not_run").is_some(),
    })
}

/// Returns the stage's number of an exercise: 3 of `3.2`.
pub(super) fn number_of(id: &str) -> &str {
    id.split('.').next().unwrap_or(id)
}
