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
//! | `Direct` | the target, if it is a name | its addresses: the next one after 250 ms or a failure | nothing |
//! | `Chain` | the first hop, whatever the target is | the addresses of the first hop | request headers out, responses in |
//! | a stream of a link (stage 5) | nothing: the far end does | nothing: it opens a stream | nothing: the SYN goes out at once |
//!
//! **A chain** has a phase between `Connecting` and `Relay`: when the first hop is connected, the session
//! sends the request headers of all hops, and then reads one response for each, in the order of the hops
//! ([`chain`](crate::chain)). A response that refuses becomes `Next::Refuse` with
//! [`ConnectError::Hop`], so that the client's handshake can put it into its own protocol's words; bytes
//! behind the last response are the target's. The client's early bytes wait in `up.half`, and its success
//! is encoded (`Session::connected`) only after the last response.
//!
//! **A stream of a link** is no socket, so it is not dialled here: stage 5's worker owns the link and
//! opens a stream where this worker calls `resolve`. It shares the ingress side, with
//! [`Conversation`](crate::ingress::conversation::Conversation) and
//! [`Failure`](crate::ingress::Failure). The far end resolves and dials itself, under the same rules:
//! [`check_dialled`], [`Access`](crate::access::Access) and the [`Resolver`](crate::resolve::Resolver) are public for it, and the resolver answers a closure.

pub(crate) mod attempts;
pub(crate) mod chain;
pub(crate) mod direct;
pub(crate) mod permits;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::Target;

use crate::access::Denial;
use crate::chain::Passage;
use crate::connect_error::ConnectError;
use crate::egress::chain::Chain;
use crate::egress::direct::Direct;
use crate::endpoint::Endpoint;
use crate::inspect::Section;
use crate::resolve::{Answer, Resolution};

pub use direct::check_dialled;
pub use permits::{Permit, Permits};

/// A way out.
#[derive(Debug)]
pub(crate) enum Egress {
    /// Straight to the target.
    Direct(Direct),
    /// Through hops, of which the first is dialled.
    Chain(Chain),
}

impl Egress {
    /// Creates the egress through `hops`, or straight to the target if there are none.
    pub(crate) fn new(direct: Direct, hops: &[Target]) -> Self {
        match hops {
            [] => Self::Direct(direct),
            [first, others @ ..] => Self::Chain(Chain::new(direct, first, others)),
        }
    }

    /// Returns the hops of the chain; none if the way is straight.
    pub(crate) fn hops(&self) -> &[Target] {
        match self {
            Self::Direct(_) => &[],
            Self::Chain(chain) => chain.hops(),
        }
    }

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
        let dialled = self.dialled(target);
        self.direct().resolve(dialled, now, deliver)
    }

    /// Notes that no address of `target` could be reached.
    pub(crate) fn distrust(&self, target: &Arc<Target>, now: Instant) {
        self.direct().distrust(self.dialled(target), now);
    }

    /// Returns the inspector's section on names.
    pub(crate) fn section(&self) -> Section {
        self.direct().section()
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
            Self::Chain(chain) => chain.direct.dial(address, Some(chain.first())),
        }
    }

    /// Checks an address that datagrams for `target` are about to be sent to for the first time.
    ///
    /// # Errors
    ///
    /// Fails with the rule that forbids it.
    pub(crate) fn check(&self, address: SocketAddr, target: &Target) -> Result<(), Denial> {
        self.direct()
            .check_target(address, self.on_the_way_to(target))
    }

    /// Checks an address that was allowed before by the rules alone, for each further datagram.
    ///
    /// # Errors
    ///
    /// Fails with the rule that forbids it.
    pub(crate) fn check_again(&self, address: SocketAddr, target: &Target) -> Result<(), Denial> {
        self.direct()
            .check_rules(address, self.on_the_way_to(target))
    }

    /// Returns what the addresses of this proxy's side belong to: `target`, or the first hop.
    fn on_the_way_to<'a>(&'a self, target: &'a Target) -> &'a Target {
        match self {
            Self::Direct(_) => target,
            Self::Chain(chain) => chain.first(),
        }
    }

    /// Takes the right to one more attempt beside the one that a session has room for; `None` if
    /// the descriptors for such attempts are all in use.
    pub(crate) fn permit(&self) -> Option<Permit> {
        self.direct().permit()
    }

    /// Returns the address at which a target was reached a short time ago.
    pub(crate) fn remembered(&self, target: &Arc<Target>, now: Instant) -> Option<SocketAddr> {
        self.direct().remembered(self.dialled(target), now)
    }

    /// Remembers the address that has won the race for a target.
    pub(crate) fn remember(&mut self, target: &Arc<Target>, address: SocketAddr, now: Instant) {
        let dialled = Arc::clone(self.dialled(target));
        match self {
            Self::Direct(direct) | Self::Chain(Chain { direct, .. }) => {
                direct.remember(&dialled, address, now);
            }
        }
    }

    /// Returns what has to pass between a socket that is connected and the relay to `target`.
    pub(crate) fn passage(&self, target: &Target) -> Option<Passage> {
        match self {
            Self::Direct(_) => None,
            Self::Chain(chain) => Some(chain.passage(target)),
        }
    }

    /// Says whom an error is about: the target, or a hop on the way to it.
    pub(crate) fn explain(&self, error: ConnectError) -> ConnectError {
        match self {
            Self::Direct(_) => error,
            Self::Chain(chain) => chain.explain(error),
        }
    }

    fn direct(&self) -> &Direct {
        match self {
            Self::Direct(direct) | Self::Chain(Chain { direct, .. }) => direct,
        }
    }

    /// Returns what is dialled on the way to `target`.
    fn dialled<'a>(&'a self, target: &'a Arc<Target>) -> &'a Arc<Target> {
        match self {
            Self::Direct(_) => target,
            Self::Chain(chain) => chain.first(),
        }
    }
}
