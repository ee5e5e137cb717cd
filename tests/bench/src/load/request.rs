//! Requests and responses on connections that stay open; each has one request in flight.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::sys::epoll::EpollFlags;
use socket2::Socket;

use crate::http::{REQUEST, message_length};
use crate::load::{PATIENCE, Poll, connect};
use crate::stop;
use crate::wait::TICK;

const RESPONSE_LIMIT: usize = 4096;

/// A set of clients; each sends its next request as soon as the response arrives.
#[derive(Debug)]
pub(crate) struct Clients {
    poll: Poll,
    clients: Vec<Client>,
    latencies: Vec<u32>,
    last_answer: Instant,
}

#[derive(Debug)]
struct Client {
    socket: Socket,
    sent_at: Instant,
    received: Vec<u8>,
}

/// The time between each request and its response.
#[derive(Debug)]
pub(crate) struct Latencies {
    sorted_nanoseconds: Vec<u32>,
}

impl Clients {
    /// Opens the connections and sends the first request on each.
    pub(crate) fn connect(address: SocketAddr, connections: usize) -> io::Result<Self> {
        // Room from the start: growing would stop everything for a moment while it copies.
        const EXPECTED: usize = 1 << 20;
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(connections);
        for token in 0..connections {
            let socket = connect(address)?;
            poll.add(&socket, token as u64, EpollFlags::EPOLLIN)?;
            (&socket).write_all(REQUEST)?;
            let received = Vec::with_capacity(RESPONSE_LIMIT);
            clients.push(Client {
                socket,
                sent_at: Instant::now(),
                received,
            });
        }
        let latencies = Vec::with_capacity(EXPECTED);
        Ok(Self {
            poll,
            clients,
            latencies,
            last_answer: Instant::now(),
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
        let room = self.latencies.capacity();
        let mut taken = std::mem::replace(&mut self.latencies, Vec::with_capacity(room));
        taken.sort_unstable();
        Latencies {
            sorted_nanoseconds: taken,
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        for index in 0..self.poll.wait(Some(TICK))? {
            let token = usize::try_from(self.poll.token(index)).map_err(io::Error::other)?;
            let client = &mut self.clients[token];
            if client.receive()? {
                self.last_answer = Instant::now();
                let waited = self.last_answer.duration_since(client.sent_at).as_nanos();
                self.latencies
                    .push(u32::try_from(waited).unwrap_or(u32::MAX));
                client.sent_at = self.last_answer;
                (&client.socket).write_all(REQUEST)?;
            }
        }
        Ok(())
    }
}

impl Client {
    /// Reads once; true when the response is complete.
    fn receive(&mut self) -> io::Result<bool> {
        let mut piece = [0; RESPONSE_LIMIT];
        let count = (&self.socket).read(&mut piece)?;
        if count == 0 || self.received.len() + count > RESPONSE_LIMIT {
            return Err(io::Error::other("the response was cut off or too long"));
        }
        self.received.extend_from_slice(&piece[..count]);
        let complete = message_length(&self.received).is_some();
        if complete {
            self.received.clear();
        }
        Ok(complete)
    }
}

impl Latencies {
    /// Returns the number of responses.
    pub(crate) fn count(&self) -> usize {
        self.sorted_nanoseconds.len()
    }

    /// Returns the time within which a share of the responses arrived, in microseconds.
    pub(crate) fn quantile_us(&self, numerator: usize, denominator: usize) -> f64 {
        let last = self.sorted_nanoseconds.len().saturating_sub(1);
        let nanoseconds = self.sorted_nanoseconds.get(last * numerator / denominator);
        nanoseconds.map_or(f64::NAN, |&value| f64::from(value) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_positions_in_the_sorted_list() {
        let latencies = Latencies {
            sorted_nanoseconds: (0..=100).map(|us| us * 1000).collect(),
        };
        assert_eq!(latencies.count(), 101);
        assert!((latencies.quantile_us(50, 100) - 50.0).abs() < f64::EPSILON);
        assert!((latencies.quantile_us(99, 100) - 99.0).abs() < f64::EPSILON);
    }
}
