//! `cargo course grade --merge DIR`: the results of all shards become those of the class.
//!
//! ```text
//!   DIR/1-of-2/shard.json, anna/ ... ─┐  does it fit    ┌─▶ OUT/anna/results.json, report.md, report.txt
//!   DIR/2-of-2/shard.json, ben/ ...  ─┴─▶ together? ────┴─▶ OUT/class.csv, items.csv, times.csv
//! ```
//!
//! Nothing is written unless every submission of the class has exactly one result, for the same code and the same course.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::grade::class::record::{self, Record};
use crate::grade::class::row::Row;
use crate::grade::class::{csv, files, items, print};
use course::listing;
use course::manifest::Manifest;
use course::workspace;

/// The results of one shard.
#[derive(Debug)]
struct Part {
    folder: PathBuf,
    record: Record,
}

/// Merges the shards in a folder, prints the overview and returns the rows of the class.
///
/// # Errors
///
/// Fails if a shard is missing, incomplete, there twice, or of another class or course, or a file cannot be written.
pub(crate) fn run(shards: &Path, out: &Path) -> Result<()> {
    let root = workspace::root()?;
    ensure!(
        !out.join(record::FILE).exists(),
        "{} is the folder of a shard: choose another one with --out",
        out.display()
    );
    let parts = find(shards)?;
    let kind = parts.first().map(|part| part.record.kind.clone());
    let course = print::course(&root, &Manifest::load(&root)?, &kind.unwrap_or_default())?;
    fit(&parts, course)?;
    let mut rows = Vec::new();
    for part in &parts {
        rows.extend(part.rows()?);
    }
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    for part in &parts {
        for entry in part.record.mine() {
            files::copy(&part.folder, out, &entry.name)?;
        }
    }
    items::write(out, &rows)?;
    csv::write(out, &rows)?;
    print!("{}", csv::overview(&rows));
    println!(
        "\n{} submissions of {} shards; results: {}",
        rows.len(),
        parts.len(),
        out.display()
    );
    Ok(())
}

/// Finds the shards: the folders with a record.
fn find(shards: &Path) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for folder in listing::entries(shards)? {
        if folder.join(record::FILE).is_file() {
            let record = Record::read(&folder)?;
            parts.push(Part { folder, record });
        }
    }
    ensure!(
        !parts.is_empty(),
        "{} has no shards: each is a folder that `grade --all CLASS --shard K/N` has written",
        shards.display()
    );
    parts.sort_by_key(|part| part.record.shard.part());
    Ok(parts)
}

/// Checks that the shards are those of one class, each of them once, graded with this course.
fn fit(parts: &[Part], course: u64) -> Result<()> {
    let Some(first) = parts.first() else {
        return Ok(());
    };
    let number = first.record.shard.parts();
    for part in parts {
        let (name, shard) = (part.name(), part.record.shard);
        ensure!(
            shard.parts() == number,
            "{name} is one of {} shards and {} one of {number}: remove the folders that are not of this division",
            shard.parts(),
            first.name(),
        );
        ensure!(
            part.record.course == course,
            "{name} was graded with another version of the course than this one: give its command again"
        );
        if let Some(why) = part.record.differs(&first.record) {
            bail!(
                "{name} is of another class than {}: {why}. Grade both with the same submissions.",
                first.name()
            );
        }
    }
    each_once(parts, number)
}

/// Checks that each of `number` shards is there once.
fn each_once(parts: &[Part], number: usize) -> Result<()> {
    for pair in parts.windows(2) {
        if let [one, other] = pair
            && one.record.shard == other.record.shard
        {
            let (shard, one, other) = (one.record.shard, one.name(), other.name());
            bail!("{one} and {other} are both shard {shard}: remove one of them");
        }
    }
    let has = |part: usize| parts.iter().any(|one| one.record.shard.part() == part);
    let missing: Vec<_> = (1..=number)
        .filter(|part| !has(*part))
        .map(|part| format!("{part}/{number}"))
        .collect();
    ensure!(missing.is_empty(), "missing: shard {}", missing.join(", "));
    Ok(())
}

impl Part {
    fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Reads the results of the shard's submissions.
    fn rows(&self) -> Result<Vec<Row>> {
        let (mut rows, mut open) = (Vec::new(), Vec::new());
        for entry in self.record.mine() {
            let row = files::read(&self.folder, &entry.name).ok();
            match row.filter(|row| row.is_for(entry.code, self.record.course)) {
                Some(row) => rows.push(row),
                None => open.push(entry.name.as_str()),
            }
        }
        ensure!(
            open.is_empty(),
            "{} is incomplete, because no result is there for {}: give the command of shard {} again",
            self.name(),
            open.join(", "),
            self.record.shard
        );
        Ok(rows)
    }
}
