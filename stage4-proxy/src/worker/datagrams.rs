//! What the loop does for datagrams: it creates their engine, lends it what it needs, and begins associations.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use stage1_server::cli::cannot;
use stage3_epoll::Poll;

use crate::connect_error::ConnectError;
use crate::egress::Egress;
use crate::limits::Limits;
use crate::listener::Parts;
use crate::mailbox::Inbox;
use crate::session::associating::associated;
use crate::session::{Next, Session};
use crate::udp::{Asker, Lent, Udp};
use crate::worker::reception::Reception;

/// Creates the engine for datagrams, and registers the socket that they arrive at, if there is one.
pub(super) fn receive(
    parts: &mut Parts,
    limits: &Limits,
    reception: &Reception,
    poll: &Poll,
) -> io::Result<Udp> {
    let mut udp = Udp::new(&limits.udp, parts.share.clone());
    if let (Some(socket), Some(form)) = (parts.datagrams.take(), reception.datagrams()) {
        let watched = udp.listen(socket, reception.clients.clone(), form, poll);
        watched.map_err(cannot("watch the socket for datagrams"))?;
    }
    Ok(udp)
}

/// Collects what a worker lends to its engine for datagrams.
pub(super) fn lend<'a>(
    egress: &'a Egress,
    poll: &'a Poll,
    inbox: &'a Inbox,
    limits: &Limits,
    now: Instant,
) -> Lent<'a> {
    Lent {
        egress,
        poll,
        mailbox: inbox.mailbox(),
        resolve_timeout: limits.connect_timeout,
        now,
    }
}

/// Begins an association for the client of a session.
pub(super) fn associate(
    session: &mut Session,
    row: u32,
    hint: Option<SocketAddr>,
    (udp, lent): (&mut Udp, Lent<'_>),
) -> Next {
    let peer = session.client.peer_addr().ip();
    // A client at a Unix socket is on this machine, and reaches its loopback address.
    let local = session.client.local_addr();
    let local = local.unwrap_or((peer, 0).into());
    match udp.associate(row, &Asker { peer, local, hint }, lent) {
        Ok(socket) => associated(session, socket, lent.now),
        Err(error) => Next::Refuse(ConnectError::from(error).into()),
    }
}
