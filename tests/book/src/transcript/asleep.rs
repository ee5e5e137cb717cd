//! Whether programs wait for something to happen, or still work: on a busy machine silence alone does not tell.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(15);
/// So many looks in a row must find the programs asleep, because one that has just been woken by another may not run yet,
/// and on a busy machine one that starts may wait long for its next page.
const LOOKS: usize = 4;

/// Waits until every thread of the processes of `group` is blocked and has stayed so, or `deadline` has passed.
///
/// A program that never waits, such as a loop that spins, costs the whole time.
pub(super) fn wait_until_asleep(group: Pid, deadline: Instant) {
    let (mut before, mut looks) = (None, 0);
    while Instant::now() < deadline && looks < LOOKS {
        if looks > 0 {
            thread::sleep(PAUSE);
        }
        let now = blocked(group);
        looks = if now.is_some() && now == before {
            looks + 1
        } else {
            1
        };
        before = now;
    }
}

/// Returns how often the threads of a group have given up the processor, or `None` if one of them runs or wants to.
fn blocked(group: Pid) -> Option<u64> {
    let mut switches = 0;
    for process in processes(group) {
        for thread in fs::read_dir(format!("/proc/{process}/task"))
            .ok()?
            .flatten()
        {
            let status = fs::read_to_string(thread.path().join("status")).ok()?;
            // It runs, waits for a processor, or for a disk; all other states wait for something else, or have ended
            // (proc_pid_status(5)).
            if field(&status, "State:").starts_with(['R', 'D']) {
                return None;
            }
            switches += field(&status, "voluntary_ctxt_switches:")
                .parse()
                .unwrap_or(0);
        }
    }
    Some(switches)
}

/// Lists the processes of a group (`proc_pid_stat(5)`).
fn processes(group: Pid) -> Vec<u32> {
    let is_member = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name before may hold anything, a parenthesis too; then come state, parent and group.
        let group_of = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(2)?.parse().ok());
        group_of == Some(group.as_raw())
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(is_member).collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let mut lines = status.lines();
    lines
        .find_map(|line| line.strip_prefix(name))
        .map_or("", str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    fn start(script: &str) -> (Child, Pid) {
        let mut bash = Command::new("bash");
        let child = bash.args(["-c", script]).process_group(0).spawn().unwrap();
        let group = Pid::from_raw(child.id().cast_signed());
        (child, group)
    }

    #[test]
    fn a_program_that_waits_is_asleep_and_one_that_works_is_not() {
        let (mut sleeper, group) = start("for i in {1..20000}; do :; done; exec sleep 60");
        wait_until_asleep(group, Instant::now() + Duration::from_secs(20));
        let name = fs::read_to_string(format!("/proc/{}/comm", sleeper.id())).unwrap();
        assert_eq!(name, "sleep\n", "it had worked before");
        let (mut spinner, group) = start("(while :; do :; done) & wait");
        let begun = Instant::now();
        let time = Duration::from_millis(200);
        wait_until_asleep(group, begun + time);
        assert!(begun.elapsed() >= time, "a child spins");
        for child in [&mut sleeper, &mut spinner] {
            let group = Pid::from_raw(child.id().cast_signed());
            nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
            child.wait().unwrap();
        }
    }
}
