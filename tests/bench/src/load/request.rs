//! Requests and responses on connections that stay open; each has one request in flight.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use nix::sys::epoll::EpollFlags;
use socket2::Socket;

use crate::conversation::OK;
use crate::http::Response;
use crate::load::dial::Dial;
use crate::load::latencies::Latencies;
use crate::load::{PATIENCE, Poll};
use crate::stop;
use crate::wait::TICK;

const RESPONSE_LIMIT: usize = 4096;

/// A set of clients; each sends its next request as soon as the response arrives.
#[derive(Debug)]
pub(crate) struct Clients {
    poll: Poll,
    dial: Dial,
    request: Vec<u8>,
    clients: Vec<Client>,
    latencies: Latencies,
    last_answer: Instant,
}

#[derive(Debug)]
struct Client {
    socket: Socket,
    sent_at: Instant,
    received: Vec<u8>,
}

impl Clients {
    /// Opens the connections and sends the first request on each.
    pub(crate) fn connect(dial: &Dial, request: &[u8], connections: usize) -> io::Result<Self> {
        let mut clients = Self {
            poll: Poll::new()?,
            dial: dial.clone(),
            request: request.to_vec(),
            clients: Vec::with_capacity(connections),
            latencies: Latencies::default(),
            last_answer: Instant::now(),
        };
        for token in 0..connections {
            let client = clients.open(token)?;
            clients.clients.push(client);
        }
        Ok(clients)
    }

    /// Opens one connection and sends a request on it.
    fn open(&self, token: usize) -> io::Result<Client> {
        let sent_at = Instant::now();
        let socket = self.dial.open()?;
        self.poll.add(&socket, token as u64, EpollFlags::EPOLLIN)?;
        (&socket).write_all(&self.request)?;
        Ok(Client {
            socket,
            sent_at,
            received: Vec::with_capacity(RESPONSE_LIMIT),
        })
    }

    /// Sends requests and reads responses for a while; fails if the proxy stops answering.
    pub(crate) fn run_for(&mut self, time: Duration) -> io::Result<()> {
        self.last_answer = Instant::now();
        let end = self.last_answer + time;
        loop {
            stop::check()?;
            self.turn()?;
            let now = Instant::now();
            if now.duration_since(self.last_answer) > PATIENCE {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "answers stopped coming",
                ));
            }
            if now >= end {
                return Ok(());
            }
        }
    }

    /// Returns the latencies since the last call.
    pub(crate) fn take_latencies(&mut self) -> Latencies {
        self.latencies.take()
    }

    fn turn(&mut self) -> io::Result<()> {
        for index in 0..self.poll.wait(Some(TICK))? {
            let token = usize::try_from(self.poll.token(index)).map_err(io::Error::other)?;
            match self.clients[token].receive()? {
                Progress::Partial => {}
                // Without an answer: the proxy had closed already when this request left.
                Progress::Closed => self.clients[token] = self.open(token)?,
                Progress::Answer { is_last } => self.go_on(token, is_last)?,
            }
        }
        Ok(())
    }

    /// Notes an answer and sends the next request, on a new connection if this one ends here.
    fn go_on(&mut self, token: usize, is_last: bool) -> io::Result<()> {
        let client = &mut self.clients[token];
        self.last_answer = Instant::now();
        self.latencies
            .add(self.last_answer.duration_since(client.sent_at));
        if is_last {
            self.clients[token] = self.open(token)?;
            return Ok(());
        }
        client.sent_at = self.last_answer;
        // A write that fails is one on a connection that the proxy has closed; the read will see that.
        match (&client.socket).write_all(&self.request) {
            Err(error) if !is_end(&error) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The result of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Partial,
    /// The end, before any byte of a response.
    Closed,
    /// A whole response; `is_last` if the connection ends behind it.
    Answer {
        is_last: bool,
    },
}

impl Client {
    fn receive(&mut self) -> io::Result<Progress> {
        let mut piece = [0; RESPONSE_LIMIT];
        let count = match (&self.socket).read(&mut piece) {
            Err(error) if is_end(&error) => 0,
            answer => answer?,
        };
        if count == 0 && self.received.is_empty() {
            return Ok(Progress::Closed);
        }
        if count == 0 || self.received.len() + count > RESPONSE_LIMIT {
            return Err(io::Error::other("the response was cut off or too long"));
        }
        self.received.extend_from_slice(&piece[..count]);
        let Some(response) = Response::parse(&self.received) else {
            return Ok(Progress::Partial);
        };
        if response.status != OK {
            return Err(io::Error::other(format!("status {}", response.status)));
        }
        self.received.clear();
        let is_last = response.is_last;
        Ok(Progress::Answer { is_last })
    }
}

/// Returns whether the peer has closed in the meantime.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
