//! New connections: connect, say each step and await its answer, close; the client closes first.

use std::io::{self, Write};
use std::time::Instant;

use nix::sys::epoll::EpollFlags;
use socket2::Socket;

use crate::conversation::Conversation;
use crate::load::dial::Dial;
use crate::load::latencies::Latencies;
use crate::load::{PATIENCE, Poll};
use crate::stop;
use crate::wait::TICK;

/// Connections that are opened and closed, a fixed number of them in flight at any time.
#[derive(Debug)]
pub(crate) struct Churn {
    poll: Poll,
    dial: Dial,
    under_way: Vec<Option<Client>>,
    completed: usize,
    /// From before connect(2) to the last answer.
    latencies: Latencies,
}

/// One connection that is under way.
#[derive(Debug)]
struct Client {
    socket: Socket,
    talk: Conversation,
    opened_at: Instant,
}

impl Churn {
    /// Creates it for connections that say all steps of `dial`, of which there is at least one.
    pub(crate) fn new(dial: Dial, in_flight: usize) -> io::Result<Self> {
        let under_way = (0..in_flight).map(|_| None).collect();
        Ok(Self {
            poll: Poll::new()?,
            dial,
            under_way,
            completed: 0,
            latencies: Latencies::default(),
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

    /// Returns how long each connection took since the last call.
    pub(crate) fn take_latencies(&mut self) -> Latencies {
        self.latencies.take()
    }

    /// Handles one batch of answers; returns how many new connections it started.
    fn turn(&mut self, may_start: usize) -> io::Result<usize> {
        let mut started = 0;
        for index in 0..self.poll.wait(Some(TICK))? {
            let slot = usize::try_from(self.poll.token(index)).map_err(io::Error::other)?;
            if self.go_on(slot)? && started < may_start {
                self.open(slot)?;
                started += 1;
            }
        }
        Ok(started)
    }

    fn open(&mut self, slot: usize) -> io::Result<()> {
        let opened_at = Instant::now();
        let socket = self.dial.connect()?;
        let talk = Conversation::default();
        if let Some(bytes) = talk.to_send(&self.dial.steps) {
            (&socket).write_all(bytes)?;
        }
        self.poll.add(&socket, slot as u64, EpollFlags::EPOLLIN)?;
        self.under_way[slot] = Some(Client {
            socket,
            talk,
            opened_at,
        });
        Ok(())
    }

    /// Takes an answer and says the next step, or closes behind the last one; returns whether it has closed.
    fn go_on(&mut self, slot: usize) -> io::Result<bool> {
        let Some(client) = &mut self.under_way[slot] else {
            return Ok(false);
        };
        if !self.dial.receive(&client.socket, &mut client.talk)? {
            return Ok(false);
        }
        if let Some(bytes) = client.talk.to_send(&self.dial.steps) {
            (&client.socket).write_all(bytes)?;
            return Ok(false);
        }
        self.latencies.add(client.opened_at.elapsed());
        self.completed += 1;
        self.under_way[slot] = None;
        Ok(true)
    }
}
