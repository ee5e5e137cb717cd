//! `{{#exercise ID}}`, `{{#exercises}}`, `{{#hunts}}` and `{{#milestones}}`: the box of an exercise, and tables of all
//! exercises, of the bug hunts, and of the milestones of a program from an empty file.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::code;
use crate::places::Places;
use course::item::ItemPath;
use course::manifest::{Exercise, Manifest, Stage, anchor, tests_of_exercise};
use course::milestones::Program;

/// Returns the box of an exercise as Markdown.
///
/// # Errors
///
/// Fails if there is no such exercise, or the tests of its stage cannot be read.
pub(crate) fn box_of(
    root: &Path,
    manifest: &Manifest,
    places: &Places,
    id: &str,
) -> Result<String> {
    let (stage, exercise) = manifest.find_exactly(id)?;
    let tests = tests_of_exercise(root, stage, exercise)?;
    let (place, all) = place(stage, exercise);
    let mut text = format!(
        "<section class=\"exercise\" aria-label=\"Exercise {id}\">\n\n\
         ### Exercise {id}: {} {{#{}}}\n\n\
         <p class=\"exercise-facts\"><span>{place} of {all} in stage {}</span> <span>{}</span> <span>about {}</span> <span>{}</span></p>\n\n",
        exercise.title,
        anchor(id),
        stage.number(),
        count(exercise.points, "point"),
        time(exercise.minutes),
        count(u32::try_from(tests.len())?, "test"),
    );
    let _ = writeln!(text, "- **Write** {}", to_write(exercise, places)?);
    if let Some(given) = exercise.given() {
        let _ = writeln!(text, "- **Given** a simple version. {given}");
    }
    let _ = writeln!(text, "- **Needs** {}", needs(manifest, places, exercise)?);
    if let Some(next) = next(manifest, exercise) {
        let _ = writeln!(text, "- **Next** {}", link(next, &next.name(), places));
    }
    if let Some(table) = &places.table {
        let _ = writeln!(
            text,
            "- **Place** in the course: [all exercises]({}#exercises)",
            table.display()
        );
    }
    let _ = write!(
        text,
        "\n```console\n$ cargo course test {id}\n$ cargo course hint {id}\n```\n\n</section>\n"
    );
    Ok(text)
}

/// Returns the place of an exercise in its stage, from 1, and how many there are.
fn place(stage: &Stage, exercise: &Exercise) -> (usize, usize) {
    let mut all = stage.exercises.iter();
    let before = all.position(|one| one.id() == exercise.id());
    (before.map_or(0, |before| before + 1), stage.exercises.len())
}

/// Returns the exercise behind this one, in the next stage if need be.
fn next<'a>(manifest: &'a Manifest, exercise: &Exercise) -> Option<&'a Exercise> {
    let all = manifest.exercises().map(|(_, one)| one);
    all.skip_while(|one| one.id() != exercise.id()).nth(1)
}

/// Returns the table of all exercises as Markdown, one for each stage.
pub(crate) fn table(manifest: &Manifest, places: &Places) -> String {
    let mut text = "<div id=\"exercises\" class=\"exercises\">\n".to_owned();
    for stage in &manifest.stages {
        let points = stage.exercises.iter().map(|one| one.points).sum();
        let minutes = stage.exercises.iter().map(|one| one.minutes).sum();
        let _ = write!(
            text,
            "\n**Stage {}: {}** ({}, about {})\n\n| exercise | points | time | needs |\n|---|---:|---:|---|\n",
            stage.number(),
            stage.title,
            count(points, "point"),
            time(minutes),
        );
        for exercise in &stage.exercises {
            let needs: Vec<_> = exercise.needs().collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                link(exercise, &exercise.name(), places),
                exercise.points,
                short_time(exercise.minutes),
                needs.join(", "),
            );
        }
    }
    let all = manifest.exercises().map(|(_, exercise)| exercise);
    let (points, minutes) = all.fold((0, 0), |(points, minutes), one| {
        (points + one.points, minutes + one.minutes)
    });
    let _ = write!(
        text,
        "\nTogether: {}, about {}.\n\n</div>\n",
        count(points, "point"),
        time(minutes)
    );
    text
}

/// Returns the table of all bug hunts as Markdown.
pub(crate) fn hunts(manifest: &Manifest) -> String {
    let mut text =
        "| hunt | the report | stage | points | time |\n|---|---|---:|---:|---:|\n".to_owned();
    let (mut points, mut minutes) = (0, 0);
    for (stage, hunt) in manifest.hunts() {
        points += hunt.points;
        minutes += hunt.minutes;
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            hunt.name(),
            hunt.title,
            stage.number(),
            hunt.points,
            short_time(hunt.minutes)
        );
    }
    let (points, time) = (count(points, "point"), time(minutes));
    text + &format!("\nTogether: {points}, about {time}.\n")
}

/// Returns the table of a program's milestones as Markdown.
pub(crate) fn milestones(program: &Program) -> String {
    let mut text =
        "| milestone | points | what you can show then | read |\n|---|---:|---|---|\n".to_owned();
    for one in &program.milestones {
        let (name, points, sentence, chapter) =
            (&one.name, one.points, &one.sentence, &one.chapter);
        let page = chapter.trim_end_matches(".md");
        let _ = writeln!(
            text,
            "| `{name}` | {points} | {sentence} | [{page}]({chapter}) |"
        );
    }
    text
}

fn link(exercise: &Exercise, text: &str, places: &Places) -> String {
    format!("[{text}]({})", places.link(exercise))
}

/// Lists the functions to write, file by file; one that the book shows is a link to that place.
fn to_write(exercise: &Exercise, places: &Places) -> Result<String> {
    let mut text = String::new();
    let items = exercise.items()?;
    for group in items.chunk_by(|one, next| one.file == next.file) {
        let names: Vec<_> = group.iter().map(|path| name(path, places)).collect();
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(
            text,
            "{separator}{} in `{}`",
            names.join(", "),
            group[0].file.display()
        );
    }
    Ok(text)
}

fn name(path: &ItemPath, places: &Places) -> String {
    match places.item(path) {
        Some(chapter) => format!(
            "[`{}`]({}#{})",
            path.function(),
            chapter.display(),
            code::anchor(path)
        ),
        None => format!("`{}`", path.function()),
    }
}

fn needs(manifest: &Manifest, places: &Places, exercise: &Exercise) -> Result<String> {
    let links = exercise.needs().map(|need| {
        let (_, needed) = manifest.find_exactly(need)?;
        Ok(link(needed, need, places))
    });
    let links = links.collect::<Result<Vec<_>>>()?;
    Ok(if links.is_empty() {
        "nothing before it".to_owned()
    } else {
        links.join(", ")
    })
}

/// Formats a count: `1 point`, `2 points`.
pub(crate) fn count(number: u32, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Formats a duration in words: `1 hour 5 minutes`.
pub(crate) fn time(minutes: u32) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => count(minutes, "minute"),
        (hours, 0) => count(hours, "hour"),
        (hours, minutes) => format!("{} {}", count(hours, "hour"), count(minutes, "minute")),
    }
}

fn short_time(minutes: u32) -> String {
    format!("{}:{:02}", minutes / 60, minutes % 60)
}

/// Returns the exercises of a stage that a chapter holds, for the head of the chapter.
pub(crate) fn of_chapter<'a>(
    manifest: &'a Manifest,
    chapter: &Path,
) -> Vec<(&'a Stage, &'a Exercise)> {
    let is_here = |exercise: &Exercise| Path::new(exercise.chapter.as_ref()) == chapter;
    manifest
        .exercises()
        .filter(|(_, exercise)| is_here(exercise))
        .collect()
}
