//! `cargo course doctor`: checks whether this machine is ready for the course and for the experiments of its book.

mod tools;

use std::net::{Ipv6Addr, TcpListener};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use nix::sys::resource::{Resource, getrlimit};

use crate::net;
use crate::run::guard::Guard;
use tools::{Found, TOOLS, Tool};

/// The oldest version of Rust that the course builds with.
const RUST: (u32, u32) = (1, 90);
/// Descriptors that the largest tests need.
const DESCRIPTORS: u64 = 4096;

/// The result of a check.
enum Finding {
    Good(String),
    /// The course works without it; the text names what is then missing.
    Optional(String),
    Bad(String),
}

/// Prints every finding.
///
/// # Errors
///
/// Fails if a requirement is missing.
pub(crate) fn run() -> Result<()> {
    let findings = [
        ("Linux", system()),
        ("Rust", rust()),
        ("descriptors", descriptors()),
        ("IPv6", ipv6()),
        ("networks", networks()),
        ("grading", Finding::Good(Guard::strict().describe())),
    ];
    let mut bad = 0;
    for (name, finding) in findings {
        bad += usize::from(finding.tell(name));
    }
    println!();
    let manager = tools::manager();
    let mut missing = Vec::new();
    for tool in TOOLS {
        let finding = look_for(tool, manager);
        if !matches!(finding, Finding::Good(_)) {
            missing.push(tool);
        }
        bad += usize::from(finding.tell(tool.name));
    }
    if let (Some(manager), [_, ..]) = (manager, missing.as_slice()) {
        println!(
            "\nTo install all that is missing:\n  {}",
            tools::install_all(&missing, manager)
        );
    }
    ensure!(bad == 0, "this machine is not ready yet: see above");
    println!("\nThis machine is ready.");
    Ok(())
}

impl Finding {
    /// Prints the finding and returns whether it is bad.
    fn tell(&self, name: &str) -> bool {
        match self {
            Self::Good(text) => println!("  ok       {name}: {text}"),
            Self::Optional(text) => println!("  without  {name}: {text}"),
            Self::Bad(text) => println!("  MISSING  {name}: {text}"),
        }
        matches!(self, Self::Bad(_))
    }
}

/// Looks for a program, and says why it is wanted and how to install it.
fn look_for(tool: &Tool, manager: Option<usize>) -> Finding {
    let how = tool.how_to_install(manager);
    match tool.find() {
        Found::Good(Some(version)) => Finding::Good(version),
        Found::Good(None) => Finding::Good("found".to_owned()),
        Found::Old(version) => {
            Finding::Optional(format!("{version} is old, for {}: {how}", tool.purpose))
        }
        Found::Missing if tool.is_needed => Finding::Bad(format!("for {}: {how}", tool.purpose)),
        Found::Missing => Finding::Optional(format!("for {}: {how}", tool.purpose)),
    }
}

fn system() -> Finding {
    if cfg!(target_os = "linux") {
        Finding::Good("epoll and eventfd work".to_owned())
    } else {
        Finding::Bad("epoll(7) exists on Linux only; a virtual machine or WSL 2 will do".to_owned())
    }
}

fn rust() -> Finding {
    let Some(text) = first_line("rustc", &["--version"]) else {
        return Finding::Bad("there is no rustc: see https://rustup.rs".to_owned());
    };
    match version(&text) {
        Some(version) if version >= RUST => Finding::Good(text),
        _ => Finding::Bad(format!(
            "{text} is older than {}.{}: rustup update",
            RUST.0, RUST.1
        )),
    }
}

/// Reads the first two numbers of `rustc 1.95.0 (...)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn descriptors() -> Finding {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard >= DESCRIPTORS => Finding::Good(format!("up to {hard} open files")),
        Ok((_, hard)) => Finding::Bad(format!(
            "only {hard} open files are allowed, {DESCRIPTORS} are needed: ulimit -Hn"
        )),
        Err(error) => Finding::Optional(error.to_string()),
    }
}

fn ipv6() -> Finding {
    match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => Finding::Good("::1 answers".to_owned()),
        Err(_) => {
            Finding::Optional("this machine has no ::1; some tests then test less".to_owned())
        }
    }
}

/// Tries the two networks of the experiments, with the cable between them.
fn networks() -> Finding {
    match net::probe() {
        Ok(None) => Finding::Good("cargo course net makes two, with a slow cable".to_owned()),
        Ok(Some(reason)) => {
            Finding::Optional(format!("for experiments with cargo course net: {reason}"))
        }
        Err(error) => Finding::Optional(error.to_string()),
    }
}

fn first_line(name: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(if output.stdout.is_empty() {
        &output.stderr
    } else {
        &output.stdout
    })
    .into_owned();
    output.status.code()?;
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(
            version("rustc 1.95.0 (59807616e 2026-04-14)"),
            Some((1, 95))
        );
        assert!(version("rustc 1.100.0") > Some(RUST));
        assert_eq!(version("rustc"), None);
    }
}
