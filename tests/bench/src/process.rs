//! A proxy process: started on its core, read, killed, reaped.

use std::fs::File;
use std::io;
use std::iter::Sum;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::cores::{Cores, pin_this_thread};
use crate::readings;

/// A process with its group; dropping it kills the group and reaps every member.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
    /// Whether it starts a process for each session.
    forks: bool,
    output: PathBuf,
    errors: PathBuf,
}

/// The resources of a process and its children.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) private_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) fds: usize,
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |total, one| Self {
            private_bytes: total.private_bytes + one.private_bytes,
            resident_bytes: total.resident_bytes + one.resident_bytes,
            fds: total.fds + one.fds,
        })
    }
}

impl Process {
    /// Starts a command on the proxy's core; what it prints goes to files in `folder`.
    pub(crate) fn start(
        command: &mut Command,
        cores: Cores,
        forks: bool,
        folder: &Path,
    ) -> io::Result<Self> {
        let (output, errors) = (folder.join("stdout"), folder.join("stderr"));
        command
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?);
        // Children of a killed parent come to us, so that they can be reaped.
        set_child_subreaper(true)?;
        let child = start_on_core(command.process_group(0), cores)?;
        let group = Pid::from_raw(child.id().cast_signed());
        Ok(Self {
            child,
            group,
            forks,
            output,
            errors,
        })
    }

    /// Returns the stdout of the process so far.
    pub(crate) fn output(&self) -> io::Result<String> {
        std::fs::read_to_string(&self.output)
    }

    /// Returns what the process has written to stderr so far.
    pub(crate) fn errors(&self) -> io::Result<String> {
        std::fs::read_to_string(&self.errors)
    }

    /// Fails if the process has ended, with its last line on stderr or the one that begins with "error:".
    pub(crate) fn check_alive(&mut self) -> io::Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let words = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let mut lines = words.lines();
        let error = lines.find(|line| line.starts_with("error:"));
        let reason = error.or(words.lines().last()).unwrap_or("no message");
        Err(io::Error::other(format!(
            "the proxy ended ({status}): {reason}"
        )))
    }

    /// Returns the CPU time used so far, by it and by its children.
    pub(crate) fn cpu_time(&self) -> io::Result<Duration> {
        if !self.forks {
            return readings::cpu_time(self.group);
        }
        let mut total = Duration::ZERO;
        for pid in self.members()? {
            // Between the listing and the look a child may end; its parent then counts it.
            total += readings::cpu_time(pid).unwrap_or_default();
            total += readings::ended_children_cpu_time(pid).unwrap_or_default();
        }
        Ok(total)
    }

    /// Returns the memory and the fds of the process and its children.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let mut usage = Usage::default();
        for pid in self.members()? {
            let memory = readings::memory(pid)?;
            usage.private_bytes += memory.private;
            usage.resident_bytes += memory.resident;
            usage.fds += readings::open_fds(pid)?;
        }
        Ok(usage)
    }

    fn members(&self) -> io::Result<Vec<Pid>> {
        if self.forks {
            readings::family(self.group)
        } else {
            Ok(vec![self.group])
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let family = self.members().unwrap_or_default();
        // An error means that they have already ended, and then there is nothing to do.
        let _ = killpg(self.group, Signal::SIGKILL);
        let others = family.into_iter().filter(|&pid| pid != self.group);
        let others: Vec<Pid> = others
            .filter(|&pid| kill(pid, Signal::SIGKILL).is_ok())
            .collect();
        let _ = self.child.wait();
        for pid in others {
            let _ = waitpid(pid, None);
        }
        while waitpid(Pid::from_raw(-self.group.as_raw()), None).is_ok() {}
    }
}

/// Starts the child with the affinity that it shall keep.
///
/// The child inherits the affinity of the thread that starts it: pinned from its first
/// instruction, without `unsafe` code between fork and exec.
fn start_on_core(command: &mut Command, cores: Cores) -> io::Result<Child> {
    pin_this_thread(cores.proxy)?;
    let child = command.spawn();
    pin_this_thread(cores.load)?;
    child
}
