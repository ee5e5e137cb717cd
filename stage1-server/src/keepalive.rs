//! Keepalive: how the kernel finds out that a peer has vanished.
//!
//! A machine that loses its power or its network sends neither FIN nor RST. A server that only waits for its bytes
//! would wait forever, and a client holds its place for as long.

use std::io;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

/// The intervals from a peer's last answer to the end of its connection, with a probe after each but the last.
const INTERVALS: u32 = 5;

/// The time without an answer after which a connection ends (`tcp(7)`).
///
/// ```text
///   last ACK     probe     probe     probe     probe     the connection ends: ETIMEDOUT
///      ├───────────┼─────────┼─────────┼─────────┼─────────┤
///      0          1×        2×        3×        4×        5×  the interval
/// ```
///
/// Probes alone are not enough, because the kernel sends none while bytes are unacknowledged: it repeats these bytes
/// instead, for a quarter of an hour. `TCP_USER_TIMEOUT` bounds that wait. It also overrides the count of probes
/// (`TCP_KEEPCNT`), which is left as it is, so both have the same end.
///
/// The kernel doesn't tell a peer that has vanished from one that is there and reads nothing: after the same time in
/// which its window stays closed, that one's connection ends as well. So the time must be longer than a reader's pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    interval: Duration,
}

impl Keepalive {
    /// The longest interval that the kernel takes (`MAX_TCP_KEEPIDLE`), a little more than 9 hours.
    pub const LONGEST: Duration = Duration::from_secs(32_767);

    /// Creates a keepalive whose probes come at this interval, rounded up to whole seconds.
    ///
    /// The interval is at least one second, and at most [`Keepalive::LONGEST`].
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        let seconds = interval.as_millis().div_ceil(1000).max(1);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        let interval = Duration::from_secs(seconds).min(Self::LONGEST);
        Self { interval }
    }

    /// Returns the time from a peer's last answer to the end of its connection.
    #[must_use]
    pub fn until_vanished(self) -> Duration {
        self.interval * INTERVALS
    }

    /// Sets the options on a socket; what a listener accepts has inherited them.
    ///
    /// # Errors
    /// Fails if the kernel lacks one of these options.
    pub fn set_on(self, socket: &Socket) -> io::Result<()> {
        let probes = TcpKeepalive::new()
            .with_time(self.interval)
            .with_interval(self.interval);
        socket.set_tcp_keepalive(&probes)?;
        socket.set_tcp_user_timeout(Some(self.until_vanished()))
    }
}

impl Default for Keepalive {
    /// A probe each minute: a peer that has vanished is noticed after five.
    fn default() -> Self {
        Self::every(Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::{ListenOptions, listen, local_addr};

    #[test]
    fn an_interval_is_whole_seconds() {
        let table = [(0, 1), (1, 1), (1000, 1), (1001, 2), (60_000, 60)];
        for (millis, seconds) in table {
            let keepalive = Keepalive::every(Duration::from_millis(millis));
            assert_eq!(keepalive.interval, Duration::from_secs(seconds));
        }
        let longest = Keepalive::every(Duration::MAX);
        assert_eq!(longest.interval, Keepalive::LONGEST);
    }

    #[test]
    fn the_longest_interval_is_one_that_the_kernel_takes() {
        let any = "127.0.0.1:0".parse().unwrap();
        let socket = listen(any, &ListenOptions::default()).unwrap();
        Keepalive::every(Keepalive::LONGEST)
            .set_on(&socket)
            .unwrap();
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Keepalive::LONGEST);
    }

    #[test]
    fn accepted_sockets_inherit_everything() {
        let keepalive = Keepalive::every(Duration::from_secs(7));
        let options = ListenOptions {
            keepalive: Some(keepalive),
            ..ListenOptions::default()
        };
        let listener = listen("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let _client = std::net::TcpStream::connect(local_addr(&listener).unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let seven = Duration::from_secs(7);
        assert!(accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), seven);
        assert_eq!(accepted.tcp_keepalive_interval().unwrap(), seven);
        let end = accepted.tcp_user_timeout().unwrap();
        assert_eq!(end, Some(Duration::from_secs(35)));
    }
}
