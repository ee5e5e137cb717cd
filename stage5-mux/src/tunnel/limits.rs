//! The bounds of a session, and of the worker around it.

use std::num::NonZeroU32;
use std::time::Duration;

use stage1_server::Keepalive;
use stage4_proxy::resolve::ResolverLimits;

use crate::tunnel::wire::Wire;

/// The bounds that keep a peer, or the streams of a link, from exhausting the machine.
#[derive(Clone, Debug)]
pub struct SessionLimits {
    /// Streams at the same time; further ones of the peer are reset, and [`open`](super::session::Session::open)
    /// fails. The Rust crate `yamux` ends a session with more than 512.
    pub max_streams: usize,
    /// Bytes to which the window of one stream may grow.
    pub max_window: u32,
    /// Bytes that all windows of a link may grow by, beyond their first size.
    pub window_budget: u64,
    /// How long a peer may be silent, if the wire has pings; `None` for any time. It is asked for a sign of life
    /// after half of that.
    pub keepalive: Option<Duration>,
    /// Bytes of one write to the link; one frame more may follow.
    pub batch: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            max_streams: 16_384,
            max_window: 16 * 1024 * 1024,
            window_budget: 64 * 1024 * 1024,
            keepalive: Some(Duration::from_secs(30)),
            batch: 64 * 1024,
        }
    }
}

/// The bounds of one end of a tunnel.
#[derive(Clone, Debug)]
pub struct TunnelLimits {
    /// The bounds of the session.
    pub session: SessionLimits,
    /// Local connections at the same time; further clients wait in the accept queue.
    pub max_connections: u32,
    /// Connections of one client's address at the same time; `None` for any number. See
    /// [`PerClient`](stage4_proxy::access::PerClient) for what counts as one.
    pub max_per_client: Option<NonZeroU32>,
    /// Time for each address that is dialled, for the link and for each stream.
    pub connect_timeout: Duration,
    /// Time for a client's handshake, for its next request on a kept connection, and for a stream's request header.
    pub handshake_timeout: Duration,
    /// Time for the server to say whether a client's target is connected.
    pub answer_timeout: Duration,
    /// Time for which the refusal of a wrong password is held back, so that guessing costs time.
    pub wrong_password_delay: Duration,
    /// Time in which a refused client, or the peer of a refused stream, may still read its last bytes.
    pub linger_timeout: Duration,
    /// Bytes that a client may send before its target is known.
    pub max_handshake: usize,
    /// Sockets that all streams together may have beyond one for each, while they try several addresses.
    pub extra_attempts: usize,
    /// Time without a byte, both ways, after which a connection is reset; `None` for any time.
    pub idle_timeout: Option<Duration>,
    /// The same once one direction has ended, or the link is lost and bytes are left for the local side.
    pub half_close_timeout: Duration,
    /// Time that a drain takes at most; then the remaining connections are reset.
    pub drain_timeout: Duration,
    /// When the kernel ends a connection whose peer has vanished; `None` for never. It spares a reader that pauses: a
    /// peer that vanishes while bytes for it are unacknowledged is given up when the kernel stops to repeat them. The
    /// link has the stricter rule of [`SessionLimits::keepalive`].
    pub keepalive: Option<Keepalive>,
    /// The threads that look names up, and the cache for their answers.
    pub resolver: ResolverLimits,
    /// Clients accepted in one turn of the loop.
    pub accepts_per_turn: usize,
    /// Events taken from the kernel in one turn of the loop.
    pub events_per_turn: usize,
}

impl TunnelLimits {
    /// Returns how long one stream may hold up all others: half of the time in which a silent link ends, because the
    /// peer's kernel takes a link that is not read for a dead one. On a wire with windows no stream can.
    pub(super) fn stall_limit<W: Wire>(&self) -> Option<Duration> {
        let time = self.session.keepalive.filter(|_| !W::HAS_WINDOWS)?;
        Some(time / 2)
    }
}

impl Default for TunnelLimits {
    fn default() -> Self {
        Self {
            session: SessionLimits::default(),
            max_connections: 16_384,
            max_per_client: None,
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            wrong_password_delay: Duration::from_secs(1),
            linger_timeout: Duration::from_secs(10),
            max_handshake: 64 * 1024,
            extra_attempts: 256,
            idle_timeout: None,
            half_close_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(5),
            keepalive: Some(Keepalive::default().sparing_pauses()),
            // There is one name, and so one lookup at a time.
            resolver: ResolverLimits {
                threads: 1,
                names: 1,
                ..ResolverLimits::default()
            },
            accepts_per_turn: 64,
            events_per_turn: 256,
        }
    }
}

/// Descriptors of a tunnel that are no local connections: standard streams, listeners, poller, waker, the link, and
/// the files that resolving a name opens.
const RESERVED_FDS: u64 = 24;

impl TunnelLimits {
    /// Lowers the bounds so that local connections and further attempts need at most `fds` descriptors with the rest.
    #[must_use]
    pub fn within_fds(mut self, fds: u64) -> Self {
        let usable = fds.saturating_sub(RESERVED_FDS).max(1);
        let extra = (usable / 32).min(self.extra_attempts as u64);
        let connections = u32::try_from(usable - extra).unwrap_or(u32::MAX);
        self.extra_attempts = usize::try_from(extra).unwrap_or(self.extra_attempts);
        self.max_connections = self.max_connections.min(connections);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_fit_into_the_descriptors() {
        for fds in [0, 1, 24, 25, 64, 1024, 65_536, u64::MAX] {
            let limits = TunnelLimits::default().within_fds(fds);
            let used = u64::from(limits.max_connections) + limits.extra_attempts as u64;
            assert!(used + RESERVED_FDS <= fds.max(RESERVED_FDS + 1), "{fds}");
            assert!(limits.max_connections >= 1, "{fds}");
        }
    }
}
