//! The directions of a session, for the one that may gather (see `worker/gathering.rs`).

use crate::endpoint::Endpoint;
use crate::relay::Flow;
use crate::session::{Phase, Session};
use crate::token::Side;

/// Returns the source that a direction with bulk waits for, if there is one.
pub(crate) fn source_of_bulk(session: &Session) -> Option<Side> {
    if !matches!(session.phase, Phase::Relay) {
        return None;
    }
    if session.up.wants_more_bulk() {
        return Some(Side::Client);
    }
    session.down.wants_more_bulk().then_some(Side::Upstream)
}

/// Returns the direction that reads from `source`, and that socket.
pub(crate) fn direction_from(
    session: &mut Session,
    source: Side,
) -> Option<(&mut Flow, &mut Endpoint)> {
    match source {
        Side::Client => Some((&mut session.up, &mut session.client)),
        Side::Upstream => Some((&mut session.down, session.upstream.as_mut()?)),
    }
}

/// Returns the number of bytes read from a side.
pub(crate) fn read_from(session: &Session, side: Side) -> u64 {
    match side {
        Side::Client => session.up.half.read(),
        Side::Upstream => session.down.half.read(),
    }
}
