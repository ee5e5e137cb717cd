//! Prefixes of names that belong to an exercise: the longest one that fits decides.

use toml::Spanned;

use crate::manifest::{Exercise, Stage};

/// Returns the longest of the prefixes that fit a name.
pub(super) fn claim(texts: &[Spanned<String>], name: &str) -> Option<usize> {
    let fitting = texts
        .iter()
        .filter(|text| name.starts_with(text.as_ref().as_str()));
    fitting.map(|text| text.as_ref().len()).max()
}

/// Returns the exercise with the longest claim, and its length.
pub(super) fn best(
    stage: &Stage,
    claim: impl Fn(&Exercise) -> Option<usize>,
) -> Option<(usize, &Exercise)> {
    let all = stage.exercises.iter();
    all.filter_map(|exercise| Some((claim(exercise)?, exercise)))
        .max_by_key(|(length, _)| *length)
}
