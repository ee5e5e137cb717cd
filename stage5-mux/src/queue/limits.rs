//! The bounds of the queue that an operator may set.

use std::time::Duration;

use stage1_server::Keepalive;
use stage4_proxy::inspect;
use stage4_proxy::resolve::ResolverLimits;

/// The bounds that keep one client, or all of them together, from exhausting the machine or
/// blocking the upstream.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Clients at the same time; further ones wait in the accept queue.
    pub max_connections: u32,
    /// Requests in the queue; further ones are refused.
    pub max_queue: usize,
    /// Bytes of a request's head or line.
    pub max_head: usize,
    /// Bytes of a request's body that are held; a larger body streams in its exchange.
    pub max_body: usize,
    /// Bytes of a response that are held for a slow client.
    pub max_buffered: usize,
    /// Time for a client to send a request, to be idle between two requests, and to read or send a
    /// buffer's worth of bytes while the upstream waits for it.
    pub client_timeout: Duration,
    /// Time without a byte to the upstream, or from it to the client, during an exchange. A quarter of it,
    /// but at least a second, is the time of a repeatable request over a kept connection.
    pub upstream_timeout: Duration,
    /// How long the upstream connection is kept without a request.
    pub keep_idle: Duration,
    /// Time for each address of the upstream, and for resolving its name.
    pub connect_timeout: Duration,
    /// Time that a drain takes at most; then the remaining clients are reset. Zero resets all at
    /// once.
    pub drain_timeout: Duration,
    /// When the kernel ends a connection whose peer has vanished; `None` for never. It ends one whose peer only pauses as
    /// well, but `client_timeout` ends that much earlier.
    pub keepalive: Option<Keepalive>,
    /// Time for a lingering close: the client reads its last reply and closes.
    pub linger: Duration,
    /// The thread that looks the upstream's name up, and the cache for its answer.
    pub resolver: ResolverLimits,
    /// Bytes of one read(2).
    pub chunk: usize,
    /// Steps that one connection may make in one turn of the loop.
    pub steps_per_turn: usize,
    /// Clients accepted in one turn of the loop.
    pub accepts_per_turn: usize,
    /// Events taken from the kernel in one turn of the loop.
    pub events_per_turn: usize,
}

/// Descriptors that are no clients: standard streams, listener, poller, waker, the upstream and the
/// other attempts to connect to it, the inspector, the files that resolving a name opens. The inspector's
/// clients come on top.
const RESERVED_FDS: u64 = 22;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 65_536,
            max_queue: 1024,
            max_head: 64 * 1024,
            max_body: 1024 * 1024,
            max_buffered: 1024 * 1024,
            client_timeout: Duration::from_secs(30),
            upstream_timeout: Duration::from_secs(60),
            // Below the five seconds after which many servers close (Apache httpd, Node.js), so
            // that a request rarely leaves in the moment in which the upstream closes.
            keep_idle: Duration::from_secs(4),
            connect_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(5),
            keepalive: Some(Keepalive::default()),
            linger: Duration::from_secs(5),
            // There is one name, and so one lookup at a time.
            resolver: ResolverLimits {
                threads: 1,
                names: 1,
                ..ResolverLimits::default()
            },
            chunk: 64 * 1024,
            steps_per_turn: 16,
            accepts_per_turn: 64,
            events_per_turn: 256,
        }
    }
}

impl Limits {
    /// Lowers the number of clients so that `fds` descriptors are enough.
    #[must_use]
    pub fn within_fds(mut self, fds: u64) -> Self {
        let reserved = RESERVED_FDS + inspect::capacity(fds);
        let usable = fds.saturating_sub(reserved).max(1);
        self.max_connections = u32::try_from(usable)
            .unwrap_or(u32::MAX)
            .min(self.max_connections);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_those_of_the_inspector_fit_into_the_descriptors() {
        for fds in [64, 256, 1024, 20_000] {
            let limits = Limits::default().within_fds(fds);
            let used = RESERVED_FDS + inspect::capacity(fds) + u64::from(limits.max_connections);
            assert_eq!(used, fds);
        }
    }
}
