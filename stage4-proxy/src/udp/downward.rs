//! The way of an answer from an upstream to the client.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::chain::{Fault, HopFailure, Outcome, Responses};
use crate::connect_error::ConnectError;
use crate::udp::batch::{Batches, Outbound, Outgoing};
use crate::udp::counts::Dropped;
use crate::udp::filter::Filter;
use crate::udp::flow::{Flow, State, Upstream};
use crate::udp::flow_table::FlowId;
use crate::udp::key::Origin;
use crate::udp::socket::drain_errors;
use crate::udp::{Lent, Listener, Udp};

impl Udp {
    /// Receives answers for one flow and passes them on; returns their number, or `None` if the flow has
    /// ended.
    pub(super) fn pump_down(
        &mut self,
        id: FlowId,
        batches: &mut Batches,
        lent: Lent<'_>,
    ) -> Option<usize> {
        let Batches {
            incoming, outgoing, ..
        } = batches;
        let upstream = self.flows.get(id)?.1.upstream()?;
        match incoming.receive(&upstream.socket) {
            Ok(0) => Some(0),
            Ok(count) => {
                self.send_down(id, batches, lent);
                Some(count)
            }
            Err(error) => {
                self.note_error(id, error, outgoing, lent);
                Some(0)
            }
        }
    }

    /// Sends the answers that were received to the client of their flow.
    fn send_down(&mut self, id: FlowId, batches: &mut Batches, lent: Lent<'_>) {
        let Batches {
            incoming, outgoing, ..
        } = batches;
        let Some((key, flow)) = self.flows.get_mut(id) else {
            return;
        };
        let origin = key.origin;
        let back = match origin {
            Origin::Client { address, local } => {
                let listener = self.listener.as_ref();
                listener.map(|it| (&it.socket, Some(address), local, it.seen_at(local)))
            }
            Origin::Association(id) => {
                let association = self.associations.get(&id.row);
                association.map(|it| (&it.client, it.receiver(), None, it.own))
            }
        };
        let Some((socket, to, from, own)) = back else {
            return;
        };
        let (filter, hops) = (self.limits.filter, lent.egress.hops().len());
        let mut failure = None;
        let answers = incoming.iter().filter_map(|(head, datagram)| {
            // Our own answer, which has come back because the client is gone and the kernel has given its port to
            // a flow. Passed on, it would come back forever.
            if head.from == own {
                self.share.counts.lose(Dropped::Stranger, 1);
                return None;
            }
            let (why, hop) = match flow.read_answer(head.from, datagram, filter, hops) {
                Answer::Payload(payload) => {
                    let parts = [&flow.header, payload];
                    return Some(Outbound { to, parts });
                }
                Answer::Stranger => (Dropped::Stranger, None),
                Answer::Failure(failure) => (Dropped::Hop, Some(failure)),
            };
            self.share.counts.lose(why, 1);
            failure = hop.or(failure);
            None
        });
        let sent = outgoing.send(socket, from, answers);
        self.share.counts.pass_down(sent.count);
        if sent.count > 0 {
            flow.down += sent.count as u64;
            flow.is_answered = true;
            let lifetime = flow.lifetime(self.limits.flow_timeout);
            self.flows.touch(id, lent.now + lifetime);
        }
        self.count_unsent(&sent);
        if let Some(failure) = failure {
            self.report(id, failure, lent);
            self.tell(origin, failure.status(), outgoing);
        }
    }

    /// Logs the failure of a hop.
    fn report(&mut self, id: FlowId, failure: HopFailure, lent: Lent<'_>) {
        let target = self.flows.get(id).map(|(_, flow)| &flow.target);
        self.warnings.log(lent.now, |suppressed| {
            let target = target.map(ToString::to_string).unwrap_or_default();
            tracing::warn!(suppressed, "no datagrams to {target}: {failure}");
        });
    }

    /// Takes what the kernel has queued about a flow's earlier datagrams.
    pub(super) fn read_errors(&mut self, id: FlowId, batches: &mut Batches, lent: Lent<'_>) {
        let Some(upstream) = self.flows.get(id).and_then(|(_, flow)| flow.upstream()) else {
            return;
        };
        let error = upstream.socket.take_error();
        drain_errors(&upstream.socket);
        if let Ok(Some(error)) = error {
            self.note_error(id, error, &mut batches.outgoing, lent);
        }
    }

    /// Counts an error that an earlier datagram of a flow has met. The flow goes on: with another address, if
    /// this one has never answered and there is one.
    pub(super) fn note_error(
        &mut self,
        id: FlowId,
        error: io::Error,
        outgoing: &mut Outgoing,
        lent: Lent<'_>,
    ) {
        let why = Dropped::from(&ConnectError::from(error));
        let Some((key, _)) = self.flows.get(id) else {
            return;
        };
        let origin = key.origin;
        if self.try_next_address(id, lent) {
            self.share.counts.lose(why, 1);
        } else {
            self.refuse(origin, why, outgoing);
        }
    }

    /// Moves a flow that has never been answered to the next address of its target; returns whether there is one.
    fn try_next_address(&mut self, id: FlowId, lent: Lent<'_>) -> bool {
        let Some((_, flow)) = self.flows.get_mut(id).filter(|(_, flow)| !flow.is_answered) else {
            return false;
        };
        let others = match &mut flow.state {
            State::Open(upstream) => upstream.take_others(),
            State::Resolving(_) => return false,
        };
        let target = std::sync::Arc::clone(&flow.target);
        let next = Upstream::open(&others, &target, lent.egress, self.limits.filter);
        next.is_ok_and(|upstream| self.settle(id, upstream, lent).is_ok())
    }
}

impl Listener {
    /// Returns the address that a client sees which has sent to `local`.
    fn seen_at(&self, local: Option<IpAddr>) -> SocketAddr {
        (local.unwrap_or(self.address.ip()), self.address.port()).into()
    }
}

/// What a datagram from an upstream is.
enum Answer<'a> {
    /// An answer, without the response headers of the hops.
    Payload(&'a [u8]),
    /// Sent by a host that was not asked.
    Stranger,
    /// A hop's error, or bytes that are none of the chain's.
    Failure(HopFailure),
}

impl Flow {
    /// Reads a datagram that has come from `sender` through `hops` hops.
    fn read_answer<'a>(
        &self,
        sender: SocketAddr,
        datagram: &'a [u8],
        filter: Filter,
        hops: usize,
    ) -> Answer<'a> {
        let is_asked = self
            .upstream()
            .is_some_and(|upstream| upstream.is_connected || filter.admits(upstream.peer, sender));
        if !is_asked {
            return Answer::Stranger;
        }
        let mut responses = Responses::new(hops);
        let (hop, fault) = match responses.read(datagram) {
            (used, Outcome::Connected) => return Answer::Payload(&datagram[used..]),
            (_, Outcome::Failed(hop, response)) => (hop, Fault::Unreached(response.status)),
            (_, Outcome::Malformed(hop)) => (hop, Fault::Stranger),
            // A datagram is whole: the rest never comes.
            (_, Outcome::Incomplete) => (responses.awaited(), Fault::Stranger),
        };
        Answer::Failure(HopFailure { hop, hops, fault })
    }
}
