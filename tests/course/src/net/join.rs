//! `cargo course net exec`: a further command in one side of a network that runs (`setns(2)`).

use std::env;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::net::control::{self, Request, VARIABLE};
use crate::net::outside::{wait, with_our_programs};
use crate::net::side::Side;
use crate::net::words::shell;

/// Runs a command, or a shell, in a side; returns its exit status.
///
/// # Errors
///
/// Fails if there is no such network, or the command cannot be started.
pub(super) fn run(socket: &Path, side: Side, words: &[String]) -> Result<u8> {
    let signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM])?;
    let folder = env::current_dir()?;
    let (answer, process) = control::ask(socket, Request::Status)?;
    let [left, right] = answer.sides;
    let network = match side {
        Side::Left => left,
        Side::Right => right,
    };
    enter(process, network).context("the kernel does not let us into the network")?;
    // With the namespace of mounts came its root.
    env::set_current_dir(&folder)?;
    let shell = [shell()];
    let words = if words.is_empty() { &shell } else { words };
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(VARIABLE, socket);
    let child = with_our_programs(&mut command)
        .spawn()
        .with_context(|| format!("{side}: cannot start {}", words[0]))?;
    // Ctrl-C has reached the command already: the terminal sends it to both of us.
    let passed_on = |signal| (signal != SIGINT).then_some(Signal::SIGTERM);
    Ok(wait(child, signals, passed_on)?)
}

/// Enters the namespaces of a network's process, and one of the networks that it holds.
fn enter(process: i32, network: i32) -> Result<()> {
    let open = |name: &str| File::open(format!("/proc/{process}/{name}"));
    // All are opened first, because a `/proc` of the network shows other numbers.
    let user = open("ns/user")?;
    let others = [
        (open("ns/mnt")?, CloneFlags::CLONE_NEWNS),
        (open("ns/pid")?, CloneFlags::CLONE_NEWPID),
        (open(&format!("fd/{network}"))?, CloneFlags::CLONE_NEWNET),
    ];
    // We are in it already if the network has none of its own, or if we are inside.
    if user.metadata()?.ino() != File::open("/proc/self/ns/user")?.metadata()?.ino() {
        setns(&user, CloneFlags::CLONE_NEWUSER)?;
    }
    for (namespace, kind) in others {
        setns(namespace, kind)?;
    }
    Ok(())
}
