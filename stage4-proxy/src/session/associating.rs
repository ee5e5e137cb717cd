//! The connection that speaks for an association: its life is that of the association (RFC 1928 section 7).

use std::net::SocketAddr;
use std::time::Instant;

use crate::limits::Limits;
use crate::scratch::Scratch;
use crate::session::{Next, Phase, Reason, Session};
use crate::token::Side;

/// Tells the client of a session where its datagrams have to go.
pub(crate) fn associated(session: &mut Session, socket: SocketAddr, now: Instant) -> Next {
    session.enter(Phase::Associated, now);
    if let Some(mut handshake) = session.handshake.take() {
        session.down.half.keep(&handshake.connected(Some(socket)));
    }
    // The reply goes out in the next turn.
    Next::Again
}

/// Delivers the reply, and reads and drops what the client sends, until it closes.
pub(super) fn attend(session: &mut Session, scratch: &mut Scratch, limits: &Limits) -> Next {
    if let Err(error) = session.down.flush(&mut session.client) {
        return Next::Close(Reason::Reset(Side::Client, error));
    }
    // Bounded, because a client that sends without end must not keep the others waiting.
    for _ in 0..(limits.bytes_per_turn / limits.chunk).max(1) {
        match session.client.read_some(&mut scratch.bytes) {
            Ok(Some(0)) => return Next::Close(Reason::Finished),
            Ok(Some(_)) => {}
            Ok(None) => return Next::Wait,
            Err(error) => return Next::Close(Reason::Reset(Side::Client, error)),
        }
    }
    Next::Again
}
