//! Readings of processes and cores from the kernel: `proc(5)`.

use std::fs;
use std::io;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Memory of one process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Pages that no other process maps: what ending the process would give back.
    pub(crate) private: u64,
    /// All resident pages, shared libraries included.
    pub(crate) resident: u64,
}

/// Reads `/proc/PID/smaps_rollup`.
pub(crate) fn memory(pid: Pid) -> io::Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let bytes = |name: &str| kib_field(&text, name) * 1024;
    Ok(Memory {
        private: bytes("Private_Clean:") + bytes("Private_Dirty:"),
        resident: bytes("Rss:"),
    })
}

/// Returns the number in a line such as `Rss:    1234 kB`.
fn kib_field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Counts the open file descriptors of a process.
pub(crate) fn open_fds(pid: Pid) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Returns the CPU time of a process in nanoseconds, for all threads, even those that ended:
/// `clock_getcpuclockid(3)`.
pub(crate) fn cpu_time(pid: Pid) -> io::Result<Duration> {
    Ok(clock_gettime(clock_getcpuclockid(pid)?)?.into())
}

/// Returns the CPU time of a process's children that have ended and were waited for, in clock ticks.
pub(crate) fn ended_children_cpu_time(pid: Pid) -> io::Result<Duration> {
    let fields = stat_fields(pid)?;
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse().ok())
            .unwrap_or(0)
    };
    Ok(ticks_to_time(ticks(CUTIME) + ticks(CSTIME)))
}

/// Returns the processes of one process group and all their descendants, found among all processes.
///
/// sshd moves the process of each session into a group of its own.
pub(crate) fn family(group: Pid) -> io::Result<Vec<Pid>> {
    let mut others = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        others.extend(pid.map(Pid::from_raw).and_then(relatives));
    }
    let in_group = |other: &Relatives| other.group == group;
    let (mut family, mut others): (Vec<_>, Vec<_>) = others.into_iter().partition(in_group);
    loop {
        let is_child = |other: &Relatives| family.iter().any(|one| one.pid == other.parent);
        let (children, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(is_child);
        if children.is_empty() {
            return Ok(family.iter().map(|one| one.pid).collect());
        }
        family.extend(children);
        others = rest;
    }
}

#[derive(Debug)]
struct Relatives {
    pid: Pid,
    parent: Pid,
    group: Pid,
}

/// Reads them; `None` if the process has ended since it was listed.
fn relatives(pid: Pid) -> Option<Relatives> {
    let fields = stat_fields(pid).ok()?;
    let field = |index: usize| Some(Pid::from_raw(fields.get(index)?.parse().ok()?));
    let (parent, group) = (field(PPID)?, field(PGRP)?);
    Some(Relatives { pid, parent, group })
}

// Positions in /proc/PID/stat after the command name, which may contain spaces: field 3 is 0 here.
const PPID: usize = 1;
const PGRP: usize = 2;
const CUTIME: usize = 13;
const CSTIME: usize = 14;

fn stat_fields(pid: Pid) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    Ok(rest.split_whitespace().map(String::from).collect())
}

/// Returns how long a core was busy since boot, with the work of all processes and the hypervisor's share.
pub(crate) fn core_busy_time(core: usize) -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let label = format!("cpu{core}");
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(&label));
    // user nice system idle iowait irq softirq steal
    let ticks: Vec<u64> = line
        .unwrap_or("")
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let busy = [0, 1, 2, 5, 6, 7]
        .iter()
        .filter_map(|&index| ticks.get(index))
        .sum();
    Ok(ticks_to_time(busy))
}

fn ticks_to_time(ticks: u64) -> Duration {
    const USUAL: i64 = 100;
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(USUAL);
    Duration::from_secs(ticks) / u32::try_from(per_second).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_field_with_its_unit() {
        let text = "Rss:                1234 kB\nPrivate_Dirty:        56 kB\n";
        assert_eq!(kib_field(text, "Private_Dirty:"), 56);
        assert_eq!(kib_field(text, "Swap:"), 0);
    }

    #[test]
    fn sees_this_process() {
        let me = nix::unistd::getpid();
        let memory = memory(me).unwrap();
        assert!(
            memory.private > 0 && memory.resident >= memory.private,
            "{memory:?}"
        );
        assert!(open_fds(me).unwrap() >= 3);
        assert!(cpu_time(me).unwrap() > Duration::ZERO);
        let group = nix::unistd::getpgrp();
        assert!(family(group).unwrap().contains(&me));
    }

    #[test]
    fn a_core_has_been_busy_since_boot() {
        let total: Duration = (0..64).map(|core| core_busy_time(core).unwrap()).sum();
        assert!(total > Duration::ZERO);
    }

    #[test]
    fn a_child_in_a_group_of_its_own_is_family() {
        use std::os::unix::process::CommandExt as _;
        use std::process::Command;

        let group = nix::unistd::getpgrp();
        let mut child = Command::new("sleep")
            .arg("60")
            .process_group(0)
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let family = family(group).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&pid), "{family:?} without {pid}");
    }
}
