//! Whether a peer has vanished while bytes for it are unacknowledged.
//!
//! Keepalive probes find a peer that vanishes while nothing is on its way to it. Otherwise the kernel repeats the
//! bytes for a quarter of an hour, and its own bound for that, `TCP_USER_TIMEOUT`, also ends the connection of a
//! reader that only pauses. So this proxy looks at its sockets itself, now and then:
//!
//! ```text
//!   the peer                        | the kernel asks with        | the peer's ACKs
//!   --------------------------------|-----------------------------|------------------------
//!   has got everything              | keepalive probes            | not awaited
//!   reads                           | the next bytes              | come
//!   reads nothing: closed window    | zero-window probes          | come, and say so
//!   has vanished                    | the same bytes, or a probe  | awaited, and do not come
//! ```
//!
//! The kernel's retries become rarer with time, which is why the keepalive of such a proxy bounds the time between them
//! (see [`Keepalive::sparing_pauses`](stage1_server::Keepalive::sparing_pauses)).

use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetStruct;

/// The looks in a row that must find no acknowledgment. With four looks in each interval of the keepalive, a peer is
/// given up after one and a quarter to one and a half of it.
const SILENT_LOOKS: u8 = 6;

/// The beginning of `struct tcp_info` (`linux/tcp.h`), as far as we need it: eight bytes, then 32-bit words. Each
/// kernel has at least so much, and fills as much as it is asked for.
type Beginning = [u32; 15];

/// The word that ends with `tcpi_probes`, the number of probes without an answer.
const STATES: usize = 0;
/// The place of `tcpi_unacked`, the number of segments on their way.
const UNACKED: usize = 6;
/// The place of `tcpi_last_data_sent`, in milliseconds before now; repetitions count.
const LAST_DATA_SENT: usize = 11;
/// The place of `tcpi_last_ack_recv`, in milliseconds before now.
const LAST_ACK_RECV: usize = 14;

#[derive(Clone, Copy, Debug)]
struct Info;

nix::getsockopt_impl!(
    Info,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    Beginning,
    GetStruct<Beginning>
);

/// What the kernel knows about the acknowledgments of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acks {
    /// Something was sent after the last acknowledgment that asks for one.
    pub are_awaited: bool,
    /// The time since the last acknowledgment.
    pub last: Duration,
}

impl Acks {
    /// Asks the kernel about a socket (`tcp(7)`, `TCP_INFO`); `None` if it is no TCP socket.
    #[must_use]
    pub fn of(socket: &impl AsFd) -> Option<Self> {
        getsockopt(socket, Info).ok().map(|info| Self::read(&info))
    }

    fn read(info: &Beginning) -> Self {
        let [_, _, _, probes] = info[STATES].to_ne_bytes();
        // A repetition that was answered does not count: a peer without memory drops what it gets, and says so.
        let repeats = info[UNACKED] > 0 && info[LAST_DATA_SENT] < info[LAST_ACK_RECV];
        Self {
            are_awaited: probes > 0 || repeats,
            last: Duration::from_millis(info[LAST_ACK_RECV].into()),
        }
    }
}

/// The looks in a row that have found a peer silent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence {
    looks: u8,
}

impl Silence {
    /// Notes a look, so long after the one before it; returns whether the peer has vanished.
    ///
    /// Looks count, and not the time alone, because a program that was stopped for an hour has to give the peer the
    /// time for an answer, too.
    #[must_use]
    pub fn note_look(&mut self, acks: Acks, since_last_look: Duration) -> bool {
        let is_silent = acks.are_awaited && acks.last >= since_last_look;
        self.looks = if is_silent {
            self.looks.saturating_add(1)
        } else {
            0
        };
        self.looks >= SILENT_LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use harness::{PATIENCE, eventually};

    const LOOK: Duration = Duration::from_secs(15);

    fn look(silence: &mut Silence, are_awaited: bool, last: Duration) -> bool {
        silence.note_look(Acks { are_awaited, last }, LOOK)
    }

    #[test]
    fn a_peer_has_vanished_after_enough_looks_without_an_answer() {
        let mut silence = Silence::default();
        for seen in 1..SILENT_LOOKS {
            assert!(!look(&mut silence, true, LOOK * seen.into()), "look {seen}");
        }
        assert!(look(&mut silence, true, LOOK * SILENT_LOOKS.into()));
    }

    #[test]
    fn one_answer_or_nothing_to_answer_begins_the_count_again() {
        for (are_awaited, last) in [(true, LOOK / 2), (false, LOOK * 100)] {
            let mut silence = Silence::default();
            for _ in 1..SILENT_LOOKS {
                assert!(!look(&mut silence, true, LOOK));
            }
            assert!(!look(&mut silence, are_awaited, last));
            assert!(!look(&mut silence, true, LOOK), "{are_awaited} {last:?}");
        }
    }

    #[test]
    fn an_answered_repetition_awaits_nothing() {
        let info = |probes: u8, unacked, sent, ack| {
            let mut info: Beginning = [0; 15];
            info[STATES] = u32::from_ne_bytes([1, 0, 0, probes]);
            (info[UNACKED], info[LAST_DATA_SENT], info[LAST_ACK_RECV]) = (unacked, sent, ack);
            Acks::read(&info).are_awaited
        };
        assert!(!info(0, 0, 10, 5000), "nothing on its way");
        assert!(info(0, 1, 10, 5000), "sent, and silence since");
        assert!(!info(0, 1, 5000, 5000), "answered at once");
        assert!(!info(0, 1, 5000, 10), "answered");
        assert!(info(1, 0, 9000, 9000), "a probe, which is no data");
    }

    #[test]
    fn the_kernel_tells_of_acknowledgments() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.write_all(b"bytes").unwrap();
        far.read_exact(&mut [0; 5]).unwrap();
        let acks = || Acks::of(&near).unwrap();
        eventually("they are acknowledged", PATIENCE, || !acks().are_awaited);
        assert!(acks().last < PATIENCE);
        let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(Acks::of(&unix), None);
    }
}
