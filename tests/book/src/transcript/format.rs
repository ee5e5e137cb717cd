//! Parses the text of a transcript, and writes it again. [The module above](super) has the list of its lines.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, bail, ensure};
use regex::Regex;

/// Text that always varies: times of day, as our logs and as Python's server write them, and ports that the kernel chooses.
const ALWAYS: [&str; 3] = [
    r"(?:127\.0\.0\.1|::1\]?):(?:3[2-9]|[45]\d|6\d)\d{3}\b",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z",
    r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\]",
];

/// [`ALWAYS`], compiled once, because every transcript has them.
static ALWAYS_VARIES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let compiled = ALWAYS.iter().map(|pattern| Regex::new(pattern));
    compiled
        .map(|pattern| pattern.expect("a pattern"))
        .collect()
});

/// A transcript.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// The lines of the head, as in the file.
    head: Vec<String>,
    varies: Vec<Regex>,
    drop: Vec<Regex>,
    /// Names and texts of the files in the folder.
    pub(super) files: Vec<(String, String)>,
    /// Programs that it cannot do without.
    pub(super) needs: Vec<String>,
    /// Whether it must not be played beside others.
    pub(super) alone: bool,
    /// The steps, in order.
    pub(super) steps: Vec<Step>,
}

/// An action at a terminal, and its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The line in the file, from 1.
    pub(super) line: usize,
    /// The number of the terminal.
    pub(super) terminal: usize,
    /// The action.
    pub(super) action: Action,
    /// How the command ends.
    pub(super) stay: Stay,
    /// A command that must succeed before the step is over.
    pub(super) until: Option<String>,
    /// The output.
    pub(super) output: Vec<String>,
}

/// An action at a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Starts a command.
    Command(String),
    /// Types a line.
    Type(String),
    /// Nothing: the program goes on by itself.
    More,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    Eof,
}

/// How a command ends, as the lines below it say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// Nothing.
    Unsaid,
    /// It runs until the end of the session.
    Runs,
    /// It ends by itself.
    Ends,
}

impl Transcript {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// Fails if a line for the runner is unknown, or output comes before the first command.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut transcript = Self::default();
        transcript.varies.extend(ALWAYS_VARIES.iter().cloned());
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let number = number + 1;
            if let Some((terminal, mut action)) = mark(line) {
                while let Action::Command(command) = &mut action
                    && command.ends_with('\\')
                    && let Some((_, next)) = lines.next()
                {
                    command.push('\n');
                    command.push_str(next);
                }
                transcript.steps.push(Step {
                    line: number,
                    terminal,
                    action,
                    stay: Stay::Unsaid,
                    until: None,
                    output: Vec::new(),
                });
            } else if let Some(order) = line.strip_prefix("% ") {
                transcript
                    .order(order)
                    .with_context(|| format!("line {number}"))?;
            } else if let Some(step) = transcript.steps.last_mut() {
                step.output.push(line.to_owned());
            } else {
                ensure!(
                    line.trim().is_empty(),
                    "line {number}: output before the first command"
                );
            }
        }
        for step in &mut transcript.steps {
            trim_end(&mut step.output);
        }
        ensure!(!transcript.steps.is_empty(), "there is no command in it");
        Ok(transcript)
    }

    /// Parses a line for the runner.
    fn order(&mut self, order: &str) -> Result<()> {
        if let Some(step) = self.steps.last_mut() {
            ensure!(
                step.output.is_empty(),
                "{order:?} belongs below a command or in the head"
            );
            match (order.trim(), order.split_once("until: ")) {
                ("runs", _) => step.stay = Stay::Runs,
                ("ends", _) => step.stay = Stay::Ends,
                (_, Some(("", command))) => step.until = Some(command.to_owned()),
                (other, _) => bail!("{other:?} is not known below a command"),
            }
            return Ok(());
        }
        self.head.push(order.to_owned());
        let (name, value) = order.split_once([':', ' ']).unwrap_or((order, ""));
        let value = value.trim();
        match name {
            "varies" => self.varies.push(Regex::new(value)?),
            "drop" => self.drop.push(Regex::new(value)?),
            "needs" => self
                .needs
                .extend(value.split_whitespace().map(str::to_owned)),
            "file" => {
                let (file, text) = value
                    .split_once(':')
                    .context("a file is written NAME: TEXT")?;
                ensure!(!file.contains('/'), "a file has no folder");
                self.files
                    .push((file.trim().to_owned(), format!("{}\n", text.trim())));
            }
            "alone" => {
                ensure!(!value.is_empty(), "say why it must be alone");
                self.alone = true;
            }
            "#" => {}
            other => bail!("{other:?} is not known in the head"),
        }
        Ok(())
    }

    /// Returns the text of the file.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.head {
            let _ = writeln!(text, "% {line}");
        }
        let alone = self.has_one_terminal();
        for step in &self.steps {
            let number = step.terminal;
            // Writing into a String cannot fail.
            let _ = match &step.action {
                Action::Command(command) if alone => writeln!(text, "$ {command}"),
                Action::Command(command) => writeln!(text, "{number}$ {command}"),
                Action::Type(line) => writeln!(text, "{number}< {line}"),
                Action::More => writeln!(text, "{number}>"),
                Action::Interrupt => writeln!(text, "% interrupt {number}"),
                Action::Eof => writeln!(text, "% eof {number}"),
            };
            text.push_str(match step.stay {
                Stay::Unsaid => "",
                Stay::Runs => "% runs\n",
                Stay::Ends => "% ends\n",
            });
            if let Some(command) = &step.until {
                let _ = writeln!(text, "% until: {command}");
            }
            for line in &step.output {
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }

    /// Returns whether there is only one terminal.
    pub(super) fn has_one_terminal(&self) -> bool {
        self.steps.iter().all(|step| step.terminal == 1)
    }

    /// Returns whether a line of output counts.
    pub(super) fn keeps(&self, line: &str) -> bool {
        !self.drop.iter().any(|pattern| pattern.is_match(line))
    }

    /// Returns whether two lines of output are the same but for what varies.
    pub(super) fn is_same(&self, one: &str, other: &str) -> bool {
        self.constant(one) == self.constant(other)
    }

    fn constant(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for pattern in &self.varies {
            line = pattern.replace_all(&line, "\u{0}").into_owned();
        }
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Returns whether the program must have ended when a step is over; `None` if only a try can tell.
    pub(super) fn must_end(&self, place: usize) -> Option<bool> {
        let step = &self.steps[place];
        match step.stay {
            Stay::Runs => return Some(false),
            Stay::Ends => return Some(true),
            Stay::Unsaid => {}
        }
        let next = self.steps[place + 1..]
            .iter()
            .find(|next| next.terminal == step.terminal);
        match (next.map(|next| &next.action), &step.action) {
            (Some(Action::Command(_)), _) => Some(true),
            (Some(_), _) => Some(false),
            (None, Action::Command(_)) => None,
            (None, Action::Interrupt | Action::Eof) => Some(true),
            (None, Action::Type(_) | Action::More) => Some(false),
        }
    }

    /// Returns the words of all commands.
    pub(super) fn words(&self) -> BTreeSet<&str> {
        let commands = self.steps.iter().filter_map(|step| match &step.action {
            Action::Command(command) => Some(command),
            Action::Type(_) | Action::More | Action::Interrupt | Action::Eof => None,
        });
        let awaited = self.steps.iter().filter_map(|step| step.until.as_ref());
        let is_edge = |letter: char| !(letter.is_alphanumeric() || "-_.".contains(letter));
        commands
            .chain(awaited)
            .flat_map(|command| command.split(is_edge))
            .collect()
    }

    /// Returns the ports that it may use: the defaults of the programs, and all numbers that look like one.
    pub(super) fn ports(&self) -> BTreeSet<u16> {
        let numbers = self
            .words()
            .into_iter()
            .filter_map(|word| word.parse().ok());
        numbers
            .filter(|port| *port >= 1024)
            .chain([8080, 3000])
            .collect()
    }
}

/// Reads the beginning of a step.
fn mark(line: &str) -> Option<(usize, Action)> {
    if let Some(command) = line.strip_prefix("$ ") {
        return Some((1, Action::Command(command.to_owned())));
    }
    for (word, action) in [("% eof ", Action::Eof), ("% interrupt ", Action::Interrupt)] {
        if let Some(number) = line.strip_prefix(word) {
            return Some((number.trim().parse().ok()?, action));
        }
    }
    let number = line
        .chars()
        .next()?
        .to_digit(10)
        .filter(|number| *number > 0)?;
    let terminal = usize::try_from(number).ok()?;
    let rest = &line[1..];
    if rest.trim_end() == ">" {
        return Some((terminal, Action::More));
    }
    let command = rest
        .strip_prefix("$ ")
        .map(|text| Action::Command(text.to_owned()));
    let typed = || {
        rest.strip_prefix('<')
            .map(|text| Action::Type(text.strip_prefix(' ').unwrap_or(text).to_owned()))
    };
    Some((terminal, command.or_else(typed)?))
}

/// Returns whether a line of output would be taken for something else when the file is read.
pub(super) fn is_mark(line: &str) -> bool {
    mark(line).is_some() || line.starts_with("% ")
}

/// Removes empty lines from the end.
pub(super) fn trim_end(lines: &mut Vec<String>) {
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
% # A remark.
% varies: :\\d{5}
% drop: ^noise
% file one.txt: 1
% needs: curl
1$ server \\
  --listen 127.0.0.1:8080
listening on 127.0.0.1:8080
2$ client
2< hello

olleh
% eof 2
1>
client 127.0.0.1:50312
3$ other
% runs
% until: test -e ready
";

    #[test]
    fn a_transcript_is_read_and_written() {
        let transcript = Transcript::parse(TEXT).unwrap();
        assert_eq!(transcript.text(), TEXT);
        assert_eq!(transcript.files, [("one.txt".to_owned(), "1\n".to_owned())]);
        assert_eq!(transcript.needs, ["curl"]);
        assert_eq!(transcript.steps[5].until.as_deref(), Some("test -e ready"));
        assert!(transcript.words().contains("client") && transcript.words().contains("server"));
        assert!(transcript.ports().contains(&3000));
        let ends: Vec<_> = (0..6).map(|place| transcript.must_end(place)).collect();
        assert_eq!(
            ends,
            [
                Some(false),
                Some(false),
                Some(false),
                Some(true),
                Some(false),
                Some(false)
            ]
        );
        let alone = Transcript::parse("$ one\nx\n$ two\n").unwrap();
        assert_eq!(alone.text(), "$ one\nx\n$ two\n");
        assert_eq!((alone.must_end(0), alone.must_end(1)), (Some(true), None));
    }

    #[test]
    fn what_varies_does_not_count() {
        let transcript = Transcript::parse(TEXT).unwrap();
        assert!(transcript.is_same("a:12345  b", "a:54321 b"));
        assert!(transcript.is_same(
            "2026-11-25T20:47:09.343493Z INFO",
            "2027-01-02T03:04:05.678901Z  INFO"
        ));
        assert!(transcript.is_same("x=127.0.0.1:36310", "x=127.0.0.1:60414"));
        assert!(!transcript.is_same("127.0.0.1:8080", "127.0.0.1:3000"));
        assert!(transcript.is_same("[25/Nov/2026 20:47:09] GET", "[02/Jan/2027 03:04:05] GET"));
        assert!(!transcript.is_same("a:12345 b", "a:12345 c"));
        assert!(transcript.keeps("no noise") && !transcript.keeps("noise of a machine"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let table = [
            ("", "no command"),
            ("output\n$ x\n", "line 1"),
            ("% unknown: x\n$ x\n", "line 1"),
            ("$ x\n% unknown\n", "line 2"),
            ("$ x\noutput\n% runs\n", "line 3"),
            ("% varies: (\n$ x\n", "line 1"),
            ("% alone\n$ x\n", "line 1"),
        ];
        for (text, expected) in table {
            let error = format!("{:#}", Transcript::parse(text).unwrap_err());
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn lines_of_curl_are_no_marks() {
        for line in [
            "> GET / HTTP/1.1",
            "< HTTP/1.1 200 OK",
            "1 > 2",
            "% Total",
            "12$ x",
            "$",
        ] {
            let is_order = line.starts_with("% ");
            assert_eq!(is_mark(line), is_order, "{line}");
        }
    }
}
