//! New connections: connect, one byte there, one byte back, close; the client closes first.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use nix::sys::epoll::EpollFlags;
use socket2::Socket;

use crate::load::{PATIENCE, Poll, connect};
use crate::stop;
use crate::wait::TICK;

/// Connections that are opened and closed, a fixed number of them in flight at any time.
#[derive(Debug)]
pub(crate) struct Churn {
    poll: Poll,
    address: SocketAddr,
    under_way: Vec<Option<Socket>>,
    completed: usize,
}

impl Churn {
    pub(crate) fn new(address: SocketAddr, in_flight: usize) -> io::Result<Self> {
        let under_way = (0..in_flight).map(|_| None).collect();
        Ok(Self {
            poll: Poll::new()?,
            address,
            under_way,
            completed: 0,
        })
    }

    /// Opens connections until `count` are done or the time is over, then lets the rest finish.
    ///
    /// Returns how many were completed.
    pub(crate) fn run(&mut self, count: usize, end: Instant) -> io::Result<usize> {
        self.completed = 0;
        let mut started = self.under_way.len();
        for slot in 0..self.under_way.len() {
            self.open(slot)?;
        }
        let mut last_progress = (0, Instant::now());
        while self.completed < started {
            stop::check()?;
            let may_start = count.saturating_sub(started);
            started += self.turn(if Instant::now() < end { may_start } else { 0 })?;
            if self.completed > last_progress.0 {
                last_progress = (self.completed, Instant::now());
            } else if last_progress.1.elapsed() > PATIENCE {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "answers stopped coming",
                ));
            }
        }
        Ok(self.completed)
    }

    /// Handles one batch of answers; returns how many new connections it started.
    fn turn(&mut self, may_start: usize) -> io::Result<usize> {
        let mut started = 0;
        for index in 0..self.poll.wait(Some(TICK))? {
            let slot = usize::try_from(self.poll.token(index)).map_err(io::Error::other)?;
            self.finish(slot)?;
            if started < may_start {
                self.open(slot)?;
                started += 1;
            }
        }
        Ok(started)
    }

    fn open(&mut self, slot: usize) -> io::Result<()> {
        let socket = connect(self.address)?;
        (&socket).write_all(b"?")?;
        self.poll.add(&socket, slot as u64, EpollFlags::EPOLLIN)?;
        self.under_way[slot] = Some(socket);
        Ok(())
    }

    /// Takes the answer and closes.
    fn finish(&mut self, slot: usize) -> io::Result<()> {
        let Some(socket) = self.under_way[slot].take() else {
            return Ok(());
        };
        (&socket).read_exact(&mut [0])?;
        self.completed += 1;
        Ok(())
    }
}
