//! Ways in: how a new client says where it wants to go.
//!
//! An [`Ingress`] is configured once; a [`Handshake`] serves one client, from its first byte to the
//! reply that says whether the target was reached. Both are free of I/O: the session reads, writes,
//! resolves, connects and keeps the time. A [`Conversation`](conversation::Conversation) is the bookkeeping between the two.

pub mod conversation;
mod fixed;
mod hop;
mod http;
mod own_connects;
mod redirect;
mod socks5;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use socket2::SockRef;
use stage2_client::Target;

use crate::access::{User, Wrong};
use crate::address::PeerAddr;
use crate::connect_error::ConnectError;
use crate::http::Invalid;
use crate::http::exchange::Exchange;
use crate::proxy_protocol::Origin;

pub use fixed::Fixed;
pub use hop::Hop;
pub use http::Http;
pub use own_connects::OwnConnects;
pub use redirect::Redirect;
pub use socks5::Socks5;

/// A way in: decides where a new client's session begins.
pub trait Ingress: Debug + Send + Sync {
    /// Returns the name that descriptions of sessions begin with, such as `fixed`.
    fn name(&self) -> &'static str;

    /// Returns what a client's datagrams mean, or `None` if this ingress has none.
    fn datagrams(&self) -> Option<Datagrams> {
        None
    }

    /// Returns where the proxy's own connections are to be noted, if this ingress has to know them.
    fn own_connects(&self) -> Option<&OwnConnects> {
        None
    }

    /// Begins the session of a client that was just accepted.
    fn open(&self, client: &Client<'_>) -> Opening;

    /// Encodes what a client is told, before it has sent a byte, if its address has as many sessions as it may have. If it is
    /// empty, the client is reset.
    fn over_limit(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// What the datagrams of clients mean.
#[derive(Clone, Debug)]
pub enum Datagrams {
    /// Each is a payload for this target.
    To(Arc<Target>),
    /// Each begins with a request header of the [`chain`](crate::chain), and each answer with a response header.
    Hop,
}

/// A client that was just accepted, as its ingress sees it.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    peer_addr: PeerAddr,
    socket: BorrowedFd<'a>,
}

impl<'a> Client<'a> {
    /// Describes the client at the other end of `socket`.
    #[must_use]
    pub fn new(peer_addr: impl Into<PeerAddr>, socket: BorrowedFd<'a>) -> Self {
        let peer_addr = peer_addr.into();
        Self { peer_addr, socket }
    }

    /// Returns the client's address: from accept(2), or from the PROXY protocol header of a peer that may speak
    /// for its clients.
    #[must_use]
    pub fn peer_addr(&self) -> PeerAddr {
        self.peer_addr
    }

    /// Returns the address that the client has connected to. Each call is a system call
    /// (`getsockname(2)`), so an ingress that does not need it should not ask.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        SockRef::from(&self.socket).local_addr().ok()?.as_socket()
    }

    /// Returns the address that the client has connected to before the kernel has redirected it (`SO_ORIGINAL_DST`, which
    /// is in no manual page, but in the kernel's `nf_conntrack_proto.c`). It is that of [`Client::local_addr`] if no
    /// rule has done so, and `None` where the kernel tracks no connections.
    #[must_use]
    pub fn original_addr(&self) -> Option<SocketAddr> {
        let socket = SockRef::from(&self.socket);
        // The listener has one family only, and so has the client.
        let original = match self.local_addr()? {
            SocketAddr::V4(_) => socket.original_dst_v4(),
            SocketAddr::V6(_) => socket.original_dst_v6(),
        };
        original.ok()?.as_socket()
    }
}

/// How a session begins.
#[derive(Debug)]
pub enum Opening {
    /// The target is known without asking the client.
    Target(Arc<Target>),
    /// The target is known, and is the Unix socket with this path.
    Unix(Arc<Path>),
    /// The target is the address that the client has connected to, before the kernel has redirected it.
    Redirected(SocketAddr),
    /// There is no target, for this reason: the client is reset.
    Refuse(&'static str),
    /// The client's first bytes name it.
    Handshake(Box<dyn Handshake>),
}

/// The protocol of one client before its bytes are relayed.
pub trait Handshake: Debug + Send {
    /// Reads all bytes that the client has sent and that were not consumed yet.
    fn advance(&mut self, input: &[u8]) -> Step;

    /// Returns whether [`Handshake::connected`] needs the local address of a connection: each costs a system call
    /// (`getsockname(2)`).
    fn tells_local_addr(&self) -> bool {
        false
    }

    /// Encodes the reply to a client whose target is connected; `local` is the address of the
    /// proxy's end of that connection, if the handshake [tells it](Handshake::tells_local_addr).
    fn connected(&mut self, local: Option<SocketAddr>) -> Vec<u8>;

    /// Encodes the reply to a client that gets no connection. If it is empty, the client is reset.
    fn failed(&mut self, failure: &Failure<'_>) -> Vec<u8>;

    /// Begins anew with the client's next request; asked only behind a step with an [exchange](Step::exchange).
    fn begin_again(&mut self) {}

    /// Returns the client's user, once it has proved that it is one; for the log.
    fn user(&self) -> Option<Arc<User>> {
        None
    }
}

/// Why a client gets no connection: what a [`Handshake`] puts into its protocol's words.
///
/// Its `Display` is one sentence without an address, fit for a client's eyes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Failure<'a> {
    /// The target could not be reached, or must not be ([`ConnectError::Denied`], without the rule: that is the operator's).
    #[error("{0}")]
    Unreached(&'a ConnectError),
    /// The handshake was not complete within its time limit.
    #[error("the handshake timed out")]
    TooSlow,
    /// The handshake has more bytes than it may have.
    #[error("the handshake is too long")]
    TooLong,
    /// The target is connected, has its request, and sends nothing.
    #[error("the target has not answered in time")]
    Silent,
    /// The rest of the request is not valid; it is refused although its head was good.
    #[error("{0}")]
    BadRequest(Invalid),
    /// The target is connected, and its response is not valid or is missing.
    #[error("the response of the target is not valid: {0}")]
    BadResponse(Invalid),
}

/// What a handshake makes of the bytes it was shown.
#[derive(Debug)]
pub struct Step {
    /// Bytes at the front that are done with; the rest is shown again, or belongs to the target.
    pub consumed: usize,
    /// Bytes for the client.
    pub reply: Vec<u8>,
    /// Bytes for the target, before the rest: what a handshake makes of a request that it passes on.
    pub forward: Vec<u8>,
    /// With [`Verdict::Connect`]: the one request that the target gets, and `None` if it gets all further bytes
    /// of the client.
    pub exchange: Option<Box<Exchange>>,
    /// What comes next.
    pub verdict: Verdict,
}

impl Step {
    /// Asks for more of the client's bytes.
    #[must_use]
    pub fn more() -> Self {
        Self::new(0, Verdict::More)
    }

    /// Asks for a connection to `target`; the bytes behind the `consumed` ones are for it.
    #[must_use]
    pub fn connect(consumed: usize, target: Target) -> Self {
        Self::new(consumed, Verdict::Connect(Arc::new(target)))
    }

    /// Asks for a way for datagrams; see [`Verdict::Associate`].
    #[must_use]
    pub fn associate(consumed: usize, hint: Option<SocketAddr>) -> Self {
        Self::new(consumed, Verdict::Associate(hint))
    }

    /// Ends the session with a reply for the client, and the reason for the log.
    #[must_use]
    pub fn refuse(consumed: usize, reply: Vec<u8>, why: impl Into<String>) -> Self {
        Self {
            reply,
            ..Self::new(consumed, Verdict::Refuse(why.into()))
        }
    }

    /// Ends the session of a client that has named a user and not its password: the reply is held back for
    /// [`Limits::wrong_password_delay`](crate::Limits::wrong_password_delay).
    #[must_use]
    pub fn unauthorized(consumed: usize, reply: Vec<u8>, wrong: Wrong) -> Self {
        Self {
            reply,
            ..Self::new(consumed, Verdict::Unauthorized(wrong))
        }
    }

    /// Ends the session, because the client's bytes are too many to be a handshake.
    #[must_use]
    pub fn too_long(consumed: usize) -> Self {
        Self::new(consumed, Verdict::TooLong)
    }

    /// Ends the handshake of a peer that has said whose connection it relays; the client's own one follows.
    #[must_use]
    pub(crate) fn identified(consumed: usize, origin: Origin) -> Self {
        Self::new(consumed, Verdict::Identified(Box::new(origin)))
    }

    fn new(consumed: usize, verdict: Verdict) -> Self {
        Self {
            consumed,
            reply: Vec::new(),
            forward: Vec::new(),
            exchange: None,
            verdict,
        }
    }
}

/// What a handshake asks for.
#[derive(Debug)]
pub enum Verdict {
    /// More of the client's bytes.
    More,
    /// A connection to this target.
    Connect(Arc<Target>),
    /// A socket for datagrams, which the client may send from this address, if it knows its own; the
    /// [`Handshake::connected`] reply gets the address of that socket.
    Associate(Option<SocketAddr>),
    /// The client's own handshake, now that a PROXY protocol header has said who it is. Boxed, because every step has
    /// room for a verdict, and few clients come this way.
    Identified(Box<Origin>),
    /// The end, for the reason given; the reply is still delivered.
    Refuse(String),
    /// The end after a while, because a guess must cost time; the reply is delivered then.
    Unauthorized(Wrong),
    /// The end, because there are too many bytes: [`Handshake::failed`] is asked for the reply.
    TooLong,
}

impl Verdict {
    /// Returns whether the handshake goes on.
    #[must_use]
    pub fn is_more(&self) -> bool {
        matches!(self, Self::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn an_ingress_can_ask_for_both_addresses_of_a_client() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let far = TcpStream::connect(address).unwrap();
        let (near, peer_addr) = listener.accept().unwrap();
        let client = Client::new(peer_addr, near.as_fd());
        assert_eq!(client.peer_addr(), far.local_addr().unwrap().into());
        assert_eq!(client.local_addr(), Some(address));
    }
}
