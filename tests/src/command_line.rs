//! The command line of a program, checked: help, an error that names the mistake, one clear sentence when it cannot start.
//!
//! Each check takes a [`Program`] with the arguments that come first, such as a subcommand.

use std::time::Duration;

use crate::deadline::PATIENCE;
use crate::eventually::eventually;
use crate::failure::{Failure, ensure};
use crate::finished::Finished;
use crate::program::Program;
use crate::server::Server;

/// An address that no machine has: 192.0.2.0/24 is reserved for documentation (RFC 5737).
pub const FOREIGN: &str = "192.0.2.213:8080";

/// Checks that `--help` ends with 0, contains each of `words`, and writes nothing to stderr; returns the help.
///
/// # Panics
///
/// Panics if a word is missing, or the program ends in another way.
#[track_caller]
pub fn help(program: &Program, words: &[&str]) -> String {
    let finished = program.clone().arg("--help").run();
    finished.expect_code(0);
    ensure(
        finished.stderr.is_empty(),
        "The user asked for the help, so all of it belongs to stdout and nothing to stderr.",
    );
    let help = String::from_utf8_lossy(&finished.stdout).into_owned();
    let missing: Vec<_> = words.iter().filter(|word| !help.contains(**word)).collect();
    if !missing.is_empty() {
        Failure::new(format!("The help does not mention {missing:?}."))
            .detail(help)
            .raise();
    }
    help
}

/// Checks that the help has an entry for each flag, as clap writes them, and that the entry contains the word beside it,
/// such as its default.
///
/// # Panics
///
/// Panics if an entry or a word is missing.
#[track_caller]
pub fn help_of_flags(program: &Program, flags: &[(&str, &str)]) {
    let names: Vec<_> = flags.iter().map(|(flag, _)| *flag).collect();
    let help = help(program, &names);
    for (flag, word) in flags {
        // An entry begins with its flag, six spaces from the margin, and ends at the next one.
        let entry = help
            .split("\n      --")
            .find(|entry| entry.starts_with(&flag[2..]));
        ensure(
            entry.is_some_and(|entry| entry.contains(word)),
            format!("The help of {flag} does not mention {word:?}."),
        );
    }
}

/// Checks that the program refuses each list of arguments with exit code 2, announces nothing, and begins with an error
/// that contains the word beside it; only a summary of the usage may come before.
///
/// # Panics
///
/// Panics if it does not.
#[track_caller]
pub fn refuses(program: &Program, wrong: &[(&[&str], &str)]) {
    for (arguments, word) in wrong {
        let finished = program.clone().args(*arguments).run();
        expect_nothing_announced(finished.expect_code(2));
        let is_usage = |line: &&str| line.starts_with("usage: ") || line.starts_with(' ');
        let first = finished.stderr.lines().find(|line| !is_usage(line));
        ensure(
            first.is_some_and(|line| line.contains("error: ") && line.contains(word)),
            format!(
                "For {arguments:?}, the program must print an \"error: \" that contains {word:?}."
            ),
        );
    }
}

/// Checks that the program ends with 1 and one sentence that contains each of `words`, and announces nothing.
///
/// # Panics
///
/// Panics if it does not.
#[track_caller]
pub fn cannot_start(program: &Program, arguments: &[&str], words: &[&str]) -> Finished {
    let finished = program.clone().args(arguments).run();
    expect_nothing_announced(finished.expect_code(1).expect_one_sentence(words));
    finished
}

/// Checks that a refused port below 1024 ends the program with 1 and one sentence.
///
/// The user who runs the tests may be allowed to use such a port, as root is: then nothing is refused, and nothing judged.
///
/// # Panics
///
/// Panics if the program neither listens nor explains why it cannot.
#[track_caller]
pub fn a_port_of_the_system(program: &Program) {
    let address = "127.0.0.1:1";
    let process = program.clone().args(["--listen", address]).spawn();
    eventually("the program listens or ends", PATIENCE, || {
        !process.stdout().is_empty() || process.wait_by(Duration::ZERO.into()).is_some()
    });
    if process.stdout().is_empty() {
        let finished = process.finish();
        finished.expect_code(1).expect_one_sentence(&[address]);
    }
}

/// Ends a server with SIGTERM and checks that its one line on stdout was where it listens.
///
/// # Panics
///
/// Panics if it ends with another code than 0, or wrote anything else.
#[track_caller]
pub fn announced_once(server: &Server) {
    let expected = format!("listening on {}\n", server.addr());
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&server.stdout()), expected);
}

#[track_caller]
fn expect_nothing_announced(finished: &Finished) {
    ensure(
        finished.stdout.is_empty(),
        "The program does not listen, so it may not announce an address on stdout.",
    );
}
