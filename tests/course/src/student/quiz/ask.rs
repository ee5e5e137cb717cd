//! One question at a terminal: shown, answered, explained.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::Result;

use super::answers::letter;
use crate::student::page;
use course::manifest::Manifest;
use course::quiz::Question;

/// The characters of a line.
const WIDTH: usize = 92;

/// The course that the questions are about.
pub(super) struct Desk<'a> {
    pub(super) root: &'a Path,
    pub(super) manifest: &'a Manifest,
}

/// What came back from the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The choice at this place.
    Chosen(usize),
    /// An empty line.
    Skipped,
    /// `q`, or the end of the input.
    Stopped,
}

impl Desk<'_> {
    /// Shows a question with its choices.
    pub(super) fn show(
        &self,
        output: &mut impl Write,
        question: &Question,
        (number, count): (usize, usize),
    ) -> Result<()> {
        let (_, exercise) = self.manifest.find_exactly(&question.exercise)?;
        writeln!(
            output,
            "\n{number} of {count}, exercise {}\n",
            exercise.name()
        )?;
        write!(output, "{}", wrapped(&question.situation, "  ", "  "))?;
        writeln!(output, "\n  {}", question.ask)?;
        for (place, choice) in question.choices().iter().enumerate() {
            let head = format!("    {}  ", letter(place));
            write!(output, "{}", wrapped(choice.text, &head, "       "))?;
        }
        Ok(())
    }

    /// Tells whether a choice is right, why, and where to read on.
    pub(super) fn tell(
        &self,
        output: &mut impl Write,
        question: &Question,
        choice: usize,
    ) -> Result<()> {
        let choices = question.choices();
        writeln!(output)?;
        if let Some(chosen) = choices.get(choice).filter(|it| !it.is_right) {
            write!(
                output,
                "{}",
                wrapped(&format!("No. {}", chosen.why), "  ", "  ")
            )?;
            writeln!(output)?;
        }
        self.explain(output, question)
    }

    /// Names the right choice, why it is right, how that is known, and where to read on.
    pub(super) fn explain(&self, output: &mut impl Write, question: &Question) -> Result<()> {
        let (_, exercise) = self.manifest.find_exactly(&question.exercise)?;
        let place = question.choices().iter().position(|it| it.is_right);
        let letter = letter(place.unwrap_or_default());
        let text = format!("{letter} is right. {}", question.why);
        write!(output, "{}", wrapped(&text, "  ", "  "))?;
        write!(output, "{}", wrapped(&question.source(), "  ", "  "))?;
        writeln!(output, "  To read: {}", page::to_read(self.root, exercise))?;
        Ok(())
    }
}

/// Asks for a letter until one of the choices, an empty line, `q` or the end of the input comes.
pub(super) fn answer(
    input: &mut impl BufRead,
    output: &mut impl Write,
    question: &Question,
) -> Result<Asked> {
    let count = question.choices().len();
    loop {
        write!(
            output,
            "\n  a to {}, Enter for later, q to stop: ",
            letter(count - 1)
        )?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(Asked::Stopped);
        }
        match line.trim().to_lowercase().as_str() {
            "" => return Ok(Asked::Skipped),
            "q" => return Ok(Asked::Stopped),
            word => {
                let mut letters = (0..count).map(|at| letter(at).to_string());
                if let Some(choice) = letters.position(|it| it == word) {
                    return Ok(Asked::Chosen(choice));
                }
            }
        }
    }
}

/// Breaks a text into lines; the first begins with `head`, the others with `rest`.
fn wrapped(text: &str, head: &str, rest: &str) -> String {
    let (mut all, mut line) = (String::new(), head.to_owned());
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            all += line.trim_end();
            all.push('\n');
            line = rest.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    all + line.trim_end() + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::answers::tests::question;
    use super::*;
    use course::workspace;

    fn answered(text: &str) -> (Asked, String) {
        let mut output = Vec::new();
        let asked = answer(&mut text.as_bytes(), &mut output, &question()).unwrap();
        (asked, String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_letter_is_a_choice_and_another_word_is_asked_again() {
        assert_eq!(answered("b\n").0, Asked::Chosen(1));
        assert_eq!(answered(" C \n").0, Asked::Chosen(2));
        assert_eq!(answered("\n").0, Asked::Skipped);
        assert_eq!(answered("q\n").0, Asked::Stopped);
        assert_eq!(answered("").0, Asked::Stopped);
        let (asked, output) = answered("d\nwhy?\na");
        assert_eq!(asked, Asked::Chosen(0));
        assert_eq!(output.matches("a to c").count(), 3);
    }

    #[test]
    fn a_wrong_answer_is_explained_before_the_right_one() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        let desk = Desk {
            root: &root,
            manifest: &manifest,
        };
        let question = question();
        let right = question
            .choices()
            .iter()
            .position(|it| it.is_right)
            .unwrap();
        let told = |choice| {
            let mut output = Vec::new();
            desk.show(&mut output, &question, (1, 2)).unwrap();
            desk.tell(&mut output, &question, choice).unwrap();
            String::from_utf8(output).unwrap()
        };
        let text = told(right);
        assert!(text.contains("1 of 2, exercise 1.3: Lines"), "{text}");
        assert!(
            !text.contains("No.") && text.contains("is right. It was half."),
            "{text}"
        );
        assert!(
            text.contains("Executed: `e13_a` fails and says `half a line`."),
            "{text}"
        );
        let text = told((right + 1) % 3);
        let (no, yes) = (text.find("No. ").unwrap(), text.find("is right.").unwrap());
        assert!(no < yes && text.contains("is tempting."), "{text}");
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        let text = wrapped(&"word ".repeat(40), "  a  ", "     ");
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.len() <= WIDTH));
        assert!(text.lines().nth(1).unwrap().starts_with("     word"));
    }
}
