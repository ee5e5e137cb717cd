//! The process outside of the namespaces: it starts the first one inside, passes signals on to it, and waits for its end.

use std::env;
use std::io;
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::net::control::{self, Request, VARIABLE};
use crate::net::namespaces;
use crate::net::words::code_of;

/// Makes a network and waits for its end; returns the exit status.
///
/// # Errors
///
/// Fails if another network has this name, or the kernel allows none.
pub(super) fn run(socket: &Path) -> Result<u8> {
    ensure!(
        control::ask(socket, Request::Status).is_err(),
        "such a network runs already: cargo course net stop ends it, and --name NAME makes another one"
    );
    // Before the namespaces, so that no signal ends us without them.
    let signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM])?;
    namespaces::create()?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("net-inside")
        .args(env::args_os().skip(2))
        .env(VARIABLE, socket);
    let child = with_our_programs(&mut command)
        .spawn()
        .context("cannot start the first process of the network")?;
    let code = wait(child, signals, |_| Some(Signal::SIGTERM));
    // It is there if the network was killed.
    let _ = std::fs::remove_file(socket);
    Ok(code?)
}

/// Lets a command find the programs of the course by their names: they are built into our own folder.
pub(super) fn with_our_programs(command: &mut Command) -> &mut Command {
    let ours = env::current_exe().ok();
    let folder = ours.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    let places = folder.into_iter().chain(env::split_paths(&path));
    if let Ok(joined) = env::join_paths(places) {
        command.env("PATH", joined);
    }
    command
}

/// Waits for the end of a child, and sends it a signal for each one that we receive.
///
/// There is no thread for it, because a process whose children are in another PID namespace cannot have a second one (`clone(2)`).
///
/// # Errors
///
/// Fails if the child is not ours.
pub(super) fn wait(
    mut child: Child,
    mut signals: Signals,
    passed_on: impl Fn(i32) -> Option<Signal>,
) -> io::Result<u8> {
    let pid = Pid::from_raw(child.id().cast_signed());
    for signal in signals.forever() {
        if let Some(status) = child.try_wait()? {
            return Ok(code_of(status));
        }
        if signal != SIGCHLD
            && let Some(other) = passed_on(signal)
        {
            // It is ours until we have waited for it.
            let _ = kill(pid, other);
        }
    }
    child.wait().map(code_of)
}
