//! The ways of datagrams between the clients of associations and their targets.
//!
//! Straight to its targets, an association has one socket for all of a family. Through a chain, answers do not say
//! which target they come from, so that each target has a flow of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use stage2_client::{Host, Target};

use crate::mailbox::Message;
use crate::resolve::{Answer, Resolution};
use crate::token::{DatagramSocket, Token};
use crate::udp::association::{Asker, Association, Known};
use crate::udp::batch::{Aimed, Batches, Head, Incoming, Outbound, Outgoing, Piece};
use crate::udp::counts::Dropped;
use crate::udp::key::{AssociationId, Key, Origin};
use crate::udp::packet::{self, Header};
use crate::udp::socket::{bound, check_route, local_addr, unspecified};
use crate::udp::{Lent, Udp};

impl Udp {
    /// Begins an association for the TCP connection in a row, and returns the address that its client must send to.
    ///
    /// # Errors
    ///
    /// Fails if there are no datagrams here, or no descriptor.
    pub(crate) fn associate(
        &mut self,
        row: u32,
        asker: &Asker,
        lent: Lent<'_>,
    ) -> io::Result<SocketAddr> {
        if self.most_sockets == 0 {
            return Err(io::Error::other("this proxy takes no datagrams"));
        }
        let mut here = asker.local;
        here.set_port(0);
        let client = bound(here)?;
        let address = local_addr(&client).ok_or_else(|| io::Error::other("no local address"))?;
        self.last_generation = self.last_generation.wrapping_add(1);
        let token = Token::datagram(DatagramSocket::Client, row, self.last_generation);
        self.watch(&client, token, lent.poll)?;
        let association = Association::new(self.last_generation, client, address, asker);
        self.associations.insert(row, association);
        Ok(address)
    }

    /// Ends the association of a TCP connection, and closes its sockets.
    pub(crate) fn end_association(&mut self, row: u32) {
        let Some(association) = self.associations.remove(&row) else {
            return;
        };
        let sockets = association.upstreams.iter().flatten().count();
        self.association_sockets -= sockets;
        let origin = Origin::Association(AssociationId {
            row,
            generation: association.generation,
        });
        let flows = self.flows.iter().filter(|(_, key, _)| key.origin == origin);
        let flows: Vec<_> = flows.map(|(id, _, _)| id).collect();
        for flow in flows {
            self.end(flow);
        }
        let unsent = self.waiting.take_all(|key| key.origin == origin);
        self.share.counts.lose(Dropped::Limit, unsent);
    }

    /// Receives datagrams of an association's client and passes them on; returns their number, or `None` if it
    /// has ended.
    pub(super) fn pump_association_up(
        &mut self,
        id: AssociationId,
        batches: &mut Batches,
        lent: Lent<'_>,
    ) -> Option<usize> {
        let association = self.association(id)?;
        let incoming = &mut batches.incoming;
        // An error is about an earlier answer: the client's port was closed.
        let received = incoming.receive(&association.client);
        let count = received.unwrap_or(0);
        if lent.egress.hops().is_empty() {
            self.aim_all(id, batches, lent);
        } else {
            self.chain_all(id, batches, lent);
        }
        Some(count)
    }

    /// Sends received datagrams straight to their targets.
    fn aim_all(&mut self, id: AssociationId, batches: &mut Batches, lent: Lent<'_>) {
        let Batches {
            incoming,
            aimed,
            outgoing,
            ..
        } = batches;
        aimed.clear();
        for (number, (head, datagram)) in incoming.iter().enumerate() {
            match self.aim(id, head, datagram, lent) {
                Ok(Some((to, start))) => aimed.push(Aimed { to, number, start }),
                Ok(None) => {}
                Err(why) => self.share.counts.lose(why, 1),
            }
        }
        // Stable, so that the datagrams to one target stay in their order.
        aimed.sort_by_key(|datagram| datagram.to.is_ipv6());
        for family in aimed.chunk_by(|one, next| one.to.is_ipv6() == next.to.is_ipv6()) {
            let to = family[0].to;
            match self.open_upstream(id, to, lent) {
                Ok(()) => self.send_from(id, to, outbound(family, incoming), outgoing),
                Err(why) => self.share.counts.lose(why, family.len()),
            }
        }
    }

    /// Reads the header of a client's datagram, and returns its target's address with the place where the payload
    /// begins; `None` if it waits for the address.
    fn aim(
        &mut self,
        id: AssociationId,
        head: Head,
        datagram: &[u8],
        lent: Lent<'_>,
    ) -> Result<Option<(SocketAddr, usize)>, Dropped> {
        let (target, start) = self.read_packet(id, head, datagram)?;
        let Some(address) = self.address_of(id, &target, lent)? else {
            let put = self.waiting.put(&key(id, target), &datagram[start..]);
            return put.then_some(None).ok_or(Dropped::Limit);
        };
        // For each datagram, because each may have another target.
        let allowed = lent.egress.check(address, &target);
        allowed.map_err(|_| Dropped::Denied)?;
        let filter = self.limits.filter;
        if let Some(association) = self.association(id) {
            association.note_contact(address, filter, lent.now);
        }
        Ok(Some((address, start)))
    }

    /// Checks that a datagram comes from the association's client, and reads its header.
    fn read_packet(
        &mut self,
        id: AssociationId,
        head: Head,
        datagram: &[u8],
    ) -> Result<(Target, usize), Dropped> {
        let association = self.association(id).ok_or(Dropped::Client)?;
        if !association.admits(head.from) {
            return Err(Dropped::Client);
        }
        if head.is_cut {
            return Err(Dropped::TooLong);
        }
        let read = packet::parse(datagram)?;
        // Only now, so that a datagram of another program on the client's machine does not take its place easily.
        association.settle(head.from);
        Ok(read)
    }

    /// Returns the address of a target; `None` if a thread looks it up.
    fn address_of(
        &mut self,
        id: AssociationId,
        target: &Target,
        lent: Lent<'_>,
    ) -> Result<Option<SocketAddr>, Dropped> {
        if let Host::Address(ip) = target.host {
            return Ok(Some((ip, target.port).into()));
        }
        let association = self.association(id).ok_or(Dropped::Client)?;
        match association.known(target, lent.now) {
            Known::Address(address) => return Ok(Some(address)),
            Known::Soon => return Ok(None),
            Known::Nothing => {}
        }
        let (mailbox, asker) = (lent.mailbox.clone(), Box::new(key(id, target.clone())));
        let deliver = move |answer| mailbox.send(Message::NameResolved(asker, answer));
        let asked = lent
            .egress
            .resolve(&Arc::new(target.clone()), lent.now, deliver);
        match asked.map_err(|error| self.explain(target, &error, lent))? {
            Resolution::Known(addresses) => {
                let address = choose(&addresses, target, lent)?;
                if let Some(association) = self.association(id) {
                    association.learn(target, address, lent.now);
                }
                Ok(Some(address))
            }
            Resolution::Asked(ticket) => {
                let deadline = lent.now + lent.resolve_timeout;
                if let Some(association) = self.association(id) {
                    association.ask(target, ticket, deadline);
                }
                Ok(None)
            }
        }
    }

    /// Takes the addresses of a name for an association, and sends the datagrams that wait for them; returns whether
    /// the association is still there.
    pub(super) fn name_resolved(
        &mut self,
        key: &Key,
        answer: Answer,
        outgoing: &mut Outgoing,
        lent: Lent<'_>,
    ) -> bool {
        let (Origin::Association(id), Some(target)) = (key.origin, &key.target) else {
            return false;
        };
        if self.association(id).is_none() {
            return false;
        }
        let waiting = self.waiting.take(key);
        let addresses = answer.map_err(|error| self.explain(target, &error, lent));
        let address = addresses.and_then(|addresses| choose(&addresses, target, lent));
        let opened = address.and_then(|to| self.open_upstream(id, to, lent).map(|()| to));
        match opened {
            Ok(to) => {
                let filter = self.limits.filter;
                if let Some(association) = self.association(id) {
                    association.learn(target, to, lent.now);
                    association.note_contact(to, filter, lent.now);
                }
                let datagrams = waiting.iter().map(|payload| Outbound {
                    to: Some(to),
                    parts: [&[], payload],
                });
                self.send_from(id, to, datagrams, outgoing);
            }
            Err(why) => {
                if let Some(association) = self.association(id) {
                    association.forget(target);
                }
                self.share.counts.lose(why, waiting.len());
            }
        }
        true
    }

    /// Sends datagrams from an association's socket of the family of `to`, which is open.
    fn send_from<'a>(
        &mut self,
        id: AssociationId,
        to: SocketAddr,
        datagrams: impl Iterator<Item = Outbound<'a>>,
        outgoing: &mut Outgoing,
    ) {
        let association = self.association(id);
        let socket = association.and_then(|it| it.upstreams[usize::from(to.is_ipv6())].as_ref());
        let Some(socket) = socket else {
            return self.share.counts.lose(Dropped::Limit, datagrams.count());
        };
        let sent = outgoing.send(socket, None, datagrams);
        self.share.counts.pass_up(sent.count);
        self.count_unsent(&sent);
    }

    /// Opens an association's socket for a family, if it is not open already.
    fn open_upstream(
        &mut self,
        id: AssociationId,
        to: SocketAddr,
        lent: Lent<'_>,
    ) -> Result<(), Dropped> {
        let has_room = self.association_sockets < self.most_sockets;
        let family = usize::from(to.is_ipv6());
        let association = self.association(id).ok_or(Dropped::Client)?;
        if association.upstreams[family].is_some() {
            return Ok(());
        }
        let socket = bound(unspecified(to)).map_err(|_| Dropped::Limit)?;
        let kind = match to {
            SocketAddr::V4(_) => DatagramSocket::Upstream4,
            SocketAddr::V6(_) => DatagramSocket::Upstream6,
        };
        let token = Token::datagram(kind, id.row, id.generation);
        if !has_room || self.watch(&socket, token, lent.poll).is_err() {
            return Err(Dropped::Limit);
        }
        let association = self.association(id).ok_or(Dropped::Client)?;
        association.upstreams[family] = Some(socket);
        self.association_sockets += 1;
        Ok(())
    }

    /// Receives answers at an association's socket of one family and passes them on; returns their number, or `None`
    /// if it has ended.
    pub(super) fn pump_association_down(
        &mut self,
        id: AssociationId,
        family: usize,
        batches: &mut Batches,
        now: std::time::Instant,
    ) -> Option<usize> {
        let Batches {
            incoming,
            headers,
            outgoing,
            ..
        } = batches;
        let filter = self.limits.filter;
        let association = self.associations.get_mut(&id.row)?;
        let association = Some(association).filter(|it| it.generation == id.generation)?;
        let socket = association.upstreams[family].as_ref()?;
        let count = incoming.receive(socket).unwrap_or(0);
        headers.clear();
        headers.extend(incoming.iter().map(|(head, _)| Header::of(head.from)));
        let (mut strangers, to) = (0, association.receiver());
        let answers = incoming
            .iter()
            .zip(&*headers)
            .filter_map(|((head, payload), header)| {
                // Our own answer comes back if the kernel has given the client's port to one of our sockets.
                if head.from == association.own || !association.may_answer(head.from, filter, now) {
                    strangers += 1;
                    return None;
                }
                let parts = [header.bytes(), payload];
                Some(Outbound { to, parts })
            });
        let answers: Vec<_> = answers.collect();
        let sent = outgoing.send(&association.client, None, answers);
        self.share.counts.lose(Dropped::Stranger, strangers);
        self.share.counts.pass_down(sent.count);
        self.count_unsent(&sent);
        Some(count)
    }

    /// Sends received datagrams through the chain, each in the flow of its target.
    fn chain_all(&mut self, id: AssociationId, batches: &mut Batches, lent: Lent<'_>) {
        let Batches {
            incoming,
            pieces,
            outgoing,
            ..
        } = batches;
        pieces.clear();
        for (number, (head, datagram)) in incoming.iter().enumerate() {
            let read = self.read_packet(id, head, datagram);
            let flow = read.and_then(|(target, start)| {
                let flow = self.place(&key(id, target), &datagram[start..], lent)?;
                Ok(flow.map(|flow| Piece {
                    flow,
                    number,
                    start,
                }))
            });
            match flow {
                Ok(piece) => pieces.extend(piece),
                Err(why) => self.share.counts.lose(why, 1),
            }
        }
        self.send_pieces(pieces, incoming, outgoing, lent);
    }

    fn association(&mut self, id: AssociationId) -> Option<&mut Association> {
        let association = self.associations.get_mut(&id.row)?;
        (association.generation == id.generation).then_some(association)
    }
}

fn key(id: AssociationId, target: Target) -> Key {
    Key {
        origin: Origin::Association(id),
        target: Some(target),
    }
}

fn outbound<'a>(aimed: &'a [Aimed], incoming: &'a Incoming) -> impl Iterator<Item = Outbound<'a>> {
    aimed.iter().map(|datagram| Outbound {
        to: Some(datagram.to),
        parts: [&[], incoming.payload(datagram.number, datagram.start)],
    })
}

/// Returns the first address of a name that the rules allow and that there is a route to.
fn choose(
    addresses: &[SocketAddr],
    target: &Target,
    lent: Lent<'_>,
) -> Result<SocketAddr, Dropped> {
    let mut last = Dropped::Unresolved;
    for &address in addresses {
        if lent.egress.check(address, target).is_err() {
            last = Dropped::Denied;
        } else if check_route(address).is_err() {
            last = Dropped::Unreachable;
        } else {
            return Ok(address);
        }
    }
    Err(last)
}
