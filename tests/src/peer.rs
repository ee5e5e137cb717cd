//! One TCP connection of a test, as a client or inside a script: every action has a deadline and becomes a step of the transcript.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockFilter, SockRef};

use crate::deadline::PATIENCE;
use crate::failure::Failure;
use crate::transcript::Transcript;

/// A TCP connection of a test; [`crate::Client`] is the same type.
#[derive(Debug)]
pub struct Peer {
    pub(crate) name: String,
    number: usize,
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) patience: Duration,
    pub(crate) transcript: Transcript,
}

impl Peer {
    /// Takes over a stream that was connected to `remote`, and may have been reset meanwhile.
    pub(crate) fn adopt(
        stream: TcpStream,
        remote: SocketAddr,
        name: String,
        transcript: Transcript,
    ) -> io::Result<Self> {
        let local = stream.local_addr()?;
        // Each write of a test becomes a segment of its own.
        stream.set_nodelay(true)?;
        Ok(Self {
            name,
            number: 0,
            stream: Arc::new(stream),
            local,
            remote,
            patience: PATIENCE,
            transcript,
        })
    }

    pub(crate) fn numbered(mut self, number: usize) -> Self {
        self.number = number;
        self
    }

    /// Changes how long every action may take (default: [`PATIENCE`]).
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Returns the name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns which connection of its listener this is, counted from 0; 0 for clients.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the address of this end.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Returns the address of the other end.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Returns the stream itself, for operations that this type does not offer.
    #[must_use]
    pub fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Shuts down its own direction (FIN); the other side can still send.
    ///
    /// # Panics
    ///
    /// Panics if the connection is already broken.
    #[track_caller]
    pub fn half_close(&self) {
        self.step("ends its direction (FIN)");
        if let Err(error) = self.stream.shutdown(Shutdown::Write) {
            self.fail(&format!("cannot end its direction: {error}"))
                .raise();
        }
    }

    /// Closes the connection with a reset (RST): `SO_LINGER` with zero seconds, `socket(7)`.
    pub fn reset(self) {
        self.step("resets the connection (RST)");
        // This fails if the other side has already reset the connection, and then there is nothing left to reset.
        let _ = SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Closes the connection. If received bytes are still unread, the kernel sends RST instead of FIN.
    pub fn close(self) {
        self.step("closes the connection");
    }

    /// Vanishes, as a machine does that loses its network: the kernel drops every packet that arrives for this socket, so
    /// that nothing is acknowledged or answered any more (`socket(7)`, `SO_ATTACH_FILTER`).
    ///
    /// # Panics
    ///
    /// Panics if the kernel refuses the filter.
    #[track_caller]
    pub fn vanish(&self) {
        // One instruction of a packet filter: return 0, which keeps no byte of the packet (BPF_RET | BPF_K).
        let drop_everything = [SockFilter::new(0x06, 0, 0, 0)];
        if let Err(error) = SockRef::from(&*self.stream).attach_filter(&drop_everything) {
            self.fail(&format!("cannot drop its packets: {error}"))
                .raise();
        }
        self.step("vanishes: it answers no packet any more");
    }

    pub(crate) fn step(&self, what: &str) {
        self.transcript.step(format!("{} {what}", self.name));
    }

    pub(crate) fn fail(&self, what: &str) -> Failure {
        Failure::new(format!("{} {what}.", self.name)).in_transcript(&self.transcript)
    }
}

/// Returns whether the socket's own time limit passed (`EAGAIN`) or a signal arrived: then the deadline decides.
pub(crate) fn is_retry(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
