//! The transports: what carries a link, and the border that a new one has to fit.
//!
//! ```text
//!   Session ── slices ──▶ ┌─────────┐ ── write ──▶ ┐
//!                         │ Carrier │              ├ a socket, two pipes, a terminal, datagrams with an order, ...
//!   Session ◀── input ─── └─────────┘ ◀── read ─── ┘
//! ```
//!
//! A [`Transport`] is a name: the kind of connection, its address, and which end waits for the other. A `Carrier` is
//! such a connection once it is made, and the worker knows nothing else about it. A carrier must provide:
//!
//! 1. *A stream of bytes in each direction*: whole, in order, each byte once. Where a read or a write begins and ends
//!    means nothing.
//! 2. *An end that can be told from a break*: a read of 0 bytes if the peer has ended the link, and an error with its
//!    reason for everything else. A link has no half-close; the streams on it have their own.
//! 3. *No waiting.* A read without bytes and a write without room return at once. An event of the poller announces each
//!    change from "nothing" to "something" (edge-triggered: a caller that stops early comes back by itself).
//! 4. *Backpressure.* A write takes the bytes that fit, and few: a small frame cannot overtake bytes that wait inside of
//!    the carrier. So a socket is told the bound of its unsent bytes, and a pipe is kept short.
//! 5. *A sign of life*, if its kernel can ask for one: a carrier whose peer has vanished should break within the time of
//!    `bound_silence`. On a wire without pings nothing else notices it.
//! 6. *A description* of the peer for the log.
//!
//! A transport over datagrams fits if it brings what the kernel does for TCP: numbered datagrams, acknowledgements, a
//! window, and a copy of each datagram until it is acknowledged. Its `read` returns the bytes that are in order; its
//! `write` cuts slices into datagrams while the window has room; its end is a datagram of its own. Only its clock has
//! no place yet: the trait would get a deadline, which the worker adds to those that bound its wait. Looking up names
//! and connecting is the task of `linker.rs`; a new kind of connection is one more way to a `Carrier` there.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use mio::Registry;
use mio::event::Event;
use stage2_client::{Target, TargetError};
use stage4_proxy::address::parse_unix;
use stage4_proxy::flags::parse_listen;
use stage4_proxy::inspect::{EndpointView, KernelView};

use crate::endpoint::Endpoint;
use crate::tunnel::transport::words::Words;

mod exec;
mod keeper;
pub(super) mod listening;
pub(super) mod opener;
pub mod peers;
mod pipes;
pub(super) mod sctp;
mod stdio;
pub mod words;

/// The transports there are, for people who have mistyped one.
const FORMS: &str = "expected tcp:HOST:PORT, tcp-listen:ADDR:PORT, unix:PATH, unix-listen:PATH, sctp:HOST:PORT, \
    sctp-listen:ADDR:PORT, stdio, exec:COMMAND or, with --peers, peer:ID";

/// A connection that carries a link.
///
/// It is boxed: there is one in a process, and each call moves many frames.
pub(super) trait Carrier: Debug + Send {
    /// Lets the poller report both directions under `token`, once for each change.
    ///
    /// # Errors
    ///
    /// Fails if the kernel has no memory left for it, or cannot watch such a descriptor.
    fn register(&mut self, registry: &Registry, token: mio::Token) -> io::Result<()>;

    /// Takes an event of the poller.
    fn note(&mut self, event: &Event);

    /// Returns whether a read may bring bytes or the end; a hint.
    fn is_readable(&self) -> bool;

    /// Returns whether a write may take bytes; a hint.
    fn is_writable(&self) -> bool;

    /// Reads once; `None` if no byte has arrived, 0 if the peer has ended the link.
    ///
    /// # Errors
    ///
    /// Fails with the reason if the link is broken.
    fn read(&mut self, room: &mut [u8]) -> io::Result<Option<usize>>;

    /// Writes once and returns how many bytes were taken; fewer than all mean that the carrier is full.
    ///
    /// # Errors
    ///
    /// Fails with the reason if the link is broken.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Bounds the bytes that wait unsent in the kernel; a carrier that is short by itself ignores it.
    fn bound_unsent(&mut self, bytes: usize);

    /// Ends the link if its peer answers nothing for about this time, as far as the kernel can find that out by itself.
    fn bound_silence(&mut self, _time: Duration) {}

    /// Copies out what the inspector shows of it, if it is a socket.
    fn view(&self) -> Option<EndpointView> {
        None
    }

    /// Copies out what the kernel holds of it, if it tells anything.
    fn kernel(&self) -> Option<KernelView> {
        self.view()?.kernel
    }

    /// Describes the peer for the log.
    fn peer(&self) -> String;
}

impl Carrier for Endpoint {
    fn register(&mut self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        Self::register(self, registry, token)
    }

    fn note(&mut self, event: &Event) {
        Self::note(self, event);
    }

    fn is_readable(&self) -> bool {
        Self::is_readable(self)
    }

    fn is_writable(&self) -> bool {
        Self::is_writable(self)
    }

    fn read(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        self.read_some(room)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_slices(slices)
    }

    fn bound_unsent(&mut self, bytes: usize) {
        Self::bound_unsent(self, bytes);
    }

    fn bound_silence(&mut self, time: Duration) {
        Self::bound_silence(self, time);
    }

    fn view(&self) -> Option<EndpointView> {
        Some(Self::view(self))
    }

    fn peer(&self) -> String {
        self.peer_addr().to_string()
    }
}

/// What carries the link, and which end waits for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// This end connects (`tcp:HOST:PORT`).
    Tcp(Target),
    /// This end waits, and takes one link at a time (`tcp-listen:ADDR:PORT`).
    TcpListen(SocketAddr),
    /// This end connects to a Unix socket (`unix:PATH`).
    Unix(PathBuf),
    /// This end waits at a Unix socket (`unix-listen:PATH`).
    UnixListen(PathBuf),
    /// This end connects over SCTP (`sctp:HOST:PORT`).
    Sctp(Target),
    /// This end waits for SCTP (`sctp-listen:ADDR:PORT`).
    SctpListen(SocketAddr),
    /// Standard input and output are the link (`stdio`); there is one, and the tunnel ends with it.
    Stdio,
    /// The standard input and output of a command are the link (`exec:COMMAND`).
    Exec(Words),
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("tcp", target)) => parse_target(target).map(Self::Tcp),
            Some(("tcp-listen", address)) => parse_listen(address).map(Self::TcpListen),
            Some(("sctp", target)) => parse_target(target).map(Self::Sctp),
            Some(("sctp-listen", address)) => parse_listen(address).map(Self::SctpListen),
            Some(("unix", path)) => parse_path(path).map(Self::Unix),
            Some(("unix-listen", path)) => parse_path(path).map(Self::UnixListen),
            Some(("exec", command)) => command.parse().map(Self::Exec),
            None if text == "stdio" => Ok(Self::Stdio),
            Some(_) | None => Err(FORMS.to_owned()),
        }
    }
}

impl Transport {
    /// Returns the address at which it waits, if other machines may reach that.
    #[must_use]
    pub fn waits_at(&self) -> Option<SocketAddr> {
        match self {
            Self::TcpListen(address) | Self::SctpListen(address) => Some(*address),
            Self::Tcp(_)
            | Self::Unix(_)
            | Self::UnixListen(_)
            | Self::Sctp(_)
            | Self::Stdio
            | Self::Exec(_) => None,
        }
    }
}

fn parse_target(text: &str) -> Result<Target, String> {
    text.parse().map_err(|error: TargetError| error.to_string())
}

fn parse_path(path: &str) -> Result<PathBuf, String> {
    let path = parse_unix(&format!("unix:{path}"));
    path.unwrap_or_else(|| Err(FORMS.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_named_by_their_scheme() {
        let target = "far.example:9000".parse().unwrap();
        assert_eq!("tcp:far.example:9000".parse(), Ok(Transport::Tcp(target)));
        let address = "127.0.0.1:0".parse().unwrap();
        assert_eq!(
            "tcp-listen:127.0.0.1:0".parse(),
            Ok(Transport::TcpListen(address))
        );
        assert_eq!("unix:a:b".parse(), Ok(Transport::Unix("a:b".into())));
        let waiting = Transport::UnixListen("/run/x".into());
        assert_eq!("unix-listen:/run/x".parse(), Ok(waiting));
        assert_eq!("stdio".parse(), Ok(Transport::Stdio));
        let words = "ssh host 'a b'".parse().unwrap();
        assert_eq!("exec:ssh host 'a b'".parse(), Ok(Transport::Exec(words)));
        for text in [
            "",
            "tcp",
            "tcp:",
            "udp:x:1",
            "unix:",
            "unix-listen:",
            "exec:",
            "stdio:",
            "peer:x",
            "sctp:x",
            "127.0.0.1:80",
        ] {
            assert!(text.parse::<Transport>().is_err(), "{text}");
        }
    }
}
