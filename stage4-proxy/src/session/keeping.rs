//! Keeps the connection to a target for the client's next request.
//!
//! Most requests of a client go where the one before went, and a new connection costs more than all the rest of a small
//! request. So the target's connection waits with the client's, and carries the next request if that goes to the same
//! target. There is no pool: a connection belongs to its client, and ends with it.
//!
//! ```text
//!                the same target, and the request may be sent twice
//!   kept ────────────────────────────────────────────────────────────▶ Forward
//!    │  else                                                              │ it ends before a byte of the response
//!    ▼                                                                    ▼
//!   closed, and a new connection                                       the request again, over a new connection
//! ```
//!
//! A target may close a connection that waits, also at the moment at which a request is on its way to it, and then the
//! request may have been served or not (RFC 9112 section 9.3.1). So only a request that may be sent twice uses a kept
//! connection: its method is idempotent, and it has no body of which a part would be gone.
//!
//! A target that loses its power or its network closes nothing, and on a new connection the client would learn of it within
//! the connect timeout. So a kept connection has the same time to acknowledge a request; then the kernel ends it. A target
//! that is only slow acknowledges at once. The option that does this, `TCP_USER_TIMEOUT`, also ends the connection of a
//! reader that pauses (see [`vanished`](crate::vanished)), but here it counts for single heads only, for which nearly every
//! window has room, and if it ends a connection too early, the request goes over a new one. The next look at a connection on
//! which all is acknowledged takes it back, for answers that take long.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stage2_client::Target;

use crate::relay::{MessageFault, Progress};
use crate::scratch::Scratch;
use crate::session::{Next, Phase, Session};

/// Closes a kept connection that its target has closed, so that it doesn't wait for a client that is silent.
pub(super) fn drop_ended_upstream(session: &mut Session) {
    if let Some(upstream) = session.upstream.take_if(|upstream| upstream.is_ending()) {
        session.facts.tried(upstream.peer_addr());
        session.target = None;
    }
}

/// Sends the request that the handshake has read over the kept connection, and returns whether that is possible. If not,
/// the connection is closed. The target has the `connect_timeout` to acknowledge the request.
pub(crate) fn reuse(
    session: &mut Session,
    target: &Arc<Target>,
    connect_timeout: Duration,
    now: Instant,
) -> bool {
    let Some(mut upstream) = session.upstream.take() else {
        return false;
    };
    let handshake = session.handshake.as_mut();
    let exchange = handshake.and_then(|handshake| handshake.exchange_mut());
    match exchange.filter(|exchange| exchange.may_repeat()) {
        Some(exchange) if session.target.as_ref() == Some(target) && upstream.is_quiet() => {
            exchange.is_on_kept = true;
            upstream.bound_unacknowledged(connect_timeout);
            session.upstream = Some(upstream);
            session.connected(now);
            true
        }
        Some(_) | None => {
            session.facts.tried(upstream.peer_addr());
            false
        }
    }
}

/// Sends a request once more, over a new connection, if the kept one has ended before a byte of its response came.
pub(super) fn repeat(
    session: &mut Session,
    up: &Result<Progress, MessageFault>,
    down: &Result<Progress, MessageFault>,
    scratch: &mut Scratch,
) -> Option<Next> {
    let has_ended = up.as_ref().is_err_and(MessageFault::is_of_sink)
        || down.as_ref().is_err_and(MessageFault::is_of_source);
    let (Phase::Forward(exchange), Some(handshake)) = (&mut session.phase, &mut session.handshake)
    else {
        return None;
    };
    if !has_ended || !exchange.is_on_kept || exchange.response.has_come() {
        return None;
    }
    let target = session.target.clone()?;
    exchange.is_on_kept = false;
    session.up.abandon(&mut scratch.pipes);
    session.up.half.reopen();
    session
        .up
        .half
        .keep(exchange.head.as_deref().unwrap_or_default());
    if let Phase::Forward(exchange) = mem::replace(&mut session.phase, Phase::Resolving(None)) {
        handshake.put_back(exchange);
    }
    if let Some(upstream) = session.upstream.take() {
        session.facts.tried(upstream.peer_addr());
    }
    Some(Next::Connect(target))
}
