//! Readings from `/proc`: CPU, file descriptors, memory and threads of a program under test (`proc(5)`).

use std::collections::HashSet;
use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cause::Symptom;
use crate::deadline::{Deadline, holds_by, scaled};
use crate::eventually::eventually;
use crate::failure::{Failure, fail};
use crate::transcript::Transcript;

/// A CPU tick is 10 ms: `USER_HZ` is 100 on every Linux architecture of today.
const MILLISECONDS_PER_TICK: u64 = 10;
/// The part of a window (a tenth) that a waiting program may use: a loop that blocks needs 0, a spinning one all of it.
const IDLE_DIVISOR: u32 = 10;
/// The part of a window (a fiftieth) that a process may run if it also queued for the CPU: a few short turns.
const TOUCH_DIVISOR: u32 = 50;
/// The part (half) that it may then want, queueing included, while a spinning loop wants all of it.
const BUSY_DIVISOR: u32 = 2;

/// Returns the CPU ticks (user and system) that `pid` has used.
///
/// # Panics
///
/// Panics if the process does not exist.
#[must_use]
#[track_caller]
pub fn cpu_ticks(pid: u32) -> u64 {
    let fields = stat_fields(pid);
    // Fields 14 and 15 of proc_pid_stat(5); the list here starts at field 3.
    number(&fields, 11) + number(&fields, 12)
}

/// Returns the state letter of `pid`: `R` running, `S` sleeping, `T` stopped, `Z` ended but not reaped.
///
/// # Panics
///
/// Panics if the process does not exist.
#[must_use]
#[track_caller]
pub fn state(pid: u32) -> char {
    stat_fields(pid)
        .first()
        .and_then(|field| field.chars().next())
        .unwrap_or('?')
}

/// Returns whether all threads of `pid` are blocked, and none of them waits for a processor.
#[must_use]
pub fn is_asleep(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads.is_ok_and(|mut threads| {
        threads.all(|thread| {
            let stat = thread.and_then(|thread| fs::read_to_string(thread.path().join("stat")));
            // The name before the state may hold anything, a parenthesis too.
            stat.is_ok_and(|text| {
                text.rsplit_once(") ")
                    .is_some_and(|(_, rest)| rest.starts_with('S'))
            })
        })
    })
}

/// Changes the soft limit of open files of a running program (`prlimit(1)`); prints the reason if it cannot.
#[must_use]
pub fn limit_files(pid: u32, soft: usize) -> bool {
    let mut command = std::process::Command::new("prlimit");
    command.args(["--pid", &pid.to_string(), &format!("--nofile={soft}:")]);
    let changed = command.status().is_ok_and(|status| status.success());
    if !changed {
        eprintln!("skipped: prlimit of util-linux is not installed, or is not permitted here");
    }
    changed
}

/// Returns the lowest file descriptor that `pid` does not use: the next one that it gets.
///
/// # Panics
///
/// Panics if the process does not exist.
#[must_use]
#[track_caller]
pub fn lowest_free_fd(pid: u32) -> usize {
    let fds = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries,
        Err(error) => gone(pid, &error),
    };
    let numbers = fds.filter_map(|fd| fd.ok()?.file_name().to_str()?.parse().ok());
    let used: HashSet<usize> = numbers.collect();
    (0..)
        .find(|number| !used.contains(number))
        .unwrap_or_default()
}

/// Returns the number of open file descriptors of `pid`.
///
/// # Panics
///
/// Panics if the process does not exist.
#[must_use]
#[track_caller]
pub fn fd_count(pid: u32) -> usize {
    match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries.count(),
        Err(error) => gone(pid, &error),
    }
}

/// Returns the resident memory of `pid` in KiB (`VmRSS`).
///
/// # Panics
///
/// Panics if the process does not exist.
#[must_use]
#[track_caller]
pub fn rss_kib(pid: u32) -> u64 {
    labelled(&read(pid, "status"), "VmRSS:")
}

/// Returns the memory in KiB that belongs to `pid` alone: heap, stacks, changed data (`Anonymous` of `smaps_rollup`).
///
/// Not the private pages that the kernel counts there as well: a page of the program's file is shared while another
/// process runs the same program, and becomes private when that one ends.
///
/// # Panics
///
/// Panics if the process does not exist.
#[must_use]
#[track_caller]
pub fn private_kib(pid: u32) -> u64 {
    labelled(&read(pid, "smaps_rollup"), "Anonymous:")
}

/// Returns the number of threads of `pid`.
///
/// # Panics
///
/// Panics if the process does not exist.
#[must_use]
#[track_caller]
pub fn threads(pid: u32) -> u64 {
    labelled(&read(pid, "status"), "Threads:")
}

/// How long the threads of a process had a CPU, and how long they queued for one.
#[derive(Clone, Copy, Debug)]
struct CpuTime {
    ran: Duration,
    queued: Duration,
}

impl CpuTime {
    /// Reads the first two numbers of each `/proc/PID/task/TID/schedstat`; the ticks on kernels without it.
    #[track_caller]
    fn of(pid: u32) -> Self {
        let threads = match fs::read_dir(format!("/proc/{pid}/task")) {
            Ok(threads) => threads.flatten(),
            Err(error) => gone(pid, &error),
        };
        let (mut ran, mut queued) = (Duration::ZERO, Duration::ZERO);
        for thread in threads {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let mut numbers = text.split_whitespace().flat_map(str::parse::<u64>);
            let (Some(first), Some(second)) = (numbers.next(), numbers.next()) else {
                return Self {
                    ran: Duration::from_millis(cpu_ticks(pid) * MILLISECONDS_PER_TICK),
                    queued: Duration::ZERO,
                };
            };
            ran += Duration::from_nanos(first);
            queued += Duration::from_nanos(second);
        }
        Self { ran, queued }
    }

    fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(before.ran),
            queued: self.queued.saturating_sub(before.queued),
        }
    }

    /// Returns whether a process with these times in a window was waiting for events.
    ///
    /// A spinning loop wants a CPU all the time, and on a busy machine it queues for most of it. But there a process that
    /// wakes up now and then also queues for each of its short turns, so queueing counts less if it hardly ran.
    fn is_idle(self, window: Duration) -> bool {
        let wanted = self.ran + self.queued;
        wanted <= window / IDLE_DIVISOR
            || self.ran <= window / TOUCH_DIVISOR && wanted <= window / BUSY_DIVISOR
    }
}

/// Checks that `pid` waits instead of spinning: it wants a CPU for at most a tenth of a window of length `over`, or
/// runs for hardly any of it.
///
/// Up to four windows are tried, because a program may still be busy with earlier work; a loop that spins
/// fails in all of them.
///
/// # Panics
///
/// Panics if no window is idle; the message has the readings of each.
#[track_caller]
pub fn assert_cpu_idle(pid: u32, over: Duration) {
    let window = scaled(over);
    let mut readings = Vec::new();
    for _ in 0..4 {
        let before = CpuTime::of(pid);
        // The one sleep that waits for no condition, because the window itself is measured.
        thread::sleep(window);
        let used = CpuTime::of(pid).since(before);
        let wanted = used.ran + used.queued;
        readings.push(wanted);
        if used.is_idle(window) {
            let step =
                format!("process {pid} wants the CPU for {wanted:?} of {window:?}: it waits");
            Transcript::current().step(step);
            return;
        }
    }
    Failure::new("The program burns CPU although it has nothing to do.")
        .detail(format!(
            "it wanted the CPU for {readings:?}, each time of {window:?}"
        ))
        .detail(format!("allowed: {:?}", window / IDLE_DIVISOR))
        .symptom(Symptom::Spin)
        .raise();
}

/// Waits until `pid` has at most `most` open file descriptors.
///
/// # Panics
///
/// Panics if the deadline passes first.
#[track_caller]
pub fn fds_return_to(pid: u32, most: usize) {
    let deadline = Deadline::patience();
    let what = format!("process {pid} is back to {most} file descriptors");
    let mut seen = 0;
    eventually_with(&what, deadline, Symptom::Leak, || {
        seen = fd_count(pid);
        (seen <= most, format!("it has {seen} open file descriptors"))
    });
}

#[track_caller]
fn eventually_with(
    what: &str,
    deadline: Deadline,
    symptom: Symptom,
    mut look: impl FnMut() -> (bool, String),
) {
    let mut last = String::new();
    let came = holds_by(deadline, &mut || {
        let (holds, seen) = look();
        last = seen;
        holds
    });
    if !came {
        Failure::new(format!(
            "This did not happen within {:?}: {what}",
            deadline.allowed()
        ))
        .detail(last)
        .symptom(symptom)
        .raise();
    }
    Transcript::current().step(format!("{what}: yes ({last})"));
}

/// Waits until `pid` is stopped (`stopped` is true) or no longer stopped.
#[track_caller]
pub(crate) fn wait_until_stopped(pid: u32, stopped: bool) {
    let what = if stopped {
        "the program stops at SIGSTOP"
    } else {
        "the program continues at SIGCONT"
    };
    eventually(what, Deadline::patience(), || {
        matches!(state(pid), 'T' | 't') == stopped
    });
}

/// Raises the limit of open files of this test process as far as it may go.
pub(crate) fn raise_open_files_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // A failure shows later, as a connection that cannot be opened.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The fields of `/proc/PID/stat` after the program's name, which may itself contain spaces.
#[track_caller]
fn stat_fields(pid: u32) -> Vec<String> {
    let text = read(pid, "stat");
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().map(str::to_owned).collect()
}

fn number(fields: &[String], index: usize) -> u64 {
    fields
        .get(index)
        .and_then(|field| field.parse().ok())
        .unwrap_or(0)
}

fn labelled(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[track_caller]
fn read(pid: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|error| gone(pid, &error))
}

#[track_caller]
fn gone(pid: u32, error: &std::io::Error) -> ! {
    fail(format!(
        "The program under test (process {pid}) is gone: {error}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn a_spin_is_told_from_short_turns_on_a_busy_machine() {
        let window = Duration::from_millis(500);
        let idle = |ran: u64, queued: u64| {
            let time = CpuTime {
                ran: Duration::from_millis(ran),
                queued: Duration::from_millis(queued),
            };
            time.is_idle(window)
        };
        assert!(idle(0, 0) && idle(30, 15), "waits for events");
        assert!(idle(5, 120), "five turns, each late");
        assert!(!idle(490, 5), "spins alone");
        assert!(!idle(40, 450), "spins on a busy machine");
        assert!(!idle(8, 480), "spins on a very busy machine");
        assert!(!idle(30, 60), "polls");
    }

    #[test]
    fn this_process_can_be_read() {
        let pid = process::id();
        assert!(fd_count(pid) >= 3);
        assert!(rss_kib(pid) > 100);
        assert!(private_kib(pid) > 10);
        assert!(threads(pid) >= 1);
        assert!(matches!(state(pid), 'R' | 'S'));
    }

    #[test]
    fn an_open_file_is_counted() {
        let program = process::Command::new("sleep")
            .arg("60")
            .stdin(process::Stdio::null())
            .spawn();
        let mut program = program.unwrap();
        let (count, ticks) = (fd_count(program.id()), cpu_ticks(program.id()));
        assert_cpu_idle(program.id(), Duration::from_millis(50));
        program.kill().unwrap();
        program.wait().unwrap();
        assert!((3..10).contains(&count), "{count}");
        assert!(ticks < 50, "{ticks}");
    }

    #[test]
    fn a_name_with_spaces_does_not_shift_the_fields() {
        assert_eq!(labelled("VmRSS:\t  1234 kB\nThreads:\t7\n", "Threads:"), 7);
        assert_eq!(labelled("", "Threads:"), 0);
    }

    #[test]
    #[should_panic(expected = "is gone")]
    fn a_process_that_ended_is_named() {
        let _ = cpu_ticks(u32::MAX);
    }

    #[test]
    #[should_panic(expected = "burns CPU")]
    fn a_spin_is_seen() {
        let mut spinner = process::Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap();
        let result =
            std::panic::catch_unwind(|| assert_cpu_idle(spinner.id(), Duration::from_millis(200)));
        spinner.kill().unwrap();
        spinner.wait().unwrap();
        if let Err(payload) = result {
            std::panic::resume_unwind(payload);
        }
    }
}
