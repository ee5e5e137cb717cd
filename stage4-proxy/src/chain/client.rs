//! A client for any chain at run time, blocking.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use socket2::Socket;
use stage2_client::{Prefer, Target, connect, resolve};

use crate::chain::header::{Response, headers};
use crate::chain::responses::{Outcome, Responses};

/// Connects through a chain of hops.
///
/// ```no_run
/// use stage4_proxy::chain::Client;
///
/// let hops = vec!["hop1.example:9001".parse()?, "192.0.2.2:9002".parse()?];
/// let socket = Client::new(hops).connect(&"example.org:80".parse()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    hops: Vec<Target>,
    prefer: Prefer,
    timeout: Duration,
}

/// A hop of a chain, by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the hop, from 1.
    pub number: usize,
    /// How many hops there are.
    pub hops: usize,
    /// The hop itself.
    pub hop: Target,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, hops, hop } = self;
        write!(formatter, "hop {number} of {hops} ({hop})")
    }
}

/// Why a chain leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The first hop, or without hops the target, cannot be reached.
    #[error("cannot reach {0}")]
    Unreached(Box<Target>, #[source] io::Error),
    /// A hop cannot reach the next one, or the last hop the target.
    #[error("{at} cannot reach {next}: {}", .response.status)]
    Failed {
        /// The hop that says so.
        at: Box<Place>,
        /// What it was to connect to.
        next: Box<Target>,
        /// Its response.
        response: Response,
    },
    /// A hop speaks another protocol.
    #[error("{0} does not speak the chain's protocol")]
    Malformed(Box<Place>),
    /// The connection has ended, broken, or timed out before all hops had answered: this one is the
    /// first without a response.
    #[error("no response of {0}")]
    Lost(Box<Place>, #[source] io::Error),
}

impl Client {
    /// Creates a client for a chain of `hops`; without any it connects directly.
    #[must_use]
    pub fn new(hops: Vec<Target>) -> Self {
        Self {
            hops,
            prefer: Prefer::default(),
            timeout: Duration::from_secs(10),
        }
    }

    /// Sets the time limit: for each address of the first hop, and for each wait for bytes of a response.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets which addresses of the first hop's name are tried first.
    #[must_use]
    pub fn prefer(mut self, prefer: Prefer) -> Self {
        self.prefer = prefer;
        self
    }

    /// Connects to `target`. The socket is blocking and without time limits; its next byte is the
    /// target's.
    ///
    /// # Errors
    ///
    /// Fails if a hop or the target cannot be reached; the error names the hop and the reason.
    pub fn connect(&self, target: &Target) -> Result<Socket, Error> {
        let Some(first) = self.hops.first() else {
            return self.dial(target);
        };
        let socket = self.dial(first)?;
        self.converse(&socket, target)?;
        Ok(socket)
    }

    fn dial(&self, first: &Target) -> Result<Socket, Error> {
        resolve(first, self.prefer)
            .and_then(|addresses| connect(&addresses, self.timeout))
            .map_err(|error| Error::Unreached(Box::new(first.clone()), error))
    }

    /// Sends all headers in one write, and reads the responses.
    fn converse(&self, mut socket: &Socket, target: &Target) -> Result<(), Error> {
        let mut responses = Responses::new(self.hops.len());
        let lost = |awaited, error| Error::Lost(self.place(awaited), error);
        socket
            .set_read_timeout(Some(self.timeout))
            .and_then(|()| socket.write_all(&headers(&self.hops, target)))
            .map_err(|error| lost(1, error))?;
        let mut pending = Vec::new();
        loop {
            let (used, outcome) = responses.read(&pending);
            pending.drain(..used);
            match outcome {
                Outcome::Incomplete => pending
                    .push(read_byte(socket).map_err(|error| lost(responses.awaited(), error))?),
                Outcome::Connected => break,
                Outcome::Failed(number, response) => {
                    return Err(self.failed(number, response, target));
                }
                Outcome::Malformed(number) => return Err(Error::Malformed(self.place(number))),
            }
        }
        let unlimited = socket.set_read_timeout(None);
        unlimited.map_err(|error| lost(self.hops.len(), error))
    }

    fn failed(&self, number: usize, response: Response, target: &Target) -> Error {
        let next = self.hops.get(number).unwrap_or(target).clone();
        Error::Failed {
            at: self.place(number),
            next: Box::new(next),
            response,
        }
    }

    fn place(&self, number: usize) -> Box<Place> {
        Box::new(Place {
            number,
            hops: self.hops.len(),
            hop: self.hops[number - 1].clone(),
        })
    }
}

/// Reads one byte and no more, because the one behind the last response is the target's.
fn read_byte(mut socket: &Socket) -> io::Result<u8> {
    let mut byte = [0];
    match socket.read_exact(&mut byte) {
        Ok(()) => Ok(byte[0]),
        // What read(2) says when SO_RCVTIMEO is over.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::ErrorKind::TimedOut.into())
        }
        Err(error) => Err(error),
    }
}
