//! How a new client says where it wants to go.
//!
//! An [`Ingress`] is configured once; a [`Handshake`] accompanies one client from its first byte
//! to the answer that tells it whether the target was reached. Both are free of I/O: the session
//! engine reads, writes, resolves, connects and keeps the time.

mod fixed;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use stage2_client::Target;

use crate::connect_error::ConnectError;

pub use fixed::Fixed;

/// A way in: decides where a new client's session begins.
pub trait Ingress: Debug + Send + Sync {
    /// Returns the name that descriptions of sessions begin with, such as `fixed`.
    fn name(&self) -> &'static str;

    /// Begins the session of a client that was just accepted.
    fn open(&self) -> Opening;
}

/// How a session begins.
#[derive(Debug)]
pub enum Opening {
    /// The target is known without asking the client.
    Target(Arc<Target>),
    /// The client's first bytes say it.
    Handshake(Box<dyn Handshake>),
}

/// The conversation with one client before its bytes are relayed.
pub trait Handshake: Debug + Send {
    /// Looks at all bytes that the client has sent and that were not consumed yet.
    fn advance(&mut self, input: &[u8]) -> Step;

    /// Returns what the client is told once the target is connected; `local` is the address that
    /// the proxy has there.
    fn connected(&mut self, local: Option<SocketAddr>) -> Vec<u8>;

    /// Returns what the client is told when the target could not be reached.
    fn failed(&mut self, error: &ConnectError) -> Vec<u8>;
}

/// What a handshake makes of the bytes it was shown.
#[derive(Debug)]
pub struct Step {
    /// Bytes at the front that are done with; the rest is shown again, or belongs to the target.
    pub consumed: usize,
    /// Bytes for the client.
    pub reply: Vec<u8>,
    /// What comes next.
    pub verdict: Verdict,
}

/// What a handshake asks for.
#[derive(Debug)]
pub enum Verdict {
    /// More of the client's bytes.
    More,
    /// A connection to this target.
    Connect(Arc<Target>),
    /// The end, for the reason given; the reply is still delivered.
    Refuse(String),
}
