//! `cargo course` without a command: the progress so far, and the next exercise. `cargo course next`: only the latter.

use std::path::Path;

use anyhow::Result;

use crate::student::page;
use crate::student::progress::{Status, next, statuses};
use course::manifest::{Exercise, Manifest, in_points};
use course::workspace;

/// Prints the picture.
///
/// # Errors
///
/// Fails if manifest or code cannot be read.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let statuses = statuses(&root, &manifest)?;
    println!("{}", picture(&manifest, &statuses));
    tell_next(&root, &statuses);
    Ok(())
}

/// Prints the next exercise alone.
///
/// # Errors
///
/// Fails if manifest or code cannot be read.
pub(crate) fn run_next() -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    tell_next(&root, &statuses(&root, &manifest)?);
    Ok(())
}

fn tell_next(root: &Path, statuses: &[(&Exercise, Status)]) {
    match next(statuses) {
        Some(exercise) => print!("{}", next_step(root, exercise)),
        None => {
            println!("Every exercise has passed. `cargo course grade` runs everything once more.")
        }
    }
}

/// Draws stages, exercises and points.
fn picture(manifest: &Manifest, statuses: &[(&Exercise, Status)]) -> String {
    let is_done = |status: Status| status == Status::Passed || status == Status::Changed;
    let points = |wanted: bool| -> u32 {
        let counted = statuses
            .iter()
            .filter(|(_, status)| !wanted || is_done(*status));
        counted.map(|(exercise, _)| exercise.points).sum()
    };
    let mut text = format!(
        "Socket to Mux: {} of {} points\n",
        points(true),
        points(false)
    );
    let current = next(statuses).map(Exercise::id);
    for stage in &manifest.stages {
        let of_stage: Vec<_> = statuses
            .iter()
            .filter(|(exercise, _)| stage.exercises.iter().any(|one| one.id() == exercise.id()))
            .collect();
        let done = of_stage
            .iter()
            .filter(|(_, status)| is_done(*status))
            .count();
        let bar = "█".repeat(done) + &"░".repeat(of_stage.len() - done);
        text += &format!("\n{}  {bar}  {}\n", stage.id(), stage.title);
        for (exercise, status) in of_stage {
            let arrow = if current == Some(exercise.id()) {
                "▶"
            } else {
                " "
            };
            let line = format!(
                " {arrow} {} {:<4} {:<42} {:>2} points  {}",
                sign(*status),
                exercise.id(),
                exercise.title,
                exercise.points,
                words(*status)
            );
            text += line.trim_end();
            text.push('\n');
        }
    }
    text
}

fn sign(status: Status) -> &'static str {
    match status {
        Status::Passed | Status::Changed => "✔",
        Status::Written => "◐",
        Status::Open => "○",
        Status::Given => "·",
    }
}

fn words(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Changed => "passed, changed since",
        Status::Written => "written, not passed yet",
        Status::Open => "",
        Status::Given => "given",
    }
}

fn next_step(root: &Path, exercise: &Exercise) -> String {
    let mut text = format!(
        "Next: exercise {} ({}, about {} minutes)\n  read   {}\n",
        exercise.name(),
        in_points(exercise.points),
        exercise.minutes,
        page::to_read(root, exercise)
    );
    if page::folder(root).is_some() {
        text += "  open   cargo course book next\n";
    }
    for item in exercise.items().unwrap_or_default() {
        let line = item.read(root).map_or(1, |(source, function)| {
            source[..function.body.start].matches('\n').count() + 1
        });
        text += &format!(
            "  write  {}:{line}  {}\n",
            item.file.display(),
            item.function()
        );
    }
    if let Some(given) = exercise.given() {
        text += &format!("  given  a simple version: {given}\n");
    }
    text + &format!(
        "  then   cargo course test {0}      (or: cargo course watch)\n  stuck  cargo course hint {0}\n",
        exercise.id()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_counts_and_points_at_the_next() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        let mut all: Vec<_> = manifest
            .exercises()
            .map(|(_, one)| (one, Status::Open))
            .collect();
        all[0].1 = Status::Passed;
        let text = picture(&manifest, &all);
        let (first, second) = (all[0].0, all[1].0);
        assert!(
            text.starts_with(&format!("Socket to Mux: {} of 100 points", first.points)),
            "{text}"
        );
        assert!(text.contains(&format!("✔ {}", first.id())), "{text}");
        assert!(text.contains(&format!("▶ ○ {}", second.id())), "{text}");
        assert!(text.contains("stage1  █░"), "{text}");
    }
}
