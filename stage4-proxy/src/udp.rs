//! Datagrams (UDP, RFC 768): one engine for every ingress that has them.
//!
//! ```text
//!             recvmmsg(2)                       sendmmsg(2)
//!   clients ─────────────▶ Listener ─▶ FlowTable ─▶ Flow: a socket ─────▶ upstream, or the first hop
//!           ◀─────────────          ◀─           ◀─                ◀─────
//!             sendmmsg(2)                       recvmmsg(2)
//! ```
//!
//! A datagram socket has no accept(2): one socket receives for all clients, and a client is only an address. So
//! the [`FlowTable`](flow_table) plays the part of the route table. A flow begins with a client's first datagram, has a socket of
//! its own for the answers, and ends after a time without datagrams, or when a newer one needs its place.
//!
//! | ingress | a flow is | a datagram begins with |
//! |---|---|---|
//! | fixed | a client | the payload |
//! | socks5 | an association of a client, and its targets | the header of RFC 1928 section 7 |
//! | hop | a client and a target | one request header of the chain; an answer with one response header |
//!
//! Through a chain, every payload has the headers of all hops in front of it, and every answer their responses:
//! a hop keeps nothing that a later datagram needs but its flow, which any datagram can begin anew.
//!
//! Read `flow_table` first, then `batch` and `socket` (system calls), `flow`, `waiting` and `filter`, then
//! `upward` and `downward` (what happens to a datagram), `ending`, and `counts` with `section` last.
//!
//! # Bounds
//!
//! 1. A worker reads at most 64 messages of one socket in a turn, so that TCP has its turn as well. A message is a
//!    datagram, or a run of up to 64 KiB: then it reads at most 32.
//! 2. [`UdpLimits::max_flows`] bounds the sockets. A flow owns no buffer: all share one scratch.
//! 3. What cannot be passed on at once is dropped and counted (`Dropped`): the sender of a datagram expects that.
//!    Only datagrams whose target's name is being resolved wait, four for each flow.
//! 4. One bad datagram costs itself. No error of a socket ends a worker.
//!
//! With several workers, the kernel chooses one by a hash of the client's address and ours (`SO_REUSEPORT`,
//! `socket(7)`): all datagrams of one client meet the same flow table. The choice depends on the number of sockets, so
//! that all of them stay open until the last worker has ended.

mod association;
mod associations;
mod batch;
mod counts;
mod downward;
mod ending;
mod filter;
mod flow;
pub mod flow_table;
pub(crate) mod key;
mod limits;
mod packet;
mod section;
mod share;
mod socket;
mod upward;
mod waiting;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::Socket;
use stage3_epoll::{Event, Interest, Poll};

use crate::access::Clients;
use crate::egress::Egress;
use crate::ingress::Datagrams;
use crate::inspect::{FlowView, Section};
use crate::mailbox::Mailbox;
use crate::quota::Quota;
use crate::resolve::Answer;
use crate::token::{DatagramSocket, Token};
use crate::udp::association::Association;
use crate::udp::batch::BATCH;
use crate::udp::counts::Counted;
use crate::udp::flow::Flow;
use crate::udp::flow_table::{FlowId, FlowTable};
use crate::udp::key::{AssociationId, Key};
use crate::udp::waiting::Waiting;

pub(crate) use association::Asker;
pub(crate) use batch::Batches;
pub use counts::Dropped;
pub use filter::Filter;
pub use limits::UdpLimits;
pub(crate) use share::Share;
pub(crate) use socket::listen;

/// The calls of recvmmsg(2) for one socket in a turn.
const RECEIVES_PER_TURN: usize = 2;

/// The datagrams of one worker.
#[derive(Debug)]
pub(crate) struct Udp {
    /// `None` without `--udp`.
    listener: Option<Listener>,
    flows: FlowTable<Key, Flow>,
    /// The associations by the rows of their TCP connections.
    associations: HashMap<u32, Association>,
    /// The sockets to upstreams that associations have, and may have.
    association_sockets: usize,
    most_sockets: usize,
    /// That of the last association.
    last_generation: u32,
    waiting: Waiting<Key>,
    limits: UdpLimits,
    /// No client's flow begins any more.
    is_draining: bool,
    share: Share,
    warnings: Quota,
}

/// The socket that the datagrams of all clients arrive at.
#[derive(Debug)]
struct Listener {
    socket: Socket,
    /// Its address; the IP address may be none in particular.
    address: SocketAddr,
    clients: Clients,
    form: Datagrams,
}

/// What a worker lends for one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent<'a> {
    /// The way out.
    pub(crate) egress: &'a Egress,
    /// Where new sockets are registered.
    pub(crate) poll: &'a Poll,
    /// Where a resolver thread puts its answer.
    pub(crate) mailbox: &'a Mailbox,
    /// Time for resolving a name.
    pub(crate) resolve_timeout: Duration,
    /// The time of this turn.
    pub(crate) now: Instant,
}

impl Udp {
    /// Creates the engine of one worker, with its `share` of the flows and without a listener.
    pub(crate) fn new(limits: &UdpLimits, share: Share) -> Self {
        Self {
            listener: None,
            flows: FlowTable::new(share.flows),
            associations: HashMap::new(),
            association_sockets: 0,
            most_sockets: share.flows,
            is_draining: false,
            last_generation: 0,
            waiting: Waiting::new(),
            limits: limits.clone(),
            share,
            warnings: Quota::for_events(),
        }
    }

    /// Registers the socket that clients send to.
    ///
    /// # Errors
    ///
    /// Fails if the poller does not take it.
    pub(crate) fn listen(
        &mut self,
        socket: Socket,
        clients: Clients,
        form: Datagrams,
        poll: &Poll,
    ) -> std::io::Result<()> {
        let token = Token::datagram(DatagramSocket::Listener, 0, 0);
        self.watch(&socket, token, poll)?;
        self.listener = Some(Listener {
            address: stage1_server::local_addr(&socket)?,
            socket,
            clients,
            form,
        });
        Ok(())
    }

    /// Registers a socket, and asks the kernel for runs; one that has none gives each datagram by itself.
    fn watch(&self, socket: &Socket, token: Token, poll: &Poll) -> std::io::Result<()> {
        if !socket::ask_for_runs(socket) {
            self.share.counts.refuse_runs(1);
        }
        let token = stage3_epoll::Token(token.pack());
        poll.register(socket, token, Interest::READABLE)
    }

    /// Does what the event of a datagram socket announces; returns whether there is such a socket.
    pub(crate) fn on_event(
        &mut self,
        (token, socket): (Token, DatagramSocket),
        event: Event,
        batches: &mut Batches,
        lent: Lent<'_>,
    ) -> bool {
        let (row, generation) = (token.row(), token.generation());
        let flow = FlowId { row, generation };
        let association = AssociationId { row, generation };
        if event.is_error() && socket == DatagramSocket::Flow {
            self.read_errors(flow, batches, lent);
        }
        // Level-triggered, so that the next turn is told of the rest.
        for _ in 0..RECEIVES_PER_TURN {
            let received = match socket {
                DatagramSocket::Listener => self.pump_up(batches, lent),
                DatagramSocket::Flow => self.pump_down(flow, batches, lent),
                DatagramSocket::Client => self.pump_association_up(association, batches, lent),
                DatagramSocket::Upstream4 => {
                    self.pump_association_down(association, 0, batches, lent.now)
                }
                DatagramSocket::Upstream6 => {
                    self.pump_association_down(association, 1, batches, lent.now)
                }
            };
            match received {
                Some(count) => {
                    self.share.counts.join_received(batches.incoming.runs());
                    // More of them in one turn are a run's own, which cost less than so many messages.
                    if count < BATCH || batches.incoming.len() > BATCH {
                        return true;
                    }
                }
                None => return false,
            }
        }
        true
    }

    /// Takes a resolver's answer for the target of a flow; returns whether the flow still waits for it.
    pub(crate) fn on_resolved(
        &mut self,
        key: &Key,
        answer: Answer,
        batches: &mut Batches,
        lent: Lent<'_>,
    ) -> bool {
        let waits = |id: &FlowId| {
            let flow = self.flows.get(*id);
            flow.is_some_and(|(_, flow)| flow.upstream().is_none())
        };
        let Some(id) = self.flows.find(key).filter(waits) else {
            return false;
        };
        self.resolved(id, answer, &mut batches.outgoing, lent);
        true
    }

    /// Takes a resolver's answer for a name that the client of an association has sent to; returns whether the
    /// association is still there.
    pub(crate) fn on_name_resolved(
        &mut self,
        key: &Key,
        answer: Answer,
        batches: &mut Batches,
        lent: Lent<'_>,
    ) -> bool {
        self.name_resolved(key, answer, &mut batches.outgoing, lent)
    }

    /// Returns the inspector's section on datagrams; `None` without any.
    pub(crate) fn section(&self) -> Option<Section> {
        let counted = self.share.counts.now();
        let is_used = self.listener.is_some() || counted != Counted::default();
        is_used.then(|| section::section(&counted))
    }

    /// Returns some of the flows for the inspector.
    pub(crate) fn views(&self, now: Instant) -> Vec<FlowView> {
        section::views(&self.flows, now)
    }
}
