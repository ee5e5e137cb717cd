//! Handshakes through the library: pieces of a client's bytes go in, and what the proxy makes of them comes out.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::ingress::conversation::Conversation;
use stage4_proxy::ingress::{Client, Failure, Ingress, Opening, Verdict};

/// More bytes than any handshake of these tests has.
const MOST: usize = 64 * 1024;

/// The handshake of one client, without a socket: the test plays the session.
pub(crate) struct Talk {
    conversation: Conversation,
    /// Sent by the client, and not consumed yet.
    pending: Vec<u8>,
    /// For the client, all replies so far.
    pub(crate) reply: Vec<u8>,
    /// For the target, in front of the rest.
    pub(crate) forward: Vec<u8>,
    /// Where to, once the client has said it.
    pub(crate) target: Option<String>,
    /// Whether the handshake has ended without a target.
    pub(crate) refused: bool,
}

impl Talk {
    /// Begins the handshake of a new client.
    pub(crate) fn begin(ingress: &dyn Ingress) -> Self {
        // Any socket will do: these ingresses do not look at it.
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let opening = ingress.open(&Client::new(peer, socket.as_fd()));
        let Opening::Handshake(handshake) = opening else {
            harness::fail("This ingress has no handshake.");
        };
        Self {
            conversation: Conversation::new(handshake, MOST),
            pending: Vec::new(),
            reply: Vec::new(),
            forward: Vec::new(),
            target: None,
            refused: false,
        }
    }

    /// Begins the handshake of a client whose bytes arrive in these pieces.
    pub(crate) fn of(ingress: &dyn Ingress, pieces: &[&[u8]]) -> Self {
        let mut talk = Self::begin(ingress);
        pieces.iter().for_each(|piece| talk.hear(piece));
        talk
    }

    /// Shows the handshake more bytes, as a session does after a read.
    pub(crate) fn hear(&mut self, piece: &[u8]) {
        self.pending.extend_from_slice(piece);
        if self.is_over() {
            return;
        }
        let step = self.conversation.advance(&self.pending);
        let (count, most) = (step.consumed, self.pending.len());
        harness::ensure(
            count <= most,
            format!("The handshake was shown {most} bytes and says that it has consumed {count}."),
        );
        self.pending.drain(..step.consumed);
        self.reply.extend(step.reply);
        self.forward.extend(step.forward);
        if let Verdict::Connect(target) = &step.verdict {
            self.target = Some(target.to_string());
        } else {
            self.refused = !step.verdict.is_more();
        }
    }

    /// Returns whether the handshake has decided.
    pub(crate) fn is_over(&self) -> bool {
        self.refused || self.target.is_some()
    }

    /// Returns the bytes that the handshake has not consumed: the session sends them to the target.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.pending
    }

    /// Returns the reply to a client whose target is connected.
    pub(crate) fn connected(&mut self, local: Option<SocketAddr>) -> Vec<u8> {
        self.conversation.connected(local)
    }

    /// Returns the reply to a client whose target is not.
    pub(crate) fn failed(&mut self, error: &ConnectError) -> Vec<u8> {
        self.conversation.failed(&Failure::Unreached(error))
    }
}

/// An error without a number of its own in any protocol.
pub(crate) fn other_error() -> ConnectError {
    ConnectError::Other(io::Error::other("no ports left"))
}
