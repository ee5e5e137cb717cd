//! A session: the steps of a transcript played on terminals, either to compare or to record.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::transcript::alone;
use crate::transcript::awaited::wait_until;
use crate::transcript::format::{Action, Stay, Step, Transcript, is_mark, trim_end};
use crate::transcript::terminal::Terminal;

/// How long the output of a step may take to come: on a machine that is busy with other work, a minute is not rare.
/// `COURSE_TIME_SCALE` does not stretch it, because nothing here is slow.
const PATIENCE: Duration = Duration::from_secs(180);
/// While recording, a program that is silent for so long is taken to be done.
const QUIET: Duration = Duration::from_millis(1200);

/// Play a transcript: for `cargo book`, not for people
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Options {
    /// The transcript; without it nothing is played
    path: Option<PathBuf>,

    /// Leave the network of the machine before
    #[arg(long)]
    own_network: bool,

    /// Record the output instead of comparing it
    #[arg(long)]
    record: bool,
}

/// The result of a session.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Report {
    /// The transcript with the outputs of this session.
    pub(super) text: String,
    /// The differences, each beginning with its line: `12: ...`.
    pub(super) problems: Vec<String>,
}

/// Plays a transcript in this folder and prints the report.
///
/// # Errors
///
/// Fails if the kernel allows no network of its own, the transcript cannot be read, or a process does not end.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.own_network {
        alone::leave_network().context("the kernel allows no network of its own")?;
    }
    let Some(path) = &options.path else {
        return Ok(());
    };
    alone::adopt_orphans()?;
    alone::end_on_signals()?;
    let text = fs::read_to_string(path).context("cannot read the transcript")?;
    let transcript = Transcript::parse(&text)?;
    let folder = env::current_dir()?;
    for (name, text) in &transcript.files {
        fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    let report = if options.record {
        record(transcript)
    } else {
        compare(&transcript)
    };
    alone::reap()?;
    serde_json::to_writer(io::stdout().lock(), &report).context("cannot write the report")
}

type Terminals = BTreeMap<usize, Terminal>;

/// Plays the steps and compares what they show.
fn compare(transcript: &Transcript) -> Report {
    let mut terminals = Terminals::new();
    let mut problems = Vec::new();
    for (place, step) in transcript.steps.iter().enumerate() {
        let terminal = terminals.entry(step.terminal).or_insert_with(Terminal::new);
        if let Err(error) = act(terminal, &step.action) {
            problems.push(format!("{}: {error:#}", step.line));
            break;
        }
        let deadline = Instant::now() + PATIENCE;
        let must_end = transcript.must_end(place).unwrap_or(true);
        let (seen, ended) = if must_end {
            terminal.until_end(deadline)
        } else {
            let keeps = |line: &str| transcript.keeps(line);
            let seen = terminal.until_lines(step.output.len(), keeps, deadline);
            terminal.until_asleep();
            (seen, true)
        };
        problems.extend(difference(transcript, step, &seen));
        if problems.is_empty() {
            problems.extend(not_come_true(step, deadline));
        }
        if !ended {
            problems.push(format!("{}: the program was expected to end", step.line));
        }
        if !problems.is_empty() {
            // The rest is not played, because it depends on this step.
            break;
        }
    }
    if problems.is_empty() {
        for (number, terminal) in &mut terminals {
            let surplus = terminal
                .rest()
                .into_iter()
                .find(|line| transcript.keeps(line) && !line.trim().is_empty());
            problems.extend(
                surplus.map(|line| format!("1: terminal {number} shows more at the end: {line}")),
            );
        }
    }
    let text = transcript.text();
    Report { text, problems }
}

/// Waits until the command of `% until` succeeds, and says so if it never does.
fn not_come_true(step: &Step, deadline: Instant) -> Option<String> {
    let command = step.until.as_deref()?;
    let line = step.line;
    match wait_until(command, deadline) {
        Ok(true) => None,
        Ok(false) => Some(format!("{line}: this never succeeds: {command}")),
        Err(error) => Some(format!("{line}: bash cannot be started: {error}")),
    }
}

fn act(terminal: &mut Terminal, action: &Action) -> Result<()> {
    match action {
        Action::Command(command) => terminal.start(command),
        Action::Type(line) => terminal.type_line(line),
        Action::More => Ok(()),
        Action::Interrupt => terminal.interrupt(),
        Action::Eof => terminal.end_input(),
    }
}

/// Describes where the output of a step differs from the recording.
fn difference(transcript: &Transcript, step: &Step, seen: &[String]) -> Option<String> {
    let mut seen: Vec<_> = seen
        .iter()
        .filter(|line| transcript.keeps(line))
        .cloned()
        .collect();
    trim_end(&mut seen);
    let longest = step.output.len().max(seen.len());
    for place in 0..longest {
        let line = step.line + place + 1;
        return Some(match (step.output.get(place), seen.get(place)) {
            (Some(expected), Some(seen)) if transcript.is_same(expected, seen) => continue,
            (Some(expected), Some(seen)) => format!("{line}: recorded {expected:?}, seen {seen:?}"),
            (Some(expected), None) => format!("{line}: recorded {expected:?}, seen nothing more"),
            (None, Some(seen)) => format!("{line}: recorded nothing more, seen {seen:?}"),
            (None, None) => continue,
        });
    }
    None
}

/// Plays the steps and records their output.
fn record(mut transcript: Transcript) -> Report {
    let mut terminals = Terminals::new();
    let mut problems = Vec::new();
    let mut recorded = Vec::new();
    let mut step_place = 0;
    while let Some(step) = transcript.steps.get(step_place) {
        let mut step = step.clone();
        let terminal = terminals.entry(step.terminal).or_insert_with(Terminal::new);
        if let Err(error) = act(terminal, &step.action) {
            problems.push(format!("{}: {error:#}", step.line));
            break;
        }
        let must_end = transcript.must_end(step_place);
        step.output = take_down(&transcript, terminal, must_end == Some(true));
        problems.extend(not_come_true(&step, Instant::now() + PATIENCE));
        if step.until.is_some() {
            // Shown because the condition has come true, or while it was awaited.
            step.output.extend(take_down(&transcript, terminal, false));
        }
        match must_end {
            Some(true) if terminal.is_busy() => {
                problems.push(format!("{}: the program was expected to end", step.line));
            }
            None if terminal.is_busy() => step.stay = Stay::Runs,
            Some(_) | None => {}
        }
        let current = step.terminal;
        recorded.push(step);
        // Output of other terminals belongs here, unless the next step asks for it.
        let next = transcript
            .steps
            .get(step_place + 1)
            .map(|next| (next.terminal, &next.action));
        for (number, terminal) in &mut terminals {
            if *number != current && next != Some((*number, &Action::More)) {
                let output = take_down(&transcript, terminal, false);
                recorded.push(Step {
                    line: 0,
                    terminal: *number,
                    action: Action::More,
                    stay: Stay::Unsaid,
                    until: None,
                    output,
                });
            }
        }
        step_place += 1;
    }
    recorded.retain(|step| step.action != Action::More || !step.output.is_empty());
    problems.extend(misread(&recorded));
    transcript.steps = recorded;
    let text = transcript.text();
    Report { text, problems }
}

fn take_down(transcript: &Transcript, terminal: &mut Terminal, to_the_end: bool) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut lines = if to_the_end {
        terminal.until_end(deadline).0
    } else {
        terminal.until_quiet(QUIET, deadline)
    };
    lines.retain(|line| transcript.keeps(line));
    trim_end(&mut lines);
    lines
}

/// Finds output that would be parsed as something else.
fn misread(steps: &[Step]) -> Option<String> {
    let mut lines = steps
        .iter()
        .flat_map(|step| step.output.iter().map(move |line| (step.line, line)));
    let (line, text) = lines.find(|(_, text)| is_mark(text))?;
    Some(format!(
        "{line}: this output cannot be told from a command: {text}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(text: &str) -> Report {
        record(Transcript::parse(text).unwrap())
    }

    fn compared(text: &str) -> Vec<String> {
        compare(&Transcript::parse(text).unwrap()).problems
    }

    #[test]
    fn output_that_comes_with_the_condition_belongs_to_its_step() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there").display().to_string();
        let text = format!("1$ sleep 2; echo late; touch {there}; cat\n% until: [ -e {there} ]\n");
        let report = recorded(&text);
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert!(report.text.ends_with("\nlate\n"), "{}", report.text);
        assert!(compared(&report.text).is_empty());
    }

    #[test]
    fn what_was_recorded_is_found_again() {
        let report = recorded(
            "1$ echo up; read line; echo got $line; cat\n2$ echo two; echo $$\n1< now\n1< more\n",
        );
        assert_eq!(report.problems, Vec::<String>::new());
        let (before, after) = report
            .text
            .split_once("2$ echo two; echo $$\ntwo\n")
            .unwrap();
        assert_eq!(before, "1$ echo up; read line; echo got $line; cat\nup\n");
        assert!(
            after.ends_with("1< now\ngot now\n1< more\nmore\n"),
            "{after}"
        );
        assert_eq!(
            compared(&format!("% varies: ^\\d+$\n{}", report.text)),
            Vec::<String>::new()
        );
        assert_eq!(
            compared(&report.text).len(),
            1,
            "the process id has changed"
        );
    }

    #[test]
    fn a_program_that_stays_is_noted_and_output_of_others_finds_its_place() {
        let report = recorded("1$ read line < fifo; echo heard $line; sleep 60\n");
        assert!(report.problems.is_empty());
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let fifo = fifo.display();
        let text = format!(
            "$ mkfifo {fifo}\n1$ read line < {fifo}; echo heard $line; exec sleep 60\n2$ echo it > {fifo}\n"
        );
        let report = recorded(&text);
        assert_eq!(report.problems, Vec::<String>::new());
        assert!(
            report
                .text
                .ends_with(&format!("2$ echo it > {fifo}\n1>\nheard it\n")),
            "{}",
            report.text
        );
        let report = recorded("$ echo up; exec sleep 60\n");
        assert_eq!(report.text, "$ echo up; exec sleep 60\n% runs\nup\n");
        assert_eq!(compared(&report.text), Vec::<String>::new());
    }

    #[test]
    fn what_is_different_is_told_with_its_line() {
        let table = [
            ("$ echo one\ntwo\n", "2: recorded \"two\", seen \"one\""),
            (
                "$ echo one\none\ntwo\n",
                "3: recorded \"two\", seen nothing more",
            ),
            (
                "$ printf 'one\\ntwo\\n'\none\n",
                "3: recorded nothing more, seen \"two\"",
            ),
            (
                "1$ echo up; echo more; exec sleep 60\n% runs\nup\n2$ true\n1>\nless\n",
                "6: recorded \"less\", seen \"more\"",
            ),
            ("1$ true\n2< word\n", "2: no program runs in this terminal"),
        ];
        for (text, expected) in table {
            assert_eq!(compared(text), [expected], "{text}");
        }
    }

    #[test]
    fn a_step_waits_for_what_the_next_one_needs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ready");
        let file = file.display();
        let text = format!(
            "1$ sleep 0.3; echo it > {file}; exec sleep 60\n% runs\n% until: grep it {file}\n2$ cat {file}\nit\n"
        );
        assert_eq!(compared(&text), Vec::<String>::new());
        assert_eq!(recorded(&text).text, text);
    }

    #[test]
    fn output_that_looks_like_a_command_is_refused() {
        assert_eq!(recorded("$ echo '$ x'\n").problems.len(), 1);
    }
}
