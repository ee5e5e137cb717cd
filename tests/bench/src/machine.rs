//! The machine on which the figures were measured.

use std::fs;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::utsname::uname;

use crate::cores::Cores;
use crate::options::Plan;
use crate::peers::Subject;

/// The machine and the programs.
#[derive(Debug)]
pub(crate) struct Machine {
    /// The day of the run, as `2026-11-30`, in UTC.
    pub(crate) date: String,
    kernel: String,
    processor: String,
    core_count: usize,
    cores: Cores,
    congestion_control: String,
    /// The version of each program, in its own words.
    pub(crate) versions: Vec<String>,
}

impl Machine {
    /// Reads the description of this machine.
    pub(crate) fn look(plan: &Plan) -> Self {
        let mut versions: Vec<String> = plan.subjects.iter().filter_map(Subject::version).collect();
        versions.dedup();
        let core_count = online_cores();
        Self {
            date: date(days_since_1970()),
            kernel: kernel(),
            processor: processor(),
            core_count,
            cores: plan.cores,
            congestion_control: congestion_control(),
            versions,
        }
    }

    /// Returns one sentence about it.
    pub(crate) fn sentence(&self) -> String {
        let Self {
            kernel,
            processor,
            core_count,
            cores,
            congestion_control,
            ..
        } = self;
        let (proxy, load) = (cores.proxy, cores.load);
        format!(
            "{kernel}; {processor}, cores: {core_count}; the proxy alone on core {proxy}, \
             load and upstream on core {load}; one worker each; loopback, congestion control {congestion_control}."
        )
    }
}

fn days_since_1970() -> u64 {
    const DAY: u64 = 24 * 60 * 60;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs() / DAY)
}

/// Writes the day down, by the Gregorian calendar.
fn date(mut days: u64) -> String {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

fn kernel() -> String {
    uname().map_or("unknown kernel".into(), |names| {
        let name = names.sysname().to_string_lossy();
        format!("{name} {}", names.release().to_string_lossy())
    })
}

/// Returns the congestion control of new connections, which changes loopback by up to a factor of two: `tcp(7)`.
fn congestion_control() -> String {
    let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
    text.map_or("unknown".into(), |name| name.trim().into())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':'))
        .map_or("unknown processor".into(), |(_, name)| name.trim().into())
}

/// Returns the number of all cores of the machine, because a pinned thread is told of its own one only.
fn online_cores() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let listed = text
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    if listed > 0 {
        listed
    } else {
        thread::available_parallelism().map_or(1, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Machine {
        /// Creates the description of no machine.
        pub(crate) fn example() -> Self {
            Self {
                date: "2026-11-30".into(),
                kernel: "Linux".into(),
                processor: "a processor".into(),
                core_count: 2,
                cores: Cores { proxy: 0, load: 1 },
                congestion_control: "reno".into(),
                versions: Vec::new(),
            }
        }
    }

    #[test]
    fn days_are_dates() {
        for (days, text) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_787, "2026-11-30"),
            (20_818, "2026-12-31"),
        ] {
            assert_eq!(date(days), text);
        }
    }
}
