//! The commands of both sides: `left COMMAND ... -- right COMMAND ...`.

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use anyhow::{Result, bail, ensure};

use crate::net::side::Side;

/// The commands to run, each with its arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Commands {
    pub(super) left: Option<Vec<String>>,
    pub(super) right: Option<Vec<String>>,
}

impl Commands {
    /// Reads them; without any, left gets a shell, unless the network is only kept.
    ///
    /// A `--` that is followed by another word than a side belongs to the command.
    ///
    /// # Errors
    ///
    /// Fails if the first word is no side, a side has no command or is named twice.
    pub(super) fn parse(words: &[String], keep: bool) -> Result<Self> {
        let mut commands = Self::default();
        let mut rest = words;
        while let Some((name, more)) = rest.split_first() {
            let Some(side) = Side::named(name) else {
                bail!("{name} is not left or right, which come first after --");
            };
            let end = more
                .windows(2)
                .position(|pair| pair[0] == "--" && Side::named(&pair[1]).is_some());
            let command = &more[..end.unwrap_or(more.len())];
            ensure!(!command.is_empty(), "{side} has no command");
            let place = match side {
                Side::Left => &mut commands.left,
                Side::Right => &mut commands.right,
            };
            ensure!(place.is_none(), "{side} has two commands");
            *place = Some(command.to_vec());
            rest = end.map_or(&[], |end| &more[end + 1..]);
        }
        if words.is_empty() && !keep {
            commands.left = Some(vec![shell()]);
        }
        Ok(commands)
    }

    /// Returns whether both sides have one.
    pub(super) fn has_both(&self) -> bool {
        self.left.is_some() && self.right.is_some()
    }

    /// Returns the side whose command is waited for; the other one is ended with it.
    pub(super) fn last(&self, keep: bool) -> Option<Side> {
        match (&self.left, &self.right) {
            _ if keep => None,
            (Some(_), _) => Some(Side::Left),
            (None, Some(_)) => Some(Side::Right),
            (None, None) => None,
        }
    }
}

/// Returns the shell of the person at the terminal.
pub(super) fn shell() -> String {
    env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned())
}

/// Returns the exit status as a shell shows it: 128 and the signal for a process that a signal has ended.
pub(super) fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    u8::try_from(code.unwrap_or(1)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Commands> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Commands::parse(&words, true)
    }

    fn words(line: &str) -> Option<Vec<String>> {
        Some(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn both_sides_have_a_command_in_any_order() {
        let expected = Commands {
            left: words("cargo test -- --nocapture"),
            right: words("server --listen 10.0.0.2:1"),
        };
        let left_first = "left cargo test -- --nocapture -- right server --listen 10.0.0.2:1";
        assert_eq!(parse(left_first).unwrap(), expected);
        let right_first = "right server --listen 10.0.0.2:1 -- left cargo test -- --nocapture";
        assert_eq!(parse(right_first).unwrap(), expected);
        assert!(expected.has_both());
        assert_eq!(expected.last(false), Some(Side::Left));
        assert_eq!(expected.last(true), None);
    }

    #[test]
    fn one_side_may_be_without_a_command() {
        let only_right = parse("right sleep 1").unwrap();
        assert_eq!(only_right.left, None);
        assert_eq!(only_right.last(false), Some(Side::Right));
        assert_eq!(parse("").unwrap(), Commands::default());
        let with_a_shell = Commands::parse(&[], false).unwrap();
        assert_eq!(with_a_shell.left, Some(vec![shell()]));
    }

    #[test]
    fn other_words_are_refused_with_a_reason() {
        for (line, reason) in [
            ("middle true", "middle is not left or right"),
            ("left", "left has no command"),
            ("left -- right true", "left has no command"),
            ("left true -- left false", "left has two commands"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
