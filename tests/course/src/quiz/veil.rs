//! The questions in a workspace: one file that no glance can read, `tests/quiz/questions.hex`.
//!
//! It is no secret: this program reads it, so a student could, too. It only keeps an answer from being seen by accident, in
//! a search over the workspace for example. The names of wrong solutions are left out.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{FOLDER, Question};

/// The file's name in the folder of the questions.
const FILE: &str = "questions.hex";
/// Bytes in a line.
const WIDTH: usize = 64;
/// The bytes are shifted by the digits of this key, again and again.
const KEY: &[u8] = b"ask first, look later";

/// Writes the file into a workspace; none if there are no questions.
///
/// # Errors
///
/// Fails if it cannot be written.
pub fn write(dir: &Path, questions: &[Question]) -> Result<()> {
    if questions.is_empty() {
        return Ok(());
    }
    let hidden = questions
        .iter()
        .cloned()
        .map(|one| Question { bug: None, ..one });
    let folder = dir.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let text = veil(&serde_json::to_vec(&hidden.collect::<Vec<_>>())?);
    fs::write(folder.join(FILE), text).context("cannot write the questions")
}

/// Reads the file of a workspace; `None` where there is none.
///
/// # Errors
///
/// Fails if it is damaged.
pub(super) fn read(root: &Path) -> Result<Option<Vec<Question>>> {
    let file = root.join(FOLDER).join(FILE);
    if !file.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&file).context("cannot read the questions")?;
    let questions = unveil(&text).and_then(|json| Ok(serde_json::from_slice(&json)?));
    questions.map(Some).with_context(|| {
        format!(
            "{} is damaged: `cargo course update` brings it back",
            file.display()
        )
    })
}

fn veil(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in shifted(bytes).chunks(WIDTH) {
        for byte in line {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    text
}

fn unveil(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<_> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    ensure!(digits.len().is_multiple_of(2), "half a byte is missing");
    let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    let bytes: Result<Vec<u8>> = digits.chunks(2).map(byte).collect();
    Ok(shifted(&bytes?))
}

/// Combines bytes with the key; twice gives them back.
fn shifted(bytes: &[u8]) -> Vec<u8> {
    let pairs = bytes.iter().zip(KEY.iter().cycle());
    pairs.map(|(byte, key)| byte ^ key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::workspace;

    #[test]
    fn a_workspace_has_the_questions_and_shows_no_answer() {
        let root = workspace::root().unwrap();
        let questions = super::super::all(&root, &Manifest::load(&root).unwrap()).unwrap();
        if questions.is_empty() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &questions).unwrap();
        let read = read(folder.path()).unwrap().unwrap();
        assert_eq!(read.len(), questions.len());
        for (one, other) in read.iter().zip(&questions) {
            assert_eq!((&one.right, &one.test), (&other.right, &other.test));
            assert_eq!(one.bug, None);
        }
        let text = fs::read_to_string(folder.path().join(FOLDER).join(FILE)).unwrap();
        assert!(
            text.bytes()
                .all(|byte| byte == b'\n' || byte.is_ascii_hexdigit())
        );
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(FOLDER)).unwrap();
        for text in ["0", "zz", "00ff"] {
            fs::write(folder.path().join(FOLDER).join(FILE), text).unwrap();
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("is damaged"), "{error}");
        }
    }
}
