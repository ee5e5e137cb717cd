//! How many sessions the fd limit allows, for us and for the proxies that inherit it.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

const WANTED_IDLE: usize = 5_000;
const WANTED_CAPACITY: usize = 5_500;
/// For 10,000 streams whose two ends are both in this process.
const WANTED_FDS: u64 = 21_000;

/// Raises the fd limit to what is allowed, and prints a warning if that is not enough.
pub(crate) fn raise_fd_limit() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Only the superuser may raise the hard limit, and nothing is lost if it stays.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard.max(WANTED_FDS));
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let idle = idle_sessions();
    if idle < WANTED_IDLE {
        eprintln!(
            "relay-bench: the fd limit {hard} allows {idle} idle sessions, not {WANTED_IDLE}"
        );
    }
    Ok(())
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
