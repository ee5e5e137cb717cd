//! The bytes that the kernel holds of a connection, and its state of TCP.
//!
//! ```text
//!   write(2)   ┌────── send queue ──────┐             ┌─ receive queue ─┐   read(2)
//!  ──────────▶ │  unsent  │  in flight  │ ──network─▶ │     unread      │ ──────────▶
//!   our end    └──────────┴─────────────┘             └─────────────────┘   the peer
//! ```
//!
//! Each socket has both queues, and a relay lies between the receive queue of one socket and the send queue of another. A
//! reader that pauses fills them in the order in which the bytes have come, from its own receive queue backwards, until
//! the writer has to wait. `ss -tn` shows the same: `Recv-Q` is unread, and `Send-Q` is in flight and unsent together.
//!
//! The kernel is asked only when the inspector is: two system calls for a socket.

use std::os::fd::AsFd;
use std::sync::LazyLock;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetStruct;
use nix::sys::utsname::uname;
use rustix::io::ioctl_fionread;

use crate::inspect::KernelView;
use crate::token::Side;

/// The beginning of `struct tcp_info` (`linux/tcp.h`) up to `tcpi_bytes_retrans`: 64-bit words, some of which are two
/// numbers.
type Counters = [u64; 27];

/// The first Linux with all of these counters.
const COUNTERS_SINCE: (u32, u32) = (4, 19);

/// The word that begins with `tcpi_state`.
const STATE: usize = 0;
/// The word that begins with `tcpi_unacked`, the segments in flight.
const UNACKED: usize = 3;
/// The place of `tcpi_bytes_acked`, in which a SYN or a FIN counts as a byte.
const BYTES_ACKED: usize = 15;
/// The word that begins with `tcpi_notsent_bytes`.
const NOTSENT_BYTES: usize = 18;
/// The place of `tcpi_bytes_sent`; repetitions count, SYN and FIN do not.
const BYTES_SENT: usize = 25;
/// The place of `tcpi_bytes_retrans`.
const BYTES_RETRANS: usize = 26;

/// The states of TCP in the kernel's order (`net/tcp_states.h`).
const STATES: [&str; 12] = [
    "ESTABLISHED",
    "SYN-SENT",
    "SYN-RECEIVED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "TIME-WAIT",
    "CLOSED",
    "CLOSE-WAIT",
    "LAST-ACK",
    "LISTEN",
    "CLOSING",
    "SYN-RECEIVED",
];

#[derive(Clone, Copy, Debug)]
struct State;

nix::getsockopt_impl!(State, libc::IPPROTO_TCP, libc::TCP_INFO, u8, GetStruct<u8>);

#[derive(Clone, Copy, Debug)]
struct Info;

nix::getsockopt_impl!(
    Info,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    Counters,
    GetStruct<Counters>
);

/// Asks the kernel about the socket at one side of a session (`tcp(7)`, `SIOCINQ` and `TCP_INFO`); `None` if it tells nothing.
///
/// A client has sent us the SYN, and an upstream has got it from us.
#[must_use]
pub fn of(socket: &impl AsFd, side: Side) -> Option<KernelView> {
    let unread = ioctl_fionread(socket).ok();
    let view = KernelView {
        unread,
        ..tcp_view(socket, side)
    };
    (view != KernelView::default()).then_some(view)
}

/// Asks the kernel about the two ends of a connection that is a pipe each way, or a socket for both; `None` if it tells
/// nothing (`FIONREAD`, which counts the bytes in a pipe from either of its ends).
#[must_use]
pub fn of_pipes(input: &impl AsFd, output: &impl AsFd) -> Option<KernelView> {
    let is_pipe = fcntl(output.as_fd(), FcntlArg::F_GETPIPE_SZ).is_ok();
    let unsent = is_pipe.then(|| ioctl_fionread(output).ok()).flatten();
    let view = KernelView {
        unread: ioctl_fionread(input).ok(),
        unsent,
        ..KernelView::default()
    };
    (view != KernelView::default()).then_some(view)
}

fn tcp_view(socket: &impl AsFd, side: Side) -> KernelView {
    if *HAS_COUNTERS && let Ok(info) = getsockopt(socket, Info) {
        return read(&info, side);
    }
    let state = getsockopt(socket, State).ok();
    KernelView {
        state: state.and_then(state_name),
        ..KernelView::default()
    }
}

fn read(info: &Counters, side: Side) -> KernelView {
    let own_syn = match side {
        Side::Client => 0,
        Side::Upstream => 1,
    };
    // With nothing in flight a FIN may be acknowledged, and then the sum would be one byte too small.
    let in_flight = match first_half(info[UNACKED]) {
        0 => 0,
        _ => (info[BYTES_SENT] + own_syn)
            .saturating_sub(info[BYTES_RETRANS])
            .saturating_sub(info[BYTES_ACKED]),
    };
    KernelView {
        state: state_name(info[STATE].to_ne_bytes()[0]),
        unread: None,
        in_flight: Some(in_flight),
        unsent: Some(first_half(info[NOTSENT_BYTES]).into()),
    }
}

/// Returns the first of the two numbers that a word of the structure holds.
fn first_half(word: u64) -> u32 {
    let [first, second, third, fourth, ..] = word.to_ne_bytes();
    u32::from_ne_bytes([first, second, third, fourth])
}

fn state_name(number: u8) -> Option<&'static str> {
    let place = usize::from(number).checked_sub(1)?;
    STATES.get(place).copied()
}

/// Whether the kernel has all of the [`Counters`]. An older one fills fewer bytes than it is asked for, and the getter panics
/// then.
static HAS_COUNTERS: LazyLock<bool> = LazyLock::new(|| {
    let names = uname().ok();
    let release = names.as_ref().and_then(|names| names.release().to_str());
    release
        .and_then(version)
        .is_some_and(|it| it >= COUNTERS_SINCE)
});

/// Reads the first two numbers of a release such as `6.1.0-13-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(['.', '-']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
