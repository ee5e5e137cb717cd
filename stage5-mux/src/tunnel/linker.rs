//! Makes the link, again and again: finds the peer and connects, or waits and accepts, and proves the secret.
//!
//! ```text
//!   Via::Connect   look the name up ─▶ connect(2) to each address ─┐
//!   Via::Open      a Unix socket, a command, standard input ───────┼─▶ begin ─▶ prove the secret ─▶ carry streams
//!   Via::Listen    accept ─▶ meet: is the old link alive? ─────────┘
//! ```
//!
//! Each step may fail, and says why; the worker then closes the link and tells the streams. The linker itself knows none of
//! them.
//!
//! | file | part |
//! |---|---|
//! | `linker/connecting.rs` | this end connects |
//! | `linker/admitting.rs` | whether a connection becomes the link: the secret, and an old link's sign of life |

mod admitting;
mod connecting;

use std::fmt::Display;
use std::io;
use std::sync::mpsc::Sender;
use std::time::Instant;

use mio::Registry;
use stage4_proxy::access::Clients;
use stage4_proxy::connect_error::ConnectError;

use crate::endpoint::Endpoint;
use crate::listener::{Accepted, Listener};
use crate::mailbox::Mailbox;
use crate::tokens;
use crate::tunnel::dial::{Protocol, Route};
use crate::tunnel::limits::TunnelLimits;
use crate::tunnel::link::{Link, State};
use crate::tunnel::message::Message;
use crate::tunnel::proving::Prover;
use crate::tunnel::reception::may_come;
use crate::tunnel::session::Session;
use crate::tunnel::transport::Carrier;
use crate::tunnel::transport::opener::Opener;
use crate::tunnel::wire::Wire;

/// How the link comes about.
#[derive(Debug)]
pub(super) enum Via {
    /// This end looks a name up and connects.
    Connect(Route, Protocol),
    /// This end opens it at once.
    Open(Opener),
    /// This end waits for the other.
    Listen(Listener),
}

/// How many links a tunnel has, one after the other.
#[derive(Debug)]
pub(super) enum Lifetime {
    /// A lost link is made anew.
    ManyLinks,
    /// The tunnel ends with its link.
    OneLink {
        /// Why the link has ended, if that was not in order.
        fault: Option<String>,
        /// The thread that waits for the link.
        waiting: Option<Sender<()>>,
    },
}

/// The way to the link, and the link.
#[derive(Debug)]
pub(super) struct Linker<W> {
    // Before what has opened it, which waits for the end of a command.
    pub(super) link: Link<W>,
    pub(super) lifetime: Lifetime,
    /// The peers that may bring the link, if this end waits for it.
    pub(super) peers: Clients,
    via: Via,
    wire: W,
    limits: TunnelLimits,
    registry: Registry,
    mailbox: Mailbox<Message>,
    /// Whether no further link is wanted.
    is_leaving: bool,
}

impl<W: Wire + Copy> Linker<W> {
    /// Creates a linker for a tunnel with many links, each brought by any peer.
    pub(super) fn new(
        (wire, via): (W, Via),
        prover: Option<Prover>,
        limits: TunnelLimits,
        (registry, mailbox): (Registry, Mailbox<Message>),
    ) -> Self {
        let retry_at = match via {
            Via::Connect(..) | Via::Open(_) => Some(Instant::now()),
            Via::Listen(_) => None,
        };
        Self {
            link: Link::new(retry_at, prover, limits.stall_limit::<W>()),
            lifetime: Lifetime::ManyLinks,
            peers: Clients::any(),
            via,
            wire,
            limits,
            registry,
            mailbox,
            is_leaving: false,
        }
    }

    /// Returns the session of the link, if it carries streams.
    pub(super) fn session(&mut self) -> Option<&mut Session<W>> {
        self.link.up().map(|up| &mut up.session)
    }

    /// Returns the listener for the link, if this end waits for it.
    pub(super) fn listener_mut(&mut self) -> Option<&mut Listener> {
        match &mut self.via {
            Via::Listen(listener) => Some(listener),
            Via::Connect(..) | Via::Open(_) => None,
        }
    }

    /// Returns whether there may be a link in the accept queue.
    pub(super) fn has_waiting_link(&mut self) -> bool {
        let listener = self.listener_mut();
        listener.is_some_and(|listener| listener.is_ready())
    }

    /// Makes no further link; the one that is up goes on.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        if let State::Down { retry_at } = &mut self.link.state {
            *retry_at = None;
        }
    }

    /// Returns whether the tunnel ends with its link.
    pub(super) fn has_one_link(&self) -> bool {
        matches!(self.lifetime, Lifetime::OneLink { .. })
    }

    /// Accepts a link. One that is not wanted is reset.
    pub(super) fn accept(&mut self, now: Instant) {
        let Via::Listen(listener) = &mut self.via else {
            return;
        };
        match listener.accept() {
            Accepted::Client(socket, peer) => {
                let endpoint = Endpoint::accepted(socket, peer);
                if may_come(&self.peers, peer) {
                    self.meet(endpoint, now);
                } else {
                    tracing::warn!(%peer, "refused: --clients does not admit it");
                    endpoint.reset_on_close();
                }
            }
            Accepted::Gone | Accepted::Empty => {}
            Accepted::Starved(error) => {
                tracing::warn!(%error, "cannot accept a link");
                listener.pause_starved(now);
            }
        }
    }

    /// Acts on the deadline of a link that is not up: tries to make it, or ends an attempt.
    ///
    /// # Errors
    ///
    /// Fails with the reason if the attempt has failed.
    pub(super) fn expire(&mut self, now: Instant) -> Result<(), String> {
        match &mut self.link.state {
            State::Down { .. } => self.find_peer(now),
            State::Connecting { dial, .. } => {
                dial.failed(ConnectError::TimedOut);
                self.next_address(now)
            }
            State::Proving(_) => self.prove(now),
            State::Resolving { .. } | State::Up(_) => Ok(()),
        }
    }

    fn register<C: Carrier>(&mut self, mut carrier: C) -> io::Result<C> {
        let token = tokens::pack(self.link.mint());
        carrier.register(&self.registry, token)?;
        Ok(carrier)
    }

    /// Takes the link down, or ends an attempt to make it, and plans the next one; returns the state until now.
    pub(super) fn take_down(&mut self, reason: &dyn Display, now: Instant) -> State<W> {
        let pause = self.link.next_pause();
        let retry_at = match self.via {
            Via::Connect(..) | Via::Open(_) if self.makes_links() => Some(now + pause),
            Via::Connect(..) | Via::Open(_) | Via::Listen(_) => None,
        };
        let state = std::mem::replace(&mut self.link.state, State::Down { retry_at });
        let was_up = matches!(state, State::Up(_));
        self.link.history.lost(was_up, reason.to_string(), now);
        self.link.mint();
        tracing::warn!(%reason, retry_in = ?retry_at.map(|_| pause), "the link is down");
        state
    }

    /// Notes why the only link is lost, unless it was about to end.
    pub(super) fn note_fault(&mut self, reason: &dyn Display) {
        if let Lifetime::OneLink { fault, .. } = &mut self.lifetime
            && !self.is_leaving
        {
            fault.get_or_insert_with(|| format!("the link is lost: {reason}"));
        }
    }

    /// Returns whether a lost link is made anew.
    fn makes_links(&self) -> bool {
        !self.has_one_link() && !self.is_leaving
    }
}
