//! Ways out: how a session reaches its target.
//!
//! An ingress ends with a [`Target`]; an egress begins with one. Like the ingress, it is chosen once
//! for a worker, and the worker calls it at fixed steps:
//!
//! ```text
//!              target          addresses           a socket         (first bytes)
//!   connect ──────────▶ resolve ──────────▶ dial ────────────▶ connected ──────────▶ Relay
//!                       on a thread    access.rs first,
//!                                      then connect(2)
//! ```
//!
//! | egress | resolves | dials | between `connected` and the relay |
//! |---|---|---|---|
//! | [`Direct`] | the target, if it is a name | its addresses: the next one after 250 ms or a failure | nothing |
//! | a chain of hops (to come) | the first hop, whatever the target is | each address of the first hop | request headers out, responses in |
//! | a stream of a link (stage 5) | nothing: the far end does | nothing: it opens a stream | nothing: the SYN goes out at once |
//!
//! **A chain** is a variant that holds its hops. `resolve` asks for the first hop, `dial` stays as it
//! is. It needs one phase between `Connecting` and `Relay`: when the first hop is connected, the
//! session writes the request headers for all further hops and for the target in one write, and then
//! reads one response for each of them, in the order of the hops. A response that refuses becomes
//! `Next::Refuse` with a [`ConnectError`], so that the client's handshake can put it into its own
//! protocol's words; bytes behind the last response already belong to the client. The headers and
//! responses are a machine without I/O, as
//! [`Conversation`](crate::ingress::conversation::Conversation) is on the other side. The headers go
//! out before the client's early bytes, which may lie in `up.half` already, and the client's success is
//! encoded (`Session::connected`) only after the last response.
//!
//! **A stream of a link** is no socket, so it is not dialled here: stage 5's worker owns the link and
//! opens a stream where this worker calls `resolve`. It shares the ingress side, with
//! [`Conversation`](crate::ingress::conversation::Conversation) and
//! [`Failure`](crate::ingress::Failure). The far end resolves and dials itself, under the same rules:
//! [`Access`](crate::access::Access) and the [`Resolver`](crate::resolve::Resolver) are public for it, and the resolver answers a closure.

pub(crate) mod attempts;
pub(crate) mod direct;
pub(crate) mod permits;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::Target;

use crate::connect_error::ConnectError;
use crate::egress::direct::Direct;
use crate::egress::permits::Permit;
use crate::endpoint::Endpoint;
use crate::inspect::Section;
use crate::resolve::{Answer, Resolution};

/// A way out.
#[derive(Debug)]
pub(crate) enum Egress {
    /// Straight to the target.
    Direct(Direct),
}

impl Egress {
    /// Returns the addresses to dial for `target`, or has them looked up: then `deliver` gets the answer.
    ///
    /// # Errors
    ///
    /// Fails if a lookup has just failed, or if too many names are being looked up.
    pub(crate) fn resolve(
        &self,
        target: &Arc<Target>,
        now: Instant,
        deliver: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<Resolution, ConnectError> {
        match self {
            Self::Direct(direct) => direct.resolve(target, now, deliver),
        }
    }

    /// Notes that no address of `target` could be reached.
    pub(crate) fn distrust(&self, target: &Arc<Target>, now: Instant) {
        match self {
            Self::Direct(direct) => direct.distrust(target, now),
        }
    }

    /// Returns the inspector's section on names.
    pub(crate) fn section(&self) -> Section {
        match self {
            Self::Direct(direct) => direct.section(),
        }
    }

    /// Begins to connect to one address, for a session that wants to reach `target`.
    ///
    /// # Errors
    ///
    /// Fails if the address must not be dialled, or if connect(2) fails at once.
    pub(crate) fn dial(
        &self,
        address: SocketAddr,
        target: Option<&Target>,
    ) -> Result<Endpoint, ConnectError> {
        match self {
            Self::Direct(direct) => direct.dial(address, target),
        }
    }

    /// Takes the right to one more attempt beside the one that a session has room for; `None` if
    /// the descriptors for such attempts are all in use.
    pub(crate) fn permit(&self) -> Option<Permit> {
        match self {
            Self::Direct(direct) => direct.permit(),
        }
    }

    /// Returns the address at which a target was reached a short time ago.
    pub(crate) fn remembered(&self, target: &Target, now: Instant) -> Option<SocketAddr> {
        match self {
            Self::Direct(direct) => direct.remembered(target, now),
        }
    }

    /// Remembers the address that has won the race for a target.
    pub(crate) fn remember(&mut self, target: &Arc<Target>, address: SocketAddr, now: Instant) {
        match self {
            Self::Direct(direct) => direct.remember(target, address, now),
        }
    }
}
