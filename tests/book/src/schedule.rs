//! The schedules of the instructor guide, held against `course.toml`: an exercise comes after those that it needs.
//!
//! ```text
//! | week | 13 weeks                      | 8 weeks                        |
//! |-----:|-------------------------------|--------------------------------|
//! | 1    | tools; 1.1 to 1.3 (2 h)       | stage 1; 2.1 (4 h)             |
//! ```
//!
//! A cell names exercises (`1.1`, `1.1 to 1.3`) or whole stages (`stage 1`, `stages 1 and 2`), and their hours; other words
//! are for people. The sheet of a week has its exercises in its heading.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use regex::Regex;

use crate::numbers::hours;
use course::manifest::{Exercise, Manifest};

/// The page with the schedules, and the one with a sheet for each week of the first of them.
const GUIDE: &str = "book/src/instructors.md";
const SHEETS: &str = "book/src/instructors-weeks.md";

/// Describes everything in the schedules that does not fit the manifest.
///
/// # Errors
///
/// Fails if a page cannot be read, or has no schedule.
pub(crate) fn problems(root: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let read = |page| fs::read_to_string(root.join(page)).with_context(|| format!("no {page}"));
    let reader = Reader::new(manifest)?;
    let (guide, sheets) = (read(GUIDE)?, read(SHEETS)?);
    let schedules = schedules(&guide);
    ensure!(!schedules.is_empty(), "{GUIDE} has no schedule");
    let mut problems = Vec::new();
    for schedule in &schedules {
        problems.extend(reader.judge(schedule));
    }
    problems.extend(reader.left_out(&guide));
    problems.extend(reader.sheets(&sheets, &schedules[0]));
    Ok(problems)
}

/// A column of the table.
struct Schedule<'a> {
    /// Its heading.
    name: &'a str,
    /// Its cells, the first week first.
    weeks: Vec<&'a str>,
}

/// Knows the exercises, by their places in the manifest, and how a schedule names them.
struct Reader<'a> {
    exercises: Vec<&'a Exercise>,
    /// The places of the exercises of each stage.
    stages: Vec<RangeInclusive<usize>>,
    ids: Regex,
    whole: Regex,
    hours: Regex,
}

impl<'a> Reader<'a> {
    fn new(manifest: &'a Manifest) -> Result<Self> {
        let mut next = 0;
        let mut range = |count: usize| {
            next += count;
            next - count..=next - 1
        };
        let stages = manifest.stages.iter();
        Ok(Self {
            exercises: manifest.exercises().map(|(_, exercise)| exercise).collect(),
            stages: stages.map(|one| range(one.exercises.len())).collect(),
            ids: Regex::new(r"(\d+\.\d+[a-z]?)(?: to (\d+\.\d+[a-z]?))?")?,
            whole: Regex::new(r"\bstages? (\d+)(?: and (\d+))?")?,
            hours: Regex::new(r"\(([\d½]+) h\)")?,
        })
    }

    /// Returns the places of the exercises that a text names, in its order; those that do not exist are problems.
    fn places(&self, text: &str) -> Result<Vec<usize>, String> {
        let mut places = Vec::new();
        for part in text.split(';') {
            let found: Vec<_> = self.ids.captures_iter(part).collect();
            for one in &found {
                let first = self.place(&one[1])?;
                let last = one.get(2).map_or(Ok(first), |id| self.place(id.as_str()))?;
                places.extend(first..=last);
            }
            if !found.is_empty() {
                continue;
            }
            let numbers = self.whole.captures_iter(part);
            for number in numbers.flat_map(|one| [one.get(1), one.get(2)]).flatten() {
                let number: usize = number.as_str().parse().unwrap_or_default();
                let stage = self.stages.get(number.wrapping_sub(1));
                let stage = stage.ok_or_else(|| format!("there is no stage {number}"))?;
                places.extend(stage.clone());
            }
        }
        Ok(places)
    }

    fn place(&self, id: &str) -> Result<usize, String> {
        let place = self.exercises.iter().position(|one| one.id() == id);
        place.ok_or_else(|| format!("there is no exercise {id}"))
    }

    /// Describes exercises that are missing, come twice or too early, and hours that are not the sum.
    fn judge(&self, schedule: &Schedule<'_>) -> Vec<String> {
        let (mut problems, mut done) = (Vec::new(), Vec::new());
        for (week, cell) in (1..).zip(&schedule.weeks) {
            let place = format!("{GUIDE}, {}, week {week}", schedule.name);
            match self.places(cell) {
                Ok(places) => {
                    problems.extend(
                        self.hours_of(cell, &places)
                            .map(|it| format!("{place}: {it}")),
                    );
                    for one in places {
                        problems.extend(
                            self.too_early(one, &done)
                                .map(|it| format!("{place}: {it}")),
                        );
                        done.push(one);
                    }
                }
                Err(problem) => problems.push(format!("{place}: {problem}")),
            }
        }
        for (place, exercise) in self.exercises.iter().enumerate() {
            if !done.contains(&place) {
                let (name, id) = (schedule.name, exercise.id());
                problems.push(format!("{GUIDE}, {name}: no week has exercise {id}"));
            }
        }
        problems
    }

    /// Describes why an exercise cannot come now, after those that are done.
    fn too_early(&self, place: usize, done: &[usize]) -> Option<String> {
        let exercise = self.exercises[place];
        let id = exercise.id();
        if done.contains(&place) {
            return Some(format!("{id} comes a second time"));
        }
        let is_done = |need: &str| done.iter().any(|one| self.exercises[*one].id() == need);
        let open = exercise.needs().find(|need| !is_done(need))?;
        Some(format!("{id} comes before {open}, which it needs"))
    }

    fn hours_of(&self, cell: &str, places: &[usize]) -> Option<String> {
        let minutes = places.iter().map(|one| self.exercises[*one].minutes).sum();
        let told = self.hours.captures(cell).map(|found| found[1].to_owned());
        let (told, sum) = (told.unwrap_or_default(), hours(minutes));
        let is_empty = places.is_empty() && told.is_empty();
        (told != sum && !is_empty).then(|| format!("its exercises take ({sum} h)"))
    }

    /// Describes exercises that may not be left out, because one that stays needs them.
    fn left_out(&self, guide: &str) -> Vec<String> {
        let text = guide.split_once("leave out ");
        let Some((list, _)) = text.and_then(|(_, rest)| rest.split_once(':')) else {
            return vec![format!("{GUIDE}: no sentence says what to leave out")];
        };
        let out = match self.places(list) {
            Ok(places) => places,
            Err(problem) => return vec![format!("{GUIDE}: {problem}")],
        };
        let stays = |place: &usize| !out.contains(place);
        let mut problems = Vec::new();
        for place in (0..self.exercises.len()).filter(stays) {
            let exercise = self.exercises[place];
            for one in &out {
                let id = self.exercises[*one].id();
                if exercise.needs().any(|need| need == id) {
                    let needs = format!("{} needs {id}, which is left out", exercise.id());
                    problems.push(format!("{GUIDE}: {needs}"));
                }
            }
        }
        problems
    }

    /// Describes weeks whose sheet has other exercises in its heading than the schedule, or is missing.
    fn sheets(&self, page: &str, schedule: &Schedule<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        for (week, cell) in (1..).zip(&schedule.weeks) {
            let start = format!("## Week {week}: ");
            let heading = page.lines().find_map(|line| line.strip_prefix(&start));
            let places = heading.map(|text| self.places(text));
            if places != Some(self.places(cell)) {
                problems.push(format!(
                    "{SHEETS}: it needs a heading \"{start}\" with the exercises of the schedule: {cell}"
                ));
            }
        }
        problems
    }
}

/// Returns the columns of the first table whose first heading is "week".
fn schedules(page: &str) -> Vec<Schedule<'_>> {
    let mut rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| week |"));
    let names = rows.next().map(cells).unwrap_or_default();
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = rows.map(cells).collect();
    let cells_of = |place: usize| rows.iter().filter_map(move |row| row.get(place).copied());
    let names = names.into_iter().enumerate().skip(1);
    names
        .map(|(place, name)| Schedule {
            name,
            weeks: cells_of(place).collect(),
        })
        .collect()
}

/// Returns the cells of a row of a table.
fn cells(row: &str) -> Vec<&str> {
    let inside = row.trim().trim_matches('|');
    inside.split('|').map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest::load(&course::workspace::root().unwrap()).unwrap()
    }

    fn judged(cells: &[&str]) -> Vec<String> {
        let manifest = manifest();
        let reader = Reader::new(&manifest).unwrap();
        let weeks = cells.to_vec();
        let problems = reader.judge(&Schedule { name: "x", weeks });
        let is_about = |it: &String| !it.contains("no week has");
        problems.into_iter().filter(is_about).collect()
    }

    #[test]
    fn the_schedules_of_the_guide_fit() {
        let found = problems(&course::workspace::root().unwrap(), &manifest()).unwrap();
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn an_exercise_before_one_that_it_needs_is_found() {
        let right = judged(&["tools; stage 1 (3 h)", "stage 2: 2.1, 2.2 (1 h)"]);
        assert_eq!(right, Vec::<String>::new());
        let found = judged(&["1.1, 1.2 (1 h)", "1.4 (1 h)"]);
        assert!(
            found[0].contains("week 2: 1.4 comes before 1.3"),
            "{found:?}"
        );
        let found = judged(&["1.1, 1.1 (1 h)", "9.9", "stage 9"]);
        assert!(found[0].contains("1.1 comes a second time"), "{found:?}");
        assert!(found[1].contains("no exercise 9.9"), "{found:?}");
        assert!(found[2].contains("no stage 9"), "{found:?}");
        let found = judged(&["1.1, 1.2 (7 h)"]);
        assert!(found[0].contains("take (1 h)"), "{found:?}");
    }

    #[test]
    fn what_others_need_is_not_left_out() {
        let manifest = manifest();
        let reader = Reader::new(&manifest).unwrap();
        assert!(reader.left_out("leave out 5.11: x").is_empty());
        let found = reader.left_out("leave out 4.9: x");
        assert!(found[0].contains("4.10 needs 4.9"), "{found:?}");
        assert_eq!(reader.left_out("").len(), 1);
    }
}
