//! Keepalive: how the kernel finds out that a peer has vanished.
//!
//! A machine that loses its power or its network sends neither FIN nor RST. A server that only waits for its bytes
//! would wait forever, and a client holds its place for as long.

use std::io;
use std::time::Duration;

use nix::libc::{self, c_int};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetStruct;
use socket2::{Socket, TcpKeepalive};

/// The interval from one probe to the next is this part of that before the first.
const PROBE_PART: u64 = 5;
/// The probes that must stay without an answer.
const PROBES: u64 = 4;
/// The looks at unacknowledged bytes in one interval (see [`Keepalive::look_interval`]).
const LOOKS: u32 = 4;

/// `TCP_RTO_MAX_MS` (since Linux 6.15, `linux/tcp.h`): the longest time between two repetitions, and between two
/// questions to a peer whose window is closed. `libc` does not name it.
const TCP_RTO_MAX_MS: c_int = 44;
/// The smallest value that the kernel takes for it.
const SHORTEST_RTO_MS: c_int = 1000;
/// The largest one, which is the kernel's own.
const LONGEST_RTO_MS: c_int = 120_000;

#[derive(Clone, Copy, Debug)]
struct RtoMax;

nix::setsockopt_impl!(
    RtoMax,
    libc::IPPROTO_TCP,
    TCP_RTO_MAX_MS,
    c_int,
    SetStruct<'_, c_int>
);

/// The time without an answer after which a connection ends (`tcp(7)`).
///
/// ```text
///   last ACK               probe  probe  probe  probe  the connection ends: ETIMEDOUT
///      ├─────────────────────┼──────┼──────┼──────┼──────┤
///      0                    1×    1.2×   1.4×   1.6×   1.8×  the interval
/// ```
///
/// Probes alone are not enough, because the kernel sends none while bytes are unacknowledged: it repeats these bytes
/// instead, for a quarter of an hour. `TCP_USER_TIMEOUT`, twice the interval, bounds that wait. It overrides the count
/// of probes (`TCP_KEEPCNT`), too.
///
/// With `TCP_USER_TIMEOUT`, the kernel doesn't tell a peer that has vanished from one that is there and reads nothing:
/// after the same time in which its window stays closed, that one's connection ends as well. A program that looks at
/// its sockets itself uses [`Keepalive::sparing_pauses`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    interval: Duration,
    spares_pauses: bool,
}

impl Keepalive {
    /// The longest interval that the kernel takes (`MAX_TCP_KEEPIDLE`), a little more than 9 hours.
    pub const LONGEST: Duration = Duration::from_secs(32_767);

    /// Creates a keepalive that probes a peer after so long a silence, rounded up to whole seconds.
    ///
    /// The interval is at least one second, and at most [`Keepalive::LONGEST`].
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        let seconds = interval.as_millis().div_ceil(1000).max(1);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        let interval = Duration::from_secs(seconds).min(Self::LONGEST);
        Self {
            interval,
            spares_pauses: false,
        }
    }

    /// Returns the same keepalive without `TCP_USER_TIMEOUT`, for a program that judges peers with unacknowledged bytes
    /// itself, once in each [`Keepalive::look_interval`].
    ///
    /// A peer that reads nothing for hours, and answers all the same, keeps its connection then. The kernel asks it at
    /// least as often as the program looks (`TCP_RTO_MAX_MS`); before Linux 6.15, up to two minutes lie between two
    /// questions.
    #[must_use]
    pub fn sparing_pauses(self) -> Self {
        Self {
            spares_pauses: true,
            ..self
        }
    }

    /// Returns the time from a peer's last answer after which its connection has ended.
    #[must_use]
    pub fn until_vanished(self) -> Duration {
        self.interval * 2
    }

    /// Returns the time between two looks at a socket of which bytes may be unacknowledged.
    #[must_use]
    pub fn look_interval(self) -> Duration {
        self.interval / LOOKS
    }

    /// Sets the options on a socket; what a listener accepts has inherited them.
    ///
    /// # Errors
    /// Fails if the kernel lacks one of these options.
    pub fn set_on(self, socket: &Socket) -> io::Result<()> {
        let (spacing, count) = self.probes();
        let probes = TcpKeepalive::new()
            .with_time(self.interval)
            .with_interval(spacing);
        if self.spares_pauses {
            socket.set_tcp_keepalive(&probes.with_retries(count))?;
            self.ask_often(socket);
            return Ok(());
        }
        socket.set_tcp_keepalive(&probes)?;
        socket.set_tcp_user_timeout(Some(self.until_vanished()))
    }

    /// Returns the time between two probes, and how many of them come within one more interval.
    fn probes(self) -> (Duration, u32) {
        let seconds = self.interval.as_secs();
        let spacing = (seconds / PROBE_PART).max(1);
        let count = (seconds / spacing).clamp(1, PROBES);
        (
            Duration::from_secs(spacing),
            u32::try_from(count).unwrap_or(1),
        )
    }

    /// Bounds the time between two questions to a peer that has unacknowledged bytes or a closed window.
    fn ask_often(self, socket: &Socket) {
        let millis = self.look_interval().as_millis();
        let millis =
            c_int::try_from(millis).map_or(LONGEST_RTO_MS, |millis| millis.max(SHORTEST_RTO_MS));
        if millis < LONGEST_RTO_MS {
            // Older kernels lack the option; then the questions become rarer while a peer is silent.
            let _ = setsockopt(socket, RtoMax, &millis);
        }
    }
}

impl Default for Keepalive {
    /// A probe after a minute: a peer that has vanished is noticed within two.
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
        let seven = Keepalive::every(Duration::from_secs(7));
        for keepalive in [seven, seven.sparing_pauses()] {
            let options = ListenOptions {
                keepalive: Some(keepalive),
                ..ListenOptions::default()
            };
            let listener = listen("127.0.0.1:0".parse().unwrap(), &options).unwrap();
            let _client = std::net::TcpStream::connect(local_addr(&listener).unwrap()).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            assert!(accepted.keepalive().unwrap());
            let [first, next] = [7, 1].map(Duration::from_secs);
            assert_eq!(accepted.tcp_keepalive_time().unwrap(), first);
            assert_eq!(accepted.tcp_keepalive_interval().unwrap(), next);
            let end = accepted.tcp_user_timeout().unwrap();
            if keepalive.spares_pauses {
                assert_eq!(accepted.tcp_keepalive_retries().unwrap(), 4);
                assert_eq!(end, None);
            } else {
                assert_eq!(end, Some(Duration::from_secs(14)));
            }
        }
    }

    #[test]
    fn the_probes_end_within_one_more_interval() {
        for (seconds, probes) in [
            (1, (1, 1)),
            (2, (1, 2)),
            (4, (1, 4)),
            (60, (12, 4)),
            (32_767, (6553, 4)),
        ] {
            let (spacing, count) = Keepalive::every(Duration::from_secs(seconds)).probes();
            assert_eq!((spacing.as_secs(), count), probes, "after {seconds} s");
            assert!(spacing * count <= Duration::from_secs(seconds));
        }
    }
}
