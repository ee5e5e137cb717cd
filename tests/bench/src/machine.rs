//! The machine on which the figures were measured.

use std::fs;
use std::thread;

use nix::sys::utsname::uname;

use crate::cores::Cores;
use crate::options::Plan;
use crate::peers::Subject;

/// The machine and the programs.
#[derive(Debug)]
pub(crate) struct Machine {
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
