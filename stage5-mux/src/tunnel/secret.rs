//! The proof that both ends of a link know one secret, before the first frame counts; free of I/O and of clocks.
//!
//! ```text
//!   bytes     8        1        32
//!          ┌────────┬──────┬─────────┐        ┌───┬──────────────────────┐       ┌───┐
//!   hello  │ MAGIC  │ role │  nonce  │  proof │ P │ HMAC-SHA256, 32 bytes │  or  │ R │ refused
//!          └────────┴──────┴─────────┘        └───┴──────────────────────┘       └───┘
//!
//!   client   hello ────▶  ◀──── hello   server          each end:  Greeting ── the hello of the peer ──▶ Proving
//!            proof ────▶                                                                                   │
//!                  ◀──── proof                                       Done ◀──── the proof of the peer ─────┘
//! ```
//!
//! A proof is HMAC-SHA256 (RFC 2104), with the secret as its key, over a label, the role of the end that proves, the nonce of
//! the client, and the nonce of the server. Why each of them is there:
//!
//! - both nonces are new for each link, so that a proof that was seen on another link is worth nothing;
//! - the role, so that an end is not satisfied by its own proof, sent back to it (a reflection);
//! - the label, so that a proof for another protocol with the same secret is none here.
//!
//! The client proves itself first, because a server is reached by strangers, and they should learn nothing against which
//! they could try words. A stranger that plays the server gets such a proof, so the secret should be random bytes, for
//! example of `openssl rand -hex 32`.
//!
//! This says who is at the other end, when the link begins. It encrypts nothing, and it does not notice if someone
//! on the way changes bytes later: for that, carry the link over ssh or WireGuard.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::tunnel::role::Role;

/// The first bytes of a hello. No wire begins with 255: it is no version of yamux, and no frame that opens a stream of
/// multiplex.
const MAGIC: [u8; 8] = *b"\xffmuxkey1";
/// Bytes of a nonce and of a proof.
const SIZE: usize = 32;
/// Bytes of a hello: the longest message, and so the most that are held.
const HELLO: usize = MAGIC.len() + 1 + SIZE;
/// Bytes of a proof with its letter.
const PROOF: usize = 1 + SIZE;
/// What a proof is for.
const LABEL: &[u8] = b"stage5-mux link, version 1";

/// The letters of the second message.
const PROVES: u8 = b'P';
const REFUSES: u8 = b'R';

/// Bytes that both ends of a link know, and no other program.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the content of a file: without the newline at its end, because editors put one there.
    ///
    /// # Errors
    ///
    /// Fails if nothing is left, because everyone knows the empty secret.
    pub fn of_file(content: &[u8]) -> Result<Self, SecretError> {
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if content.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(Self(content.to_vec()))
    }
}

/// Leaves the bytes out, so that no log shows them.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// Random bytes that are used for one link only.
pub type Nonce = [u8; SIZE];

/// Why the ends of a link do not trust each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The file has no secret.
    #[error("it is empty")]
    Empty,
    /// The first bytes are no hello.
    #[error("permission denied: the peer does not ask for a secret: has it a --secret-file?")]
    NoHello,
    /// The peer has sent our own hello back, or has the same role.
    #[error(
        "permission denied: the peer has sent back our own greeting, or is the same end of the tunnel"
    )]
    Reflected,
    /// The proof is wrong.
    #[error("permission denied: the peer does not know the secret")]
    Wrong,
    /// The peer says that our proof is wrong.
    #[error("permission denied: the peer says that our secret is wrong")]
    Refused,
}

/// What this end waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The hello of the peer.
    Greeting,
    /// Its proof; the hello had this nonce.
    Proving { theirs: Nonce },
    /// Nothing: the peer has proved that it knows the secret.
    Done,
    /// Nothing: it does not, or has broken the protocol.
    Failed,
}

/// One end of the proof.
///
/// A caller passes what arrives to [`Handshake::handle_input`], writes [`Handshake::output`], and tells
/// [`Handshake::written`] how much was taken, until the proof [is complete](Handshake::is_complete). The bytes behind it
/// stay in the input: they are the first frames. After an error it writes what [`Handshake::output`] still has, and closes.
#[derive(Debug)]
pub struct Handshake {
    secret: Secret,
    role: Role,
    ours: Nonce,
    state: State,
    /// The part of the next message that has arrived.
    partial: Vec<u8>,
    output: Vec<u8>,
}

impl Handshake {
    /// Begins to prove; `nonce` must be random, and used once.
    #[must_use]
    pub fn new(secret: Secret, role: Role, nonce: Nonce) -> Self {
        let hello = [&MAGIC[..], &[letter(role)], &nonce].concat();
        Self {
            secret,
            role,
            ours: nonce,
            state: State::Greeting,
            partial: Vec::with_capacity(HELLO),
            output: hello,
        }
    }

    /// Returns the bytes for the peer.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Notes that bytes were taken from the front of the output.
    ///
    /// # Panics
    ///
    /// Panics if there were not so many.
    pub fn written(&mut self, bytes: usize) {
        self.output.drain(..bytes);
    }

    /// Returns whether each end has proved itself, and everything was written.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Done && self.output.is_empty()
    }

    /// Takes the bytes of the proof from the front of `input`, and no byte behind it.
    ///
    /// # Errors
    ///
    /// Fails if the peer does not know the secret, or says something else. Then the link is of no use.
    pub fn handle_input(&mut self, input: &mut &[u8]) -> Result<(), SecretError> {
        while !input.is_empty() {
            let result = match self.state {
                State::Greeting => self.take_hello(input),
                State::Proving { theirs } => self.take_proof(theirs, input),
                State::Done | State::Failed => return Ok(()),
            };
            if result.is_err() {
                self.state = State::Failed;
                return result;
            }
        }
        Ok(())
    }

    fn take_hello(&mut self, input: &mut &[u8]) -> Result<(), SecretError> {
        self.take_up_to(HELLO, input);
        let known = self.partial.len().min(MAGIC.len());
        // A peer without a secret is told from the first byte on, because it may wait for us now.
        if self.partial[..known] != MAGIC[..known] {
            return Err(SecretError::NoHello);
        }
        let Some((_, rest)) =
            whole(&self.partial, HELLO).and_then(|hello| hello.split_at_checked(MAGIC.len()))
        else {
            return Ok(());
        };
        let mut theirs = Nonce::default();
        theirs.copy_from_slice(&rest[1..]);
        if rest[0] != letter(self.role.other()) || theirs == self.ours {
            return Err(SecretError::Reflected);
        }
        self.partial.clear();
        self.state = State::Proving { theirs };
        if self.role == Role::Client {
            self.prove(theirs);
        }
        Ok(())
    }

    fn take_proof(&mut self, theirs: Nonce, input: &mut &[u8]) -> Result<(), SecretError> {
        self.take_up_to(PROOF, input);
        match self.partial.first() {
            Some(&PROVES) => {}
            Some(&REFUSES) => return Err(SecretError::Refused),
            Some(_) | None => return Err(SecretError::Wrong),
        }
        let Some(message) = whole(&self.partial, PROOF) else {
            return Ok(());
        };
        let expected = self.proof_of(self.role.other(), theirs);
        // In constant time: a comparison that ends at the first wrong byte tells how many bytes are right.
        if !bool::from(message[1..].ct_eq(&expected)) {
            self.output.push(REFUSES);
            return Err(SecretError::Wrong);
        }
        self.partial.clear();
        self.state = State::Done;
        if self.role == Role::Server {
            self.prove(theirs);
        }
        Ok(())
    }

    /// Moves bytes of a message of this length out of the input.
    fn take_up_to(&mut self, length: usize, input: &mut &[u8]) {
        let count = (length - self.partial.len()).min(input.len());
        let (taken, rest) = input.split_at(count);
        self.partial.extend_from_slice(taken);
        *input = rest;
    }

    fn prove(&mut self, theirs: Nonce) {
        let proof = self.proof_of(self.role, theirs);
        self.output.push(PROVES);
        self.output.extend_from_slice(&proof);
    }

    /// Returns the proof of one end.
    fn proof_of(&self, prover: Role, theirs: Nonce) -> [u8; SIZE] {
        let (client, server) = match self.role {
            Role::Client => (self.ours, theirs),
            Role::Server => (theirs, self.ours),
        };
        let mut hmac = keyed(&self.secret);
        for part in [LABEL, &[letter(prover)], &client, &server] {
            hmac.update(part);
        }
        hmac.finalize().into_bytes().into()
    }
}

/// Returns whether the first bytes of a link are those of a peer that asks for a secret.
#[must_use]
pub fn is_hello(bytes: &[u8]) -> bool {
    let known = bytes.len().min(MAGIC.len());
    known > 0 && bytes[..known] == MAGIC[..known]
}

fn whole(bytes: &[u8], length: usize) -> Option<&[u8]> {
    (bytes.len() == length).then_some(bytes)
}

fn keyed(secret: &Secret) -> Hmac<Sha256> {
    match Hmac::new_from_slice(&secret.0) {
        Ok(hmac) => hmac,
        // RFC 2104 section 2: longer keys are hashed, shorter ones filled up.
        Err(_) => unreachable!("a key of any length is a key"),
    }
}

fn letter(role: Role) -> u8 {
    match role {
        Role::Client => b'C',
        Role::Server => b'S',
    }
}

#[cfg(test)]
mod tests;
