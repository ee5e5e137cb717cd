//! The corpus of a target: one file of text, an input in each line, in hexadecimal digits.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{fs, io};

use crate::Target;

/// Returns the file with the corpus of a target.
#[must_use]
pub fn path(target: &Target) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    folder.join(format!("{}.txt", target.name))
}

/// Reads the inputs of a target; a line that begins with `#` is none.
///
/// # Errors
///
/// Fails if the file cannot be read, or if a line is not hexadecimal.
pub fn read(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let text = fs::read_to_string(path(target))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            decode(line).ok_or_else(|| io::Error::other(format!("not hexadecimal: {line}")))
        })
        .collect()
}

/// Writes the inputs of a target, the shortest first.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub fn write(target: &Target, mut inputs: Vec<Vec<u8>>) -> io::Result<()> {
    inputs.sort_by(|one, other| one.len().cmp(&other.len()).then(one.cmp(other)));
    inputs.dedup();
    let lines = inputs.iter().map(|input| encode(input) + "\n");
    fs::write(path(target), lines.collect::<String>())
}

/// Writes an input as a line of the file.
#[must_use]
pub fn encode(input: &[u8]) -> String {
    input.iter().fold(String::new(), |mut line, byte| {
        let _ = write!(line, "{byte:02x}");
        line
    })
}

fn decode(line: &str) -> Option<Vec<u8>> {
    if !line.is_ascii() || !line.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..line.len()).step_by(2);
    pairs
        .map(|start| u8::from_str_radix(&line[start..start + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_a_line() {
        assert_eq!(encode(&[0, 255, 16]), "00ff10");
        assert_eq!(decode("00ff10"), Some(vec![0, 255, 16]));
        assert_eq!(decode(""), Some(vec![]));
        assert_eq!(decode("00f"), None);
        assert_eq!(decode("zz"), None);
    }
}
