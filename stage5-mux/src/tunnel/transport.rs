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
//! and connecting is the task of `worker/linking.rs`; a new kind of connection is one more way to a `Carrier` there.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use mio::Registry;
use mio::event::Event;
use stage2_client::Target;
use stage4_proxy::flags::parse_listen;

use crate::endpoint::Endpoint;

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
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("tcp", target)) => {
                let target = target.parse::<Target>();
                target.map(Self::Tcp).map_err(|error| error.to_string())
            }
            Some(("tcp-listen", address)) => parse_listen(address).map(Self::TcpListen),
            Some(_) | None => Err("expected tcp:HOST:PORT or tcp-listen:ADDR:PORT".to_owned()),
        }
    }
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
        for text in ["", "tcp", "tcp:", "udp:x:1", "127.0.0.1:80"] {
            assert!(text.parse::<Transport>().is_err(), "{text}");
        }
    }
}
