//! The text source of a figure: a head, and below it one command a line.
//!
//! ```text
//! Title: The caption below the picture.
//! Alt: What the picture shows, for screen readers.
//!   A line that begins with a space goes on with the line above it.
//!
//! drawing 600x200
//! box client 20,40 120x60 client : Client | `fd 7`
//! arrow client -> 300,70 : `write(2)`
//! ```
//!
//! A command is words, then `" : "`, then text; `|` begins a new line of the text.

use anyhow::{Context, Result, bail, ensure};

/// A figure as it is written down.
#[derive(Debug)]
pub(super) struct Source {
    /// The caption.
    pub(super) title: String,
    /// The whole content of the picture in words.
    pub(super) alt: String,
    /// The kind of picture and its size.
    pub(super) kind: Command,
    /// The commands, in order.
    pub(super) commands: Vec<Command>,
}

/// One command of a source.
#[derive(Clone, Debug, Default)]
pub(super) struct Command {
    /// The number of its line, for messages.
    pub(super) line: usize,
    /// The words before the colon.
    pub(super) words: Vec<String>,
    /// The text after the colon, line by line.
    pub(super) text: Vec<String>,
}

impl Source {
    /// Parses a source.
    ///
    /// # Errors
    ///
    /// Fails if the head is not complete or nothing is drawn.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut lines = logical_lines(text).into_iter();
        let title = head(lines.next(), "Title: ")?;
        let alt = head(lines.next(), "Alt: ")?;
        let mut commands = lines.map(|(line, text)| Command::parse(line, &text));
        let kind = commands.next().context("nothing is drawn")?;
        Ok(Self {
            title,
            alt,
            kind,
            commands: commands.collect(),
        })
    }
}

/// Joins each line with its continuation lines, and leaves out comments and empty lines.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let goes_on = line.starts_with(' ');
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, last)) if goes_on => *last = format!("{last} {line}"),
            Some(_) | None => lines.push((number, line.to_owned())),
        }
    }
    lines
}

fn head(line: Option<(usize, String)>, name: &str) -> Result<String> {
    let (_, line) = line.with_context(|| format!("\"{name}\" is missing"))?;
    match line.strip_prefix(name) {
        Some(text) => Ok(text.trim().to_owned()),
        None => bail!("\"{name}\" was expected, found: {line}"),
    }
}

impl Command {
    fn parse(line: usize, text: &str) -> Self {
        let (words, text) = text.split_once(" : ").unwrap_or((text, ""));
        let text = text.split('|').map(|part| part.trim().to_owned());
        Self {
            line,
            words: words.split_whitespace().map(str::to_owned).collect(),
            text: text.filter(|part| !part.is_empty()).collect(),
        }
    }

    /// Returns the word at `index`.
    ///
    /// # Errors
    ///
    /// Fails if the command has fewer words.
    pub(super) fn word(&self, index: usize) -> Result<&str> {
        let word = self.words.get(index).map(String::as_str);
        word.with_context(|| format!("\"{}\" is too short", self.words.join(" ")))
    }

    /// Returns the words from `index` on, each of which must be in `known`.
    ///
    /// # Errors
    ///
    /// Fails if one is not.
    pub(super) fn style(&self, index: usize, known: &[&str]) -> Result<Style> {
        let words = self.words.get(index..).unwrap_or_default().to_vec();
        for word in &words {
            let fits = known.contains(&word.as_str()) || COLOURS.contains(&word.as_str());
            ensure!(fits, "\"{word}\" is not known here");
        }
        Ok(Style { words })
    }
}

/// The colours, by meaning: the two sides, the course's own program, waiting data, failures.
pub(super) const COLOURS: [&str; 6] = ["client", "upstream", "ours", "queue", "error", "dim"];

/// The words that say how something looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    words: Vec<String>,
}

impl Style {
    /// Returns whether the style has this word.
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    /// Returns the colour, or nothing for the colour of the text.
    pub(super) fn colour(&self) -> &str {
        let colour = self
            .words
            .iter()
            .find(|word| COLOURS.contains(&word.as_str()));
        colour.map_or("", String::as_str)
    }
}

/// Reads two numbers with a separator between them, such as `20,40` and `120x60`.
///
/// # Errors
///
/// Fails if they are something else.
pub(super) fn pair(word: &str, separator: char) -> Result<(f64, f64)> {
    let (first, second) = word
        .split_once(separator)
        .with_context(|| format!("\"{word}\" is not of the form 1{separator}2"))?;
    Ok((number(first)?, number(second)?))
}

/// Reads a number.
///
/// # Errors
///
/// Fails if it is none.
pub(super) fn number(word: &str) -> Result<f64> {
    word.parse()
        .with_context(|| format!("\"{word}\" is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Title: One\nAlt: Two\n  three.\n\n";

    #[test]
    fn head_and_commands_are_told_apart() {
        let text = format!("{HEAD}drawing 1x2\n# why\nbox a 1,2 : x | `y : z`\n  | w\n");
        let source = Source::parse(&text).unwrap();
        assert_eq!((&*source.title, &*source.alt), ("One", "Two three."));
        assert_eq!(source.kind.words, ["drawing", "1x2"]);
        assert_eq!(source.commands[0].words, ["box", "a", "1,2"]);
        assert_eq!(source.commands[0].text, ["x", "`y : z`", "w"]);
        assert_eq!(source.commands[0].line, 7);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, message) in [
            ("Title: One\n", "\"Alt: \" is missing"),
            ("Alt: Two\n", "\"Title: \" was expected, found: Alt: Two"),
            (HEAD, "nothing is drawn"),
        ] {
            assert_eq!(Source::parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn an_unknown_style_is_an_error() {
        let command = Command::parse(1, "box a client dashd");
        assert!(command.style(2, &["dashed"]).is_err());
        assert!(command.style(2, &["dashd"]).unwrap().has("dashd"));
    }
}
