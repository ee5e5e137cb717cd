//! A peer that has vanished: how a session finds it, and what becomes of the other side.

use std::io;
use std::time::{Duration, Instant};

use nix::libc;

use crate::endpoint::Endpoint;
use crate::relay::{Fault, MessageFault};
use crate::session::{Next, Phase, Reason, Session};
use crate::token::Side;

/// Looks at both sockets of a session, so long after the last look, and returns the side that has vanished.
///
/// The phases before the relay and after it have time limits of their own, which do not wait for a peer.
pub(crate) fn look_for_vanished(session: &mut Session, since_last_look: Duration) -> Option<Side> {
    match session.phase {
        Phase::Relay | Phase::Forward(_) | Phase::Associated => {}
        Phase::Handshake
        | Phase::Delayed(_)
        | Phase::Resolving(_)
        | Phase::Connecting(_)
        | Phase::Chaining(_)
        | Phase::Lingering
        | Phase::Aborting(_) => return None,
    }
    if session.client.has_vanished(since_last_look) {
        return Some(Side::Client);
    }
    let upstream = session.upstream.as_mut();
    let vanished = upstream.is_some_and(|it| Endpoint::has_vanished(it, since_last_look));
    vanished.then_some(Side::Upstream)
}

/// Ends a session as if the kernel had given the peer at one side up.
pub(crate) fn give_up(session: &mut Session, side: Side, now: Instant) -> Next {
    let error = io::Error::from_raw_os_error(libc::ETIMEDOUT);
    if let (Phase::Forward(exchange), Side::Upstream) = (&session.phase, side)
        && !exchange.response.has_begun()
    {
        let why = MessageFault::Socket(Fault::Source(error)).as_invalid();
        return Next::Refuse(Reason::BadResponse(why));
    }
    match session.endpoint_mut(side) {
        Some(endpoint) => endpoint.reset_on_close(),
        None => return Next::Close(Reason::Reset(side, error)),
    }
    session.abort(side, error, now)
}
