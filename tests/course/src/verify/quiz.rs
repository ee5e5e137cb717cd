//! The proof that the answers of the quiz are true: the test of a question's wrong solution fails, and its message has the words
//! that the question quotes.
//!
//! The claims join the settings of the wrong solutions, whose tests run anyway, so that they cost nothing. That the reference
//! passes the same test is another proof's claim.

use std::path::Path;

use anyhow::Result;

use crate::verify::plan::{Change, Claim, Demand, Proof, Setting};
use course::manifest::Manifest;
use course::quiz::{self, Question};

/// Adds the claims about questions to the settings of their wrong solutions.
///
/// # Errors
///
/// Fails if a question is not sound.
pub(super) fn join(root: &Path, manifest: &Manifest, settings: &mut [Setting<'_>]) -> Result<()> {
    let questions = quiz::all(root, manifest)?;
    for setting in settings {
        let Change::Patch(patch) = &setting.change else {
            continue;
        };
        let is_about_it = |one: &&Question| {
            let name = patch.file_stem().and_then(|it| it.to_str());
            one.bug.is_some() && one.bug.as_deref() == name
        };
        let is_bug = setting
            .claims
            .iter()
            .any(|claim| claim.proof == Proof::Bugs);
        for question in questions.iter().filter(is_about_it).filter(|_| is_bug) {
            if let Some(test) = question.test.clone() {
                let text = format!(
                    "the answer to {} ({}) is what {test} says",
                    question.name, question.exercise
                );
                let words = question.observed.clone();
                setting
                    .claims
                    .push(Claim::new(Proof::Quiz, text, Demand::Says { test, words }));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::bug;
    use course::workspace;

    #[test]
    fn every_question_about_a_wrong_solution_has_its_claim() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        let questions = quiz::all(&root, &manifest).unwrap();
        let mut settings = bug::settings(&root, &manifest).unwrap();
        join(&root, &manifest, &mut settings).unwrap();
        let claims = settings.iter().flat_map(|setting| &setting.claims);
        let count = claims.filter(|claim| claim.proof == Proof::Quiz).count();
        assert_eq!(
            count,
            questions.iter().filter(|one| one.bug.is_some()).count()
        );
    }
}
