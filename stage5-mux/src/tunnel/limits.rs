//! The bounds of a session.

use std::time::Duration;

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
