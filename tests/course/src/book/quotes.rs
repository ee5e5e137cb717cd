//! Code that the book quotes must still stand in the file that it comes from.
//!
//! ````text
//! <!-- from stage1-server/src/line.rs -->
//! ```rust
//! pub fn reverse_line(line: &mut [u8]) {
//!     // ...
//! }
//! ```
//! ````
//!
//! The block must stand in that file word for word, at any indentation; a line with `...` and nothing
//! else, or a comment of it, leaves something out. An `include` is good for whole files only: line
//! numbers would show something else one day, and nobody would notice.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use regex::Regex;

/// Returns what is wrong with the quotations and the includes of a chapter's source.
///
/// # Errors
/// When the source cannot be read.
pub(crate) fn problems(source: &Path, root: &Path) -> Result<Vec<String>> {
    let markdown =
        fs::read_to_string(source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut problems = includes(&markdown)?;
    for quote in quotes(&markdown)? {
        match fs::read_to_string(root.join(quote.file)) {
            Err(error) => problems.push(format!("quotes {}: {error}", quote.file)),
            Ok(code) => {
                let gone = missing(quote.text, &code);
                problems.extend(gone.map(|line| format!("no longer in {}: {line}", quote.file)));
            }
        }
    }
    Ok(problems)
}

fn includes(markdown: &str) -> Result<Vec<String>> {
    let directive = Regex::new(r"\{\{#(?:rustdoc_)?include\s+([^\s}:]+):[^}]*\}\}")?;
    let found = directive.find_iter(markdown);
    Ok(found
        .map(|part| {
            format!(
                "quote a part of a file with \"<!-- from FILE -->\": {}",
                part.as_str()
            )
        })
        .collect())
}

struct Quote<'a> {
    file: &'a str,
    text: &'a str,
}

fn quotes(markdown: &str) -> Result<Vec<Quote<'_>>> {
    let block = Regex::new(r"(?m)^<!-- from (\S+) -->\n+```[^\n]*\n((?s:.*?))^```$")?;
    let mut quotes = Vec::new();
    for captures in block.captures_iter(markdown) {
        let (_, [file, text]) = captures.extract();
        quotes.push(Quote { file, text });
    }
    Ok(quotes)
}

/// Returns the first line of the quotation that the code does not have in its place.
fn missing<'a>(quote: &'a str, code: &str) -> Option<&'a str> {
    let code: Vec<&str> = code.lines().map(str::trim).collect();
    let mut rest = code.as_slice();
    for piece in quote.lines().collect::<Vec<_>>().split(|line| is_gap(line)) {
        let wanted: Vec<&str> = piece.iter().map(|line| line.trim()).collect();
        if wanted.is_empty() {
            continue;
        }
        match rest
            .windows(wanted.len())
            .position(|window| window == wanted)
        {
            Some(start) => rest = &rest[start + wanted.len()..],
            None => return Some(first_stranger(piece, &code)),
        }
    }
    None
}

/// Names the line to look at: one that is nowhere in the code, or else the first.
fn first_stranger<'a>(piece: &[&'a str], code: &[&str]) -> &'a str {
    let strange = piece.iter().find(|line| !code.contains(&line.trim()));
    strange
        .or(piece.first())
        .copied()
        .unwrap_or_default()
        .trim()
}

fn is_gap(line: &str) -> bool {
    line.trim().trim_start_matches("//").trim() == "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "impl A {\n    fn one() {\n        1;\n        2;\n        3;\n    }\n}\n";

    #[test]
    fn indentation_does_not_matter_and_words_do() {
        assert_eq!(missing("fn one() {\n    1;\n", CODE), None);
        assert_eq!(missing("fn one() {\n    // ...\n    3;\n}\n", CODE), None);
        assert_eq!(missing("fn one() {\n    1;\n    4;\n", CODE), Some("4;"));
        assert_eq!(missing("fn one() {\n    2;\n", CODE), Some("fn one() {"));
        assert_eq!(missing("3;\n...\n1;\n", CODE), Some("1;"));
    }

    #[test]
    fn quotations_are_found_with_their_file() {
        let markdown = "a\n\n<!-- from x/y.rs -->\n```rust\none\ntwo\n```\n\n```rust\nfree\n```\n";
        let quotes = quotes(markdown).unwrap();
        assert_eq!(quotes.len(), 1);
        assert_eq!((quotes[0].file, quotes[0].text), ("x/y.rs", "one\ntwo\n"));
    }

    #[test]
    fn a_file_is_included_whole_or_not_at_all() {
        let markdown =
            "{{#include ../../a.rs}} {{#include ../../a.rs:3:7}} {{#include a.rs:anchor}}";
        assert_eq!(includes(markdown).unwrap().len(), 2);
    }
}
