//! How a client connects: its options, and the connecting itself.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{SockRef, Socket};

use crate::cause::Symptom;
use crate::deadline::{PATIENCE, scaled};
use crate::failure::Failure;
use crate::peer::Peer;
use crate::socket_options::SocketOptions;
use crate::transcript::Transcript;

/// The options of a client: `Connect::new().receive_buffer(4096).to(address)`.
#[derive(Clone, Debug, Default)]
pub struct Connect {
    name: Option<String>,
    socket: SocketOptions,
    from: Option<SocketAddr>,
    patience: Option<Duration>,
}

impl Connect {
    /// Creates options that leave every choice to the kernel.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the client a name in messages (default: `client N`).
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Sets `SO_RCVBUF`, before connecting: a small one makes a slow reader, which soon blocks the sender.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.socket.receive_buffer = Some(bytes);
        self
    }

    /// Sets `SO_SNDBUF`.
    #[must_use]
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.socket.send_buffer = Some(bytes);
        self
    }

    /// Sets `TCP_MAXSEG`, before connecting: the kernel gives the other side a send buffer of about 20 segments, so with
    /// small ones a program soon has to wait (`tcp(7)`).
    #[must_use]
    pub fn segment(mut self, bytes: u32) -> Self {
        self.socket.segment = Some(bytes);
        self
    }

    /// Binds the client to a local address first, for example `127.0.0.2:0`.
    #[must_use]
    pub fn from(mut self, local: SocketAddr) -> Self {
        self.from = Some(local);
        self
    }

    /// Changes how long connecting and every later action may take (default: [`PATIENCE`]).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Connects.
    ///
    /// # Panics
    ///
    /// Panics if the connection is refused or takes too long.
    #[must_use]
    #[track_caller]
    pub fn to(&self, address: SocketAddr) -> Peer {
        match self.try_to(address) {
            Ok(peer) => peer,
            Err(error) => {
                let failure =
                    Failure::new(format!("A client cannot connect to {address}: {error}."));
                if error.kind() == ErrorKind::ConnectionRefused {
                    failure.symptom(Symptom::Gone).raise()
                }
                failure.raise()
            }
        }
    }

    /// Connects, and gives back the error instead of failing.
    ///
    /// # Errors
    ///
    /// Fails like `connect(2)`.
    pub fn try_to(&self, address: SocketAddr) -> io::Result<Peer> {
        let transcript = Transcript::current();
        let name = self
            .name
            .clone()
            .unwrap_or_else(|| format!("client {}", transcript.next_client()));
        let result = self.connected(address).and_then(|socket| {
            Peer::adopt(socket.into(), address, name.clone(), transcript.clone())
        });
        match &result {
            Ok(peer) => transcript.step(format!(
                "{name} connects to {address} from {}",
                peer.local()
            )),
            Err(error) => transcript.step(format!("{name} cannot connect to {address}: {error}")),
        }
        Ok(result?.with_patience(self.patience.unwrap_or(PATIENCE)))
    }

    fn connected(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = self.socket.open(address)?;
        if let Some(local) = self.from {
            socket.bind(&local.into())?;
        }
        let patience = scaled(self.patience.unwrap_or(PATIENCE));
        match socket.connect_timeout(&address.into(), patience) {
            Ok(()) => Ok(socket),
            // The program accepted and reset before connecting came to its end here. A moment later the next read
            // would have reported it, and which of the two happens is a matter of scheduling.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => reset_already(),
            Err(error) => Err(error),
        }
    }
}

/// Returns a socket whose connection has been reset by its other end: each read and write reports that.
fn reset_already() -> io::Result<Socket> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    SockRef::from(&far).set_linger(Some(Duration::ZERO))?;
    Ok(near.into())
}

impl Peer {
    /// Connects to `address`.
    ///
    /// # Panics
    ///
    /// Panics if the connection is refused or takes too long.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Connect::new().to(address)
    }
}

#[cfg(test)]
mod tests {
    use super::reset_already;
    use std::io::{ErrorKind, Read as _};
    use std::net::TcpStream;

    #[test]
    fn a_reset_that_came_before_the_end_of_connecting_is_read() {
        let mut stream = TcpStream::from(reset_already().expect("loopback has free ports"));
        assert!(stream.peer_addr().is_err(), "the connection is gone");
        let error = stream.read(&mut [0]).expect_err("it was reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}
