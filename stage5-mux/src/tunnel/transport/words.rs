//! A command line, split into words as a shell splits it, without a shell.
//!
//! | written | means |
//! |---|---|
//! | blanks | the end of a word |
//! | `'...'` | these characters as they are |
//! | `"..."` | the same, but `\"` and `\\` are a quote and a backslash |
//! | `\c` | the character `c` as it is |
//!
//! Nothing else has a meaning: no variables, patterns, pipes or redirections. A command that needs them names its shell:
//! `exec:sh -c 'a | b'`.

use std::fmt;
use std::iter::Peekable;
use std::str::{Chars, FromStr};

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The program, by its path or to be found in `PATH`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut letters = text.chars().peekable();
        let mut words = Vec::new();
        while let Some(word) = next_word(&mut letters)? {
            words.push(word);
        }
        let mut words = words.into_iter();
        match words.next() {
            Some(program) if !program.is_empty() => Ok(Self {
                program,
                arguments: words.collect(),
            }),
            Some(_) | None => {
                Err("there is no command: write exec:PROGRAM ARGUMENT ...".to_owned())
            }
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.program)?;
        for argument in &self.arguments {
            write!(formatter, " {argument}")?;
        }
        Ok(())
    }
}

fn next_word(letters: &mut Peekable<Chars<'_>>) -> Result<Option<String>, String> {
    while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
    if letters.peek().is_none() {
        return Ok(None);
    }
    let mut word = String::new();
    while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace()) {
        match letter {
            '\'' | '"' => quoted(letter, letters, &mut word)?,
            '\\' => word.push(escaped(letters)?),
            letter => word.push(letter),
        }
    }
    Ok(Some(word))
}

/// Takes the characters up to the quote that ends them.
fn quoted(quote: char, letters: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<(), String> {
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quote == '"' && matches!(letters.peek(), Some('"' | '\\')) => {
                word.push(escaped(letters)?);
            }
            letter if letter == quote => return Ok(()),
            letter => word.push(letter),
        }
    }
    Err(format!("the quote {quote} is not closed"))
}

fn escaped(letters: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let nothing = || "there is nothing behind the last backslash".to_owned();
    letters.next().ok_or_else(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let Words { program, arguments } = text.parse().unwrap();
        [vec![program], arguments].concat()
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        let table: [(&str, &[&str]); 8] = [
            ("ssh host true", &["ssh", "host", "true"]),
            ("  ssh\t host  ", &["ssh", "host"]),
            ("sh -c 'a | b'", &["sh", "-c", "a | b"]),
            (r#"a "b c" d"#, &["a", "b c", "d"]),
            (r#"a "\"b\\" \'"#, &["a", r#""b\"#, "'"]),
            (r#"a 'b\' "\n""#, &["a", r"b\", r"\n"]),
            ("a '' b", &["a", "", "b"]),
            (r"a\ b c'd'e", &["a b", "cde"]),
        ];
        for (text, expected) in table {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_no_command_says_why() {
        for (text, why) in [
            ("", "no command"),
            ("  ", "no command"),
            ("'' a", "no command"),
            ("a 'b", "quote '"),
            ("a \"b", "quote \""),
            ("a \\", "backslash"),
        ] {
            let error = text.parse::<Words>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
