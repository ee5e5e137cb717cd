//! The record of a shard: the class and the course that its results are for, so that `--merge` knows what belongs together.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::grade::class::files;
use crate::grade::grader::Kind;
use crate::shard::Shard;

/// Its file, in the folder of the shard's results.
pub(super) const FILE: &str = "shard.json";

/// One shard of a class.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Record {
    pub(super) shard: Shard,
    /// The fingerprint of the course.
    pub(super) course: u64,
    /// What the submissions are.
    #[serde(default)]
    pub(super) kind: Kind,
    /// All submissions in the order of their names, also those of the other shards.
    pub(super) class: Vec<Entry>,
}

/// A submission of the class.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The fingerprint of its code.
    pub(super) code: u64,
}

impl Record {
    /// Writes the record into the folder of the results.
    ///
    /// # Errors
    ///
    /// Fails if that is not possible.
    pub(super) fn write(&self, out: &Path) -> Result<()> {
        files::make_folder(out)?;
        let text = serde_json::to_string_pretty(self)? + "\n";
        files::replace(&out.join(FILE), &text)
    }

    /// Reads the record of a folder.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or it is damaged.
    pub(super) fn read(out: &Path) -> Result<Self> {
        let path = out.join(FILE);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Iterates over the submissions of this shard.
    pub(super) fn mine(&self) -> impl Iterator<Item = &Entry> {
        self.shard.of(&self.class)
    }

    /// Describes how the class differs from that of another record, if it does.
    pub(super) fn differs(&self, other: &Self) -> Option<String> {
        let lacks = |of: &Self, entry: &&Entry| of.class.iter().all(|it| it.name != entry.name);
        let new = self.class.iter().find(|entry| lacks(other, entry));
        let gone = other.class.iter().find(|entry| lacks(self, entry));
        if let Some(entry) = new.or(gone) {
            return Some(format!("only one of them has {}", entry.name));
        }
        let mut pairs = self.class.iter().zip(&other.class);
        let (changed, _) = pairs.find(|(one, other)| one != other)?;
        Some(format!("the code of {} is not the same", changed.name))
    }
}
