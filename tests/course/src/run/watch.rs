//! Watches a test's processes: their number and memory together, for which the kernel has no limit without cgroups.

use std::fs;
use std::time::{Duration, Instant};

/// How often all processes are counted; starting thousands takes longer.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The most processes of a test; an honest one has a few.
const TEST_PROCESSES: usize = 200;
/// The most processes of a compiler: a few for each processor.
const BUILD_PROCESSES: usize = 4000;
/// The bytes of a page.
const PAGE: u64 = 4096;

/// Counts all descendants of this process now and then.
#[derive(Debug)]
pub(super) struct Watch {
    memory: u64,
    processes: usize,
    next: Instant,
}

impl Watch {
    /// Creates a watch with a bound for the memory in MiB; a compiler may have more processes than a test.
    pub(super) fn new(memory: u64, build: bool) -> Self {
        let processes = if build {
            BUILD_PROCESSES
        } else {
            TEST_PROCESSES
        };
        Self {
            memory: memory << 20,
            processes,
            next: Instant::now(),
        }
    }

    /// Describes the bound that is exceeded, if any; counts only once per interval.
    pub(super) fn look(&mut self) -> Option<String> {
        if Instant::now() < self.next {
            return None;
        }
        let all = descendants(self.processes + 1);
        self.next = Instant::now() + POLL_INTERVAL;
        if all.len() > self.processes {
            return Some(format!(
                "more than {} processes at the same time",
                self.processes
            ));
        }
        let memory: u64 = all.iter().filter_map(|pid| resident(*pid)).sum();
        (memory > self.memory).then(|| format!("more than {} MiB of memory", self.memory >> 20))
    }
}

/// Lists processes below this one, inherited orphans included (`proc_pid_task(5)`).
///
/// Stops at `enough`, because walking a tree that grows faster than we walk would never end.
pub(super) fn descendants(enough: usize) -> Vec<i32> {
    let mut found = Vec::new();
    let mut open = vec!["self".to_owned()];
    while let Some(parent) = open.pop().filter(|_| found.len() < enough) {
        let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else {
            continue;
        };
        for thread in threads.flatten() {
            let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            open.extend(text.split_whitespace().map(str::to_owned));
            found.extend(text.split_whitespace().flat_map(str::parse::<i32>));
        }
    }
    found
}

/// Returns the bytes of memory that a process uses now: the second number of `statm` (`proc_pid_statm(5)`).
fn resident(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn children_of_children_are_found_and_measured() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo started; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(shell.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        let all = descendants(usize::MAX);
        assert_eq!(descendants(1).len(), 1);
        let shell_pid = i32::try_from(shell.id()).unwrap();
        let grandchild = fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.id()));
        let grandchild: i32 = grandchild.unwrap().trim().parse().unwrap();
        assert!(
            all.contains(&shell_pid) && all.contains(&grandchild),
            "{all:?}"
        );
        assert!(resident(shell_pid).unwrap() > 100_000);
        let greedy = Watch::new(0, false).look();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(grandchild),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        shell.wait().unwrap();
        assert!(greedy.unwrap().contains("memory"));
        assert_eq!(Watch::new(1 << 20, false).look(), None);
    }
}
