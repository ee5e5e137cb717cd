//! 64 bytes there and back, again and again, on one connection.

use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::load::PATIENCE;
use crate::load::dial::Dial;
use crate::load::latencies::Latencies;
use crate::stop;

/// The length of a request and of its answer.
const MESSAGE: [u8; 64] = [b'?'; 64];

/// A client with one small request in flight.
#[derive(Debug)]
pub(crate) struct Probe {
    socket: Socket,
}

impl Probe {
    /// Connects; the upstream must be one that echoes.
    pub(crate) fn connect(dial: &Dial) -> io::Result<Self> {
        Ok(Self {
            socket: dial.open()?,
        })
    }

    /// Sends requests for a while, each as soon as the answer to the last one is there; returns how long they took.
    pub(crate) fn run_for(&self, time: Duration) -> io::Result<Latencies> {
        let mut latencies = Latencies::default();
        let end = Instant::now() + time;
        while Instant::now() < end {
            stop::check()?;
            latencies.add(self.ask()?);
        }
        Ok(latencies.take())
    }

    /// Sends one request; returns how long its answer took.
    pub(crate) fn ask(&self) -> io::Result<Duration> {
        let mut answer = [0; MESSAGE.len()];
        let begin = Instant::now();
        (&self.socket).write_all(&MESSAGE)?;
        (&self.socket).read_exact(&mut answer).map_err(no_answer)?;
        Ok(begin.elapsed())
    }
}

/// Says what the time limit of a blocking socket means: `SO_RCVTIMEO` in `socket(7)`.
fn no_answer(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::WouldBlock {
        return error;
    }
    let sentence = format!("64 bytes were not back after {} s", PATIENCE.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, sentence)
}
