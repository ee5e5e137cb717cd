//! The proof of the secret over a connection, between its making and the session.
//!
//! It takes as many bytes as [`Handshake`] needs, and a deadline ends it; the bytes behind it go to the session.

use std::io::{self, IoSlice};
use std::time::Instant;

use stage1_server::cli::cannot;

use crate::tunnel::role::Role;
use crate::tunnel::secret::{Handshake, Nonce, Secret, SecretError};
use crate::tunnel::transport::Carrier;

/// Bytes of one read: more than the whole proof.
const ROOM: usize = 256;

/// The secret of this end.
#[derive(Clone, Debug)]
pub(super) struct Prover {
    secret: Secret,
    role: Role,
}

impl Prover {
    /// Creates the prover of one end.
    pub(super) fn new(secret: Secret, role: Role) -> Self {
        Self { secret, role }
    }

    /// Begins to prove over a connection that is made, and registered.
    ///
    /// # Errors
    ///
    /// Fails if the kernel has no random bytes (`getrandom(2)`).
    pub(super) fn begin(&self, carrier: Box<dyn Carrier>, until: Instant) -> io::Result<Proving> {
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce)
            .map_err(io::Error::other)
            .map_err(cannot("get random bytes"))?;
        Ok(Proving {
            carrier,
            handshake: Handshake::new(self.secret.clone(), self.role, nonce),
            until,
            rest: Vec::new(),
        })
    }
}

/// Why a connection does not become a link.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProofError {
    /// The peer does not know the secret.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// The connection is broken.
    #[error("{0}, before the peer has proved that it knows the secret")]
    Broken(#[from] io::Error),
    /// The peer has ended it.
    #[error(
        "the peer has closed it before it has proved that it knows the secret: has it a --secret-file?"
    )]
    Closed,
    /// The peer says nothing, or not enough.
    #[error("timed out: the peer has not proved that it knows the secret: has it a --secret-file?")]
    TimedOut,
}

/// A connection whose two ends prove that they know the secret.
#[derive(Debug)]
pub(super) struct Proving {
    pub(super) carrier: Box<dyn Carrier>,
    /// When it has taken too long.
    pub(super) until: Instant,
    handshake: Handshake,
    /// Bytes behind the proof.
    rest: Vec<u8>,
}

impl Proving {
    /// Writes and reads what is possible now, and returns whether the proof is complete.
    ///
    /// # Errors
    ///
    /// Fails if the peer does not know the secret, or the connection is broken.
    pub(super) fn advance(&mut self, now: Instant) -> Result<bool, ProofError> {
        loop {
            self.flush()?;
            if self.handshake.is_complete() {
                return Ok(true);
            }
            let mut room = [0; ROOM];
            match self.carrier.read(&mut room)? {
                None if now >= self.until => return Err(ProofError::TimedOut),
                None => return Ok(false),
                Some(0) => return Err(ProofError::Closed),
                Some(count) => self.take(&room[..count])?,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ProofError> {
        let mut input = bytes;
        let taken = self.handshake.handle_input(&mut input);
        self.rest.extend_from_slice(input);
        if taken.is_err() {
            // The peer is told, as far as the connection takes it at once.
            self.flush()?;
        }
        Ok(taken?)
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.handshake.output().is_empty() && self.carrier.is_writable() {
            let written = self
                .carrier
                .write(&[IoSlice::new(self.handshake.output())])?;
            self.handshake.written(written);
        }
        Ok(())
    }

    /// Returns the connection, and the bytes behind the proof, which are the first ones of the session.
    pub(super) fn into_link(self) -> (Box<dyn Carrier>, Vec<u8>) {
        (self.carrier, self.rest)
    }
}
