//! The record of a starter: its origin, and its first open stage.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The origin of a starter.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// The folder of the course that it was made from, if that is on this machine: a parcel says nothing of the machine
    /// where it was made.
    #[serde(default)]
    pub(crate) reference: Option<String>,
    /// The first stage whose exercises are open.
    pub(crate) from: String,
    /// Where the course's repository is, for other machines.
    #[serde(default)]
    pub(crate) repository: Option<String>,
    /// The commit that the starter was made from.
    #[serde(default)]
    pub(crate) commit: Option<String>,
    /// The edition of the course, which a file of solutions names as well.
    #[serde(default)]
    pub(crate) edition: Option<String>,
}

impl Record {
    /// The file that makes a workspace a starter.
    pub(crate) const FILE: &'static str = "starter.toml";

    /// Describes a starter made from the course at `reference`.
    pub(crate) fn new(reference: &Path, from: &str, edition: String) -> Self {
        let origin = git(reference, &["remote", "get-url", "origin"]);
        Self {
            reference: Some(reference.display().to_string()),
            from: from.to_owned(),
            repository: origin.as_deref().and_then(public_address),
            commit: git(reference, &["rev-parse", "HEAD"]),
            edition: Some(edition),
        }
    }

    /// Reads the record of a workspace; `None` where the workspace is no starter.
    ///
    /// # Errors
    ///
    /// Fails if there is a record that cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Option<Self>> {
        let path = root.join(Self::FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", Self::FILE))?;
        let record = toml::from_str(&text).with_context(|| format!("{} is damaged", Self::FILE))?;
        Ok(Some(record))
    }

    /// Writes the record into a starter.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        fs::write(dir.join(Self::FILE), self.text())
            .with_context(|| format!("cannot write {}", Self::FILE))
    }

    /// Returns the text of the file.
    pub(crate) fn text(&self) -> String {
        let text = "# Where this workspace comes from. `cargo course` needs it.\n".to_owned();
        let lines = [
            ("reference", self.reference.as_ref()),
            ("from", Some(&self.from)),
            ("repository", self.repository.as_ref()),
            ("commit", self.commit.as_ref()),
            ("edition", self.edition.as_ref()),
        ];
        let lines = lines
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name} = {:?}\n", value?)));
        text + &lines.collect::<String>()
    }
}

/// Asks git about the course; `None` if the course is not a repository.
fn git(course: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(course)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Returns an address that may be published: on the network, and without a password.
fn public_address(origin: &str) -> Option<String> {
    let Some((scheme, rest)) = origin.split_once("://") else {
        // git@host:path is an address on the network, /path is not.
        return origin.contains('@').then(|| origin.to_owned());
    };
    let (host, path) = rest.split_once('/')?;
    let host = host.rsplit('@').next()?;
    (scheme != "file").then(|| format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_password() {
        let told = [
            (
                "https://ann:secret@host/a/b.git",
                Some("https://host/a/b.git"),
            ),
            ("git@host:a/b.git", Some("git@host:a/b.git")),
            ("/home/ann/course", None),
            ("file:///home/ann/course", None),
        ];
        for (origin, address) in told {
            assert_eq!(public_address(origin).as_deref(), address, "{origin}");
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), None);
        let mut record = Record::new(
            Path::new("/some/\"odd\" place"),
            "stage2",
            "12ab".to_owned(),
        );
        assert_eq!(record.commit, None);
        record.commit = Some("0123".to_owned());
        record.write(folder.path()).unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), Some(record));
        fs::write(folder.path().join(Record::FILE), "x = 1").unwrap();
        assert!(Record::read(folder.path()).is_err());
    }
}
