//! The way of a datagram from its client to its target.

use std::net::SocketAddr;
use std::sync::Arc;

use stage2_client::Target;

use crate::access::Place;
use crate::chain::{Request, Response, Status};
use crate::connect_error::ConnectError;
use crate::ingress::Datagrams;
use crate::mailbox::Message;
use crate::resolve::{Answer, Resolution};
use crate::token::{DatagramSocket, Token};
use crate::udp::association::Association;
use crate::udp::batch::{Batches, Head, Incoming, Outbound, Outgoing, Piece, Sent};
use crate::udp::counts::Dropped;
use crate::udp::flow::{Flow, State, Upstream};
use crate::udp::flow_table::FlowId;
use crate::udp::key::{Key, Origin};
use crate::udp::packet;
use crate::udp::{Lent, Udp};

/// The response header in front of an answer: version, status ok, no text.
const OK: &[u8] = &[1, 0, 0];

impl Udp {
    /// Receives datagrams of clients and passes them on; returns their number, or `None` without a
    /// listener.
    pub(super) fn pump_up(&mut self, batches: &mut Batches, lent: Lent<'_>) -> Option<usize> {
        let listener = self.listener.as_ref()?;
        let Batches {
            incoming,
            pieces,
            outgoing,
            ..
        } = batches;
        // An error is about an earlier answer to a client, which is not there any more.
        let count = incoming.receive(&listener.socket).unwrap_or(0);
        pieces.clear();
        for (number, (head, datagram)) in incoming.iter().enumerate() {
            match self.admit(head, datagram, lent) {
                Ok(Some((flow, start))) => pieces.push(Piece {
                    flow,
                    number,
                    start,
                }),
                Ok(None) => {}
                Err(why) => self.refuse(origin(head), why, outgoing),
            }
        }
        self.send_pieces(pieces, incoming, outgoing, lent);
        Some(count)
    }

    /// Sends payloads that were received, those of one flow together.
    pub(super) fn send_pieces(
        &mut self,
        pieces: &mut [Piece],
        incoming: &Incoming,
        outgoing: &mut Outgoing,
        lent: Lent<'_>,
    ) {
        // Stable, so that the datagrams of a flow stay in their order.
        pieces.sort_by_key(|piece| piece.flow);
        for run in pieces.chunk_by(|one, next| one.flow == next.flow) {
            let payloads = run
                .iter()
                .map(|piece| incoming.payload(piece.number, piece.start));
            self.send_up(run[0].flow, payloads, outgoing, lent);
        }
    }

    /// Finds or begins the flow of a datagram, and returns it with the place where the payload begins; `None` if
    /// the datagram waits for an address.
    fn admit(
        &mut self,
        head: Head,
        datagram: &[u8],
        lent: Lent<'_>,
    ) -> Result<Option<(FlowId, usize)>, Dropped> {
        let listener = self.listener.as_ref().ok_or(Dropped::Client)?;
        if !listener.clients.contains(head.from.ip()) || head.from.port() == 0 {
            return Err(Dropped::Client);
        }
        if head.is_cut {
            return Err(Dropped::TooLong);
        }
        let (target, start) = parse(&listener.form, datagram)?;
        let origin = origin(head);
        let flow = self.place(&Key { origin, target }, &datagram[start..], lent)?;
        Ok(flow.map(|flow| (flow, start)))
    }

    /// Finds or begins the flow of a payload; `None` if the payload waits for an address.
    pub(super) fn place(
        &mut self,
        key: &Key,
        payload: &[u8],
        lent: Lent<'_>,
    ) -> Result<Option<FlowId>, Dropped> {
        let id = match self.flows.find(key) {
            Some(id) => id,
            None => self.begin(key, lent)?,
        };
        let Some((_, flow)) = self.flows.get(id) else {
            return Err(Dropped::Limit);
        };
        match &flow.state {
            State::Resolving(_) => {
                let put = self.waiting.put(key, payload);
                put.then_some(None).ok_or(Dropped::Limit)
            }
            // For each datagram and not only for the first of a flow: a rule has no exceptions.
            State::Open(upstream) => {
                let allowed = lent.egress.check_again(upstream.peer, &flow.target);
                allowed.map(|()| Some(id)).map_err(|_| Dropped::Denied)
            }
        }
    }

    /// Begins a flow: its socket is open, or its target is being resolved.
    fn begin(&mut self, key: &Key, lent: Lent<'_>) -> Result<FlowId, Dropped> {
        let place = self.enter(key.origin)?;
        let target = match (&key.target, self.listener.as_ref().map(|it| &it.form)) {
            (Some(target), _) => Arc::new(target.clone()),
            (None, Some(Datagrams::To(target))) => Arc::clone(target),
            (None, Some(Datagrams::Hop) | None) => return Err(Dropped::Malformed),
        };
        let (mailbox, asker) = (lent.mailbox.clone(), Box::new(key.clone()));
        let deliver = move |answer| mailbox.send(Message::FlowResolved(asker, answer));
        let resolution = lent.egress.resolve(&target, lent.now, deliver);
        let state = match resolution.map_err(|error| self.explain(&target, &error, lent))? {
            Resolution::Known(addresses) => State::Open(self.open(&addresses, &target, lent)?),
            Resolution::Asked(ticket) => State::Resolving(ticket),
        };
        let header = match (key.origin, self.listener.as_ref().map(|it| &it.form)) {
            (Origin::Client { .. }, Some(Datagrams::Hop)) => OK.to_vec(),
            (Origin::Client { .. }, Some(Datagrams::To(_)) | None) => Vec::new(),
            (Origin::Association(_), _) => packet::encode(&target),
        };
        let mut flow = Flow::new(target, state, header, lent.egress, lent.now);
        flow.place = place;
        self.insert(key, flow, lent)
    }

    /// Takes a place for a new flow among those of its client.
    fn enter(&self, origin: Origin) -> Result<Option<Place>, Dropped> {
        let client = match origin {
            Origin::Client { .. } if self.is_draining => return Err(Dropped::Draining),
            Origin::Client { address, .. } => Some(address.ip()),
            Origin::Association(id) => self.associations.get(&id.row).map(Association::peer),
        };
        match (&self.share.per_client, client) {
            (Some(bound), Some(client)) => bound.enter(client).map(Some).ok_or(Dropped::PerClient),
            (None, _) | (_, None) => Ok(None),
        }
    }

    /// Opens the socket of a flow that is about to begin.
    fn open(
        &mut self,
        addresses: &[SocketAddr],
        target: &Target,
        lent: Lent<'_>,
    ) -> Result<Upstream, Dropped> {
        let opened = Upstream::open(addresses, target, lent.egress, self.limits.filter);
        opened.map_err(|error| self.explain(target, &error, lent))
    }

    /// Puts a flow into the table, and its socket into the poller.
    fn insert(&mut self, key: &Key, flow: Flow, lent: Lent<'_>) -> Result<FlowId, Dropped> {
        // Only now, so that a datagram that leads nowhere costs no flow its place.
        self.make_room();
        let lifetime = match &flow.state {
            State::Resolving(_) => lent.resolve_timeout,
            State::Open(_) => self.limits.flow_timeout,
        };
        let id = self.flows.insert(key.clone(), flow, lent.now + lifetime);
        self.share.counts.begin();
        if !self.watch_flow(id, lent) {
            self.end(id);
            return Err(Dropped::Limit);
        }
        Ok(id)
    }

    /// Registers the socket of a flow, if there is one; returns whether that worked.
    fn watch_flow(&self, id: FlowId, lent: Lent<'_>) -> bool {
        let Some(upstream) = self.flows.get(id).and_then(|(_, flow)| flow.upstream()) else {
            return true;
        };
        let token = Token::datagram(DatagramSocket::Flow, id.row, id.generation);
        self.watch(&upstream.socket, token, lent.poll).is_ok()
    }

    /// Sends payloads of one flow to its upstream.
    fn send_up<'a>(
        &mut self,
        id: FlowId,
        payloads: impl Iterator<Item = &'a [u8]>,
        outgoing: &mut Outgoing,
        lent: Lent<'_>,
    ) {
        // Evicted by a later datagram of the same batch, if it is gone.
        let Some((_, flow)) = self.flows.get_mut(id) else {
            return self.share.counts.lose(Dropped::Limit, payloads.count());
        };
        let State::Open(upstream) = &flow.state else {
            return;
        };
        let to = upstream.receiver();
        let datagrams = payloads.map(|payload| Outbound {
            to,
            parts: [&flow.prefix, payload],
        });
        let sent = outgoing.send(&upstream.socket, None, datagrams);
        flow.up += sent.count as u64;
        self.share.counts.pass_up(sent.count);
        let lifetime = flow.lifetime(self.limits.flow_timeout);
        self.flows.touch(id, lent.now + lifetime);
        self.count_unsent(&sent);
        if let Some(error) = sent.error {
            self.note_error(id, error, outgoing, lent);
        }
    }

    /// Counts the datagrams that the kernel has not taken, and the runs.
    pub(super) fn count_unsent(&mut self, sent: &Sent) {
        self.share.counts.join_sent(sent.runs);
        self.share.counts.refuse_runs(sent.refused_runs);
        self.share.counts.lose(Dropped::Full, sent.full);
        self.share.counts.lose(Dropped::TooLong, sent.too_long);
        self.share.counts.lose(Dropped::Unreachable, sent.failed);
    }

    /// Opens the socket of a flow whose target was being resolved, and sends the datagrams that wait; without an
    /// address, ends the flow.
    pub(super) fn resolved(
        &mut self,
        id: FlowId,
        answer: Answer,
        outgoing: &mut Outgoing,
        lent: Lent<'_>,
    ) {
        let Some((key, flow)) = self.flows.get(id) else {
            return;
        };
        let (key, target) = (key.clone(), Arc::clone(&flow.target));
        let opened = match answer {
            Ok(addresses) => self.open(&addresses, &target, lent),
            Err(error) => Err(self.explain(&target, &error, lent)),
        };
        let waiting = self.waiting.take(&key);
        let opened = opened.and_then(|upstream| self.settle(id, upstream, lent));
        match opened {
            Ok(()) => {
                let payloads = waiting.iter().map(|payload| &payload[..]);
                self.send_up(id, payloads, outgoing, lent);
            }
            Err(why) => {
                self.end(id);
                for _ in waiting {
                    self.refuse(key.origin, why, outgoing);
                }
            }
        }
    }

    /// Gives a flow a socket.
    pub(super) fn settle(
        &mut self,
        id: FlowId,
        upstream: Upstream,
        lent: Lent<'_>,
    ) -> Result<(), Dropped> {
        if let Some((_, flow)) = self.flows.get_mut(id) {
            flow.state = State::Open(upstream);
        }
        self.watch_flow(id, lent)
            .then_some(())
            .ok_or(Dropped::Limit)
    }

    /// Logs why a target is not reached, and returns it as a reason.
    pub(super) fn explain(
        &mut self,
        target: &Target,
        error: &ConnectError,
        lent: Lent<'_>,
    ) -> Dropped {
        self.warnings.log(lent.now, |suppressed| {
            let cause = std::error::Error::source(error).map(|it| format!(": {it}"));
            let cause = cause.unwrap_or_default();
            tracing::warn!(suppressed, "no datagrams to {target}: {error}{cause}");
        });
        error.into()
    }

    /// Counts a datagram that goes no further, and says so to a client that can understand it.
    pub(super) fn refuse(&mut self, origin: Origin, why: Dropped, outgoing: &mut Outgoing) {
        self.share.counts.lose(why, 1);
        if let Some(status) = why.status() {
            self.tell(origin, status, outgoing);
        }
    }

    /// Sends a client a response header that is no success, if its ingress has one.
    pub(super) fn tell(&self, origin: Origin, status: Status, outgoing: &mut Outgoing) {
        let (Some(listener), Origin::Client { address, local }) = (&self.listener, origin) else {
            return;
        };
        match listener.form {
            Datagrams::To(_) => {}
            Datagrams::Hop => {
                // Without a text, because the sender may be forged: it must not get many bytes for a few.
                let text = String::new();
                let response = Response { status, text }.encode();
                let datagram = Outbound {
                    to: Some(address),
                    parts: [&response, &[]],
                };
                // An answer that cannot be sent now is lost like any other datagram.
                let _ = outgoing.send(&listener.socket, local, [datagram]);
            }
        }
    }
}

/// Returns the target in front of a datagram, if its client chooses, and the place where the payload begins.
fn parse(form: &Datagrams, datagram: &[u8]) -> Result<(Option<Target>, usize), Dropped> {
    match form {
        Datagrams::To(_) => Ok((None, 0)),
        Datagrams::Hop => match Request::parse(datagram) {
            Request::Connect { next, length } => Ok((Some(next), length)),
            // A datagram is whole: the rest of a header never comes.
            Request::Incomplete | Request::Malformed(_) => Err(Dropped::Malformed),
        },
    }
}

fn origin(head: Head) -> Origin {
    Origin::Client {
        address: head.from,
        local: head.local,
    }
}
