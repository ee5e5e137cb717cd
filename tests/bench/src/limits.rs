//! How many sessions the fd limit allows, for us and for the proxies that inherit it.

use std::fs;
use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

const WANTED_IDLE: usize = 5_000;
const WANTED_CAPACITY: usize = 5_500;
/// For 10,000 streams whose two ends are both in this process.
const WANTED_FDS: u64 = 21_000;
/// For 30,000 sessions whose two ends are both in this process, and for a proxy that keeps some in reserve.
const WANTED_HARD_LIMIT: u64 = 100_000;

/// Raises the fd limit to what is allowed, and prints a warning if that is not enough.
///
/// The hard limit becomes higher still, for the few measurements that ask for it with [`raise_to_hard_limit`]: some
/// programs set memory aside for each descriptor that they may have.
pub(crate) fn raise_fd_limit() -> io::Result<()> {
    let (_, before) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Only the superuser may raise the hard limit, and nothing is lost if it stays.
    let _ = setrlimit(
        Resource::RLIMIT_NOFILE,
        before,
        before.max(WANTED_HARD_LIMIT),
    );
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let usual = hard.min(before.max(WANTED_FDS));
    setrlimit(Resource::RLIMIT_NOFILE, usual, hard)?;
    let idle = idle_sessions();
    if idle < WANTED_IDLE {
        eprintln!(
            "relay-bench: the fd limit {usual} allows {idle} idle sessions, not {WANTED_IDLE}"
        );
    }
    Ok(())
}

/// The limit as high as it goes; dropping it puts the usual one back.
#[derive(Debug)]
pub(crate) struct Raised {
    usual: u64,
}

/// Raises the fd limit for us and for the programs that are started meanwhile.
pub(crate) fn raise_to_hard_limit() -> io::Result<Raised> {
    let (usual, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(Raised { usual })
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            // It only becomes lower, which is always allowed.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, self.usual.min(hard), hard);
        }
    }
}

/// Checks that so many sessions fit, in us and in a proxy that is configured for `capacity`.
///
/// # Errors
///
/// The error says how many descriptors are missing.
pub(crate) fn check_descriptors(sessions: usize, capacity: usize) -> Result<(), String> {
    const RESERVE: usize = 500;
    let needed = (2 * sessions.max(capacity) + RESERVE) as u64;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| error.to_string())?;
    if hard >= needed {
        return Ok(());
    }
    Err(format!(
        "{sessions} sessions need {needed} open files, and the limit is {hard}: `ulimit -Hn {needed}` as root"
    ))
}

/// Returns how many connections between the same two addresses the local ports allow: `ip_local_port_range` in `ip(7)`.
pub(crate) fn local_ports() -> usize {
    const USUAL: usize = 28_000;
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ports = text
        .split_whitespace()
        .filter_map(|word| word.parse::<usize>().ok());
    ports
        .next()
        .zip(ports.next())
        .map_or(USUAL, |(first, last)| last - first)
}

/// Returns the number of sessions that a proxy must be configured for.
///
/// Two and a half fds each: HAProxy, when it splices, keeps room for half a fd of pipes.
pub(crate) fn session_capacity() -> usize {
    const RESERVE: u64 = 100;
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let fitting = limit.saturating_sub(RESERVE) * 2 / 5;
    usize::try_from(fitting)
        .unwrap_or(WANTED_CAPACITY)
        .min(WANTED_CAPACITY)
}

/// Returns how many sessions a proxy can hold that needs so many fds for each.
pub(crate) fn sessions_of(fds_each: u64) -> usize {
    const RESERVE: u64 = 100;
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let fitting = limit.saturating_sub(RESERVE) / fds_each.max(1);
    usize::try_from(fitting).unwrap_or(WANTED_CAPACITY)
}

/// Returns the number of idle streams to open: both their ends are ours, the client and the upstream.
pub(crate) fn idle_streams() -> usize {
    const WANTED: usize = 10_000;
    sessions_of(2).min(WANTED)
}

/// Returns the number of idle sessions to open.
pub(crate) fn idle_sessions() -> usize {
    session_capacity() * WANTED_IDLE / WANTED_CAPACITY
}
