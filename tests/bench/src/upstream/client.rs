//! One client of the upstream.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;

use nix::libc;
use socket2::Socket;

use crate::http::{HeadCounter, RESPONSE};
use crate::upstream::Counters;
use crate::upstream::tag::{Reading, Tag};

/// A connection, and what it has asked for.
pub(super) struct Client {
    socket: Socket,
    heads: HeadCounter,
    /// What it has asked for, once it has.
    wish: Option<Wish>,
}

/// What a client of [`Service::Tagged`](crate::upstream::Service::Tagged) wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Echo,
    Count(Tag),
}

/// The functions that serve it once return whether it is still connected.
impl Client {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            heads: HeadCounter::default(),
            wish: None,
        }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Serves it as its first byte has asked for.
    pub(super) fn do_as_it_says(
        &mut self,
        buffer: &mut [u8],
        room: &mut [MaybeUninit<u8>],
        counters: &Counters,
    ) -> io::Result<bool> {
        match self.wish {
            Some(Wish::Echo) => self.echo(buffer),
            Some(Wish::Count(_)) => self.count(room, counters),
            None => self.take_wish(buffer),
        }
    }

    fn take_wish(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let count = (&self.socket).read(buffer)?;
        let Some(&first) = buffer[..count].first() else {
            return Ok(false);
        };
        let tag = Tag::parse(first);
        self.wish = Some(tag.map_or(Wish::Echo, Wish::Count));
        if tag.is_none() {
            (&self.socket).write_all(&buffer[..count])?;
        }
        Ok(true)
    }

    pub(super) fn is_slow(&self) -> bool {
        match self.wish {
            Some(Wish::Count(tag)) => tag.reading == Reading::Slow,
            Some(Wish::Echo) | None => false,
        }
    }

    /// Reads like [`Client::discard`], into the tally of its tag.
    pub(super) fn count(
        &self,
        room: &mut [MaybeUninit<u8>],
        counters: &Counters,
    ) -> io::Result<bool> {
        let count = self.socket.recv_with_flags(room, libc::MSG_TRUNC)?;
        if let Some(Wish::Count(tag)) = self.wish {
            counters.tallies[tag.tally].fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count > 0)
    }

    pub(super) fn echo(&self, buffer: &mut [u8]) -> io::Result<bool> {
        let count = (&self.socket).read(buffer)?;
        // The answer fits into the socket's buffer, because a client sends its next request only after it.
        (&self.socket).write_all(&buffer[..count])?;
        Ok(count > 0)
    }

    pub(super) fn answer(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let count = (&self.socket).read(buffer)?;
        for _ in 0..self.heads.take(&buffer[..count]) {
            (&self.socket).write_all(RESPONSE)?;
        }
        Ok(count > 0)
    }

    /// Reads without copying: `MSG_TRUNC` in `tcp(7)`. The sink shall not be the bottleneck.
    pub(super) fn discard(
        &self,
        room: &mut [MaybeUninit<u8>],
        counters: &Counters,
    ) -> io::Result<bool> {
        let count = self.socket.recv_with_flags(room, libc::MSG_TRUNC)?;
        counters.received.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count > 0)
    }
}
