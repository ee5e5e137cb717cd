//! The record in a starter: what it was made from, and where its first open stage is.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file that makes a workspace a starter.
const FILE: &str = "starter.toml";

/// What a starter knows about its origin.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// The folder of the course that it was made from, on the machine where it was made.
    pub(crate) reference: String,
    /// The first stage whose exercises are open.
    pub(crate) from: String,
}

impl Record {
    /// Describes a starter made from the course at `reference`.
    pub(crate) fn new(reference: &Path, from: &str) -> Self {
        Self {
            reference: reference.display().to_string(),
            from: from.to_owned(),
        }
    }

    /// Reads the record of a workspace; `None` where the workspace is no starter.
    ///
    /// # Errors
    /// When there is a record that cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Option<Self>> {
        let path = root.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
        let record = toml::from_str(&text).with_context(|| format!("{FILE} is damaged"))?;
        Ok(Some(record))
    }

    /// Writes the record into a starter.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let text = format!(
            "# Where this workspace comes from. `cargo course` needs it.\nreference = {:?}\nfrom = {:?}\n",
            self.reference, self.from
        );
        fs::write(dir.join(FILE), text).with_context(|| format!("cannot write {FILE}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), None);
        let record = Record::new(Path::new("/some/\"odd\" place"), "stage2");
        record.write(folder.path()).unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), Some(record));
        fs::write(folder.path().join(FILE), "x = 1").unwrap();
        assert!(Record::read(folder.path()).is_err());
    }
}
