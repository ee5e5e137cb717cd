//! As many bytes as go through.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use nix::sys::epoll::EpollFlags;
use socket2::Socket;

use crate::load::Poll;
use crate::load::dial::Dial;
use crate::stop;
use crate::upstream::tag::Tag;
use crate::wait::TICK;

const CHUNK_BYTES: usize = 256 * 1024;

/// A sender on some connections, which never waits for one of them alone.
#[derive(Debug)]
pub(crate) struct Pump {
    poll: Poll,
    sockets: Vec<Socket>,
    chunk: Vec<u8>,
}

impl Pump {
    /// Opens the connections.
    pub(crate) fn connect(dial: &Dial, connections: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut sockets = Vec::with_capacity(connections);
        for token in 0..connections {
            let socket = dial.open()?;
            socket.set_nonblocking(true)?;
            poll.add(&socket, token as u64, EpollFlags::EPOLLOUT)?;
            sockets.push(socket);
        }
        Ok(Self {
            poll,
            sockets,
            chunk: vec![0x5a; CHUNK_BYTES],
        })
    }

    /// Sends the first byte on each connection, which tells the upstream what it is.
    pub(crate) fn introduce(&self, tags: &[Tag]) -> io::Result<()> {
        for (mut socket, tag) in self.sockets.iter().zip(tags) {
            socket.write_all(&[tag.byte()])?;
        }
        Ok(())
    }

    /// Sends for a while.
    pub(crate) fn run_for(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            stop::check()?;
            self.turn()?;
        }
        Ok(())
    }

    /// Sends a piece on each connection that has room, or waits for one.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        for index in 0..self.poll.wait(Some(TICK))? {
            let token = usize::try_from(self.poll.token(index)).map_err(io::Error::other)?;
            match (&self.sockets[token]).write(&self.chunk) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }
}
