//! The bounds of the proxy that an operator may set.

use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use stage1_server::Keepalive;
use stage1_server::cli::cannot;

use crate::inspect;
use crate::resolve::ResolverLimits;
use crate::udp::UdpLimits;

/// The bounds that keep one client, or all clients together, from exhausting the machine.
///
/// Bounds that follow from a protocol or from the kernel are constants beside the code that they bound.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Concurrent sessions, over all workers; further clients wait in the accept queue.
    pub max_connections: u32,
    /// Concurrent sessions of one client address, over all workers, or of one /64 of IPv6; `None` for no bound. A further
    /// client of the address is closed at once. Its flows of datagrams have the same bound, apart from its sessions.
    pub max_per_client: Option<NonZeroU32>,
    /// Time for each address of a target, and for resolving its name.
    pub connect_timeout: Duration,
    /// Time for the client's handshake, from accept(2) to its last byte; also for the first byte of a further
    /// request, and from there to the end of its head.
    pub handshake_timeout: Duration,
    /// Time for which the refusal of a wrong password is held back, so that guessing costs time.
    pub wrong_password_delay: Duration,
    /// Time without a byte that comes or leaves, in either direction, after which a session ends; `None`
    /// for never.
    pub idle_timeout: Option<Duration>,
    /// Idle limit after one side has sent its FIN, because the other may never answer.
    pub half_close_timeout: Duration,
    /// Time without a byte that leaves in which a client may still read its last bytes: a refusal, or
    /// what came before a reset.
    pub linger_timeout: Duration,
    /// Time that open sessions get to end after a request to stop; zero ends them at once, and no byte
    /// puts it off.
    pub drain_timeout: Duration,
    /// When a peer has vanished, so that its session ends; `None` for never.
    pub keepalive: Option<Keepalive>,
    /// Bytes that a client may send before its target is known.
    pub max_handshake: usize,
    /// Bytes of one read(2), and so the most that a half holds in its buffer.
    pub chunk: usize,
    /// Bytes that a half may move in one turn of the loop, before the other sessions are advanced.
    pub bytes_per_turn: usize,
    /// Clients accepted in one turn of the loop, so that a burst does not starve the open sessions.
    pub accepts_per_turn: usize,
    /// Events taken from the kernel in one turn.
    pub events_per_turn: usize,
    /// Pipes for splice(2) that one worker may own.
    pub pipes: usize,
    /// Bytes that a pipe is asked to hold.
    pub pipe_size: usize,
    /// Sockets that one worker's sessions may have beyond their two, while they try several addresses
    /// at the same time.
    pub extra_attempts: usize,
    /// The flows of datagrams.
    pub udp: UdpLimits,
    /// The threads that look names up, and the cache for their answers.
    pub resolver: ResolverLimits,
}

/// Descriptors that are not sockets of sessions: standard streams, listeners, pollers, wakers, timers,
/// the inspector, the files that resolving a name opens. The inspector's clients come on top.
const RESERVED_FDS: u64 = 12;
const RESERVED_FDS_PER_WORKER: u64 = 4;

/// The soft limit of open files on most systems, for a kernel that does not tell it.
const USUAL_FDS: u64 = 1024;

const NO_ROOM: &str = "serve a client under this limit of open files";

/// Concurrent sessions without `--max-connections`, if the descriptors allow it.
const DEFAULT_MAX_CONNECTIONS: u32 = 65_536;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_per_client: None,
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            wrong_password_delay: Duration::from_secs(1),
            idle_timeout: None,
            half_close_timeout: Duration::from_secs(60),
            linger_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(5),
            keepalive: Some(Keepalive::default()),
            max_handshake: 64 * 1024,
            chunk: 32 * 1024,
            bytes_per_turn: 1024 * 1024,
            accepts_per_turn: 64,
            events_per_turn: 256,
            pipes: 64,
            pipe_size: 1024 * 1024,
            extra_attempts: 1024,
            udp: UdpLimits::default(),
            resolver: ResolverLimits::default(),
        }
    }
}

impl Limits {
    /// Lowers the bounds so that `workers` workers need at most `fds` descriptors: two for each
    /// session, two for each pipe, one for each extra attempt, one for each flow of
    /// datagrams, two for each worker's socket that clients send datagrams to.
    #[must_use]
    pub fn within_fds(mut self, fds: u64, workers: usize) -> Self {
        let workers = workers.max(1) as u64;
        let usable = fds.saturating_sub(reserved(fds, workers));
        let share = usable / 32 / workers;
        let pipes = share.min(self.pipes as u64);
        let extra = share.min(self.extra_attempts as u64);
        let datagrams = self.udp.sockets(workers).min(usable / 4);
        let sessions = ((usable - (2 * pipes + extra) * workers - datagrams) / 2).max(1);
        self.udp.bound_sockets(datagrams, workers);
        self.pipes = usize::try_from(pipes).unwrap_or(self.pipes);
        self.extra_attempts = usize::try_from(extra).unwrap_or(self.extra_attempts);
        self.max_connections = u32::try_from(sessions)
            .unwrap_or(u32::MAX)
            .min(self.max_connections);
        self
    }
}

/// Returns how many of `fds` descriptors are not for sessions.
fn reserved(fds: u64, workers: u64) -> u64 {
    RESERVED_FDS + inspect::capacity(fds) + RESERVED_FDS_PER_WORKER * workers
}

/// Raises the soft limit of open files to the hard one and returns what holds then (`setrlimit(2)`).
///
/// A kernel that does not permit it costs sessions and not the start: the soft limit stays, with a
/// warning. That happens where the hard limit is above `fs.nr_open`, and under seccomp.
#[must_use]
pub fn raise_fd_limit() -> u64 {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "cannot read the limit of open files, {USUAL_FDS} are assumed");
            return USUAL_FDS;
        }
    };
    if soft >= hard {
        return soft;
    }
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            tracing::warn!(%error, soft, hard, "cannot raise the limit of open files, the soft one stays");
            soft
        }
    }
}

/// Checks that descriptors for one session are left, once everything else has been opened.
///
/// Without them a program would listen and never serve a client.
///
/// # Errors
///
/// Fails if the limit of open files leaves less than a client, its upstream and the files that
/// resolving a name opens.
pub fn check_room_for_a_session() -> io::Result<()> {
    // Each pipe takes two descriptors, and gives them back at the end of this function.
    let first = io::pipe().map_err(cannot(NO_ROOM))?;
    let second = io::pipe().map_err(cannot(NO_ROOM))?;
    drop((first, second));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_pipes_fit_into_the_descriptors() {
        for fds in [0, 20, 32, 64, 256, 1024, 20_000, 1 << 30] {
            for workers in [1, 2, 8] {
                let limits = Limits::default().within_fds(fds, workers);
                let reserved = reserved(fds, workers as u64);
                let used = 2 * u64::from(limits.max_connections)
                    + (2 * limits.pipes * workers) as u64
                    + (limits.extra_attempts * workers) as u64
                    + u64::from(limits.udp.max_flows)
                    + reserved;
                assert!(used <= fds.max(reserved + 2), "{fds} fds, {used} used");
            }
        }
    }

    #[test]
    fn the_clients_of_the_inspector_have_descriptors_of_their_own() {
        for (fds, clients) in [(24, 4), (1024, 16), (20_000, 64)] {
            assert_eq!(inspect::capacity(fds), clients);
            assert_eq!(reserved(fds, 1), 16 + clients);
        }
        assert_eq!(Limits::default().within_fds(26, 1).max_connections, 2);
    }

    #[test]
    fn a_smaller_wish_is_kept() {
        let limits = Limits {
            max_connections: 3,
            ..Limits::default()
        };
        assert_eq!(limits.within_fds(20_000, 1).max_connections, 3);
    }
}
