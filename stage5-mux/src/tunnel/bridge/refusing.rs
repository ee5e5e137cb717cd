//! The client's end: what a client is told that gets no connection, or no response, in the words of its protocol.

use std::time::Instant;

use stage4_proxy::chain::Status;
use stage4_proxy::ingress::Failure;

use crate::tunnel::bridge::Bridge;
use crate::tunnel::local::{Fault, far_end};
use crate::tunnel::session::Session;
use crate::tunnel::wire::Wire;

impl Fault {
    /// The far end has said nothing, for this reason.
    pub(super) fn silent(why: &str) -> Self {
        Self::Unreached(far_end(Status::Other, why))
    }
}

impl Bridge {
    /// Ends a session because of bytes of its stream, or without them.
    pub(super) fn fail<W: Wire>(
        &mut self,
        row: u32,
        fault: &Fault,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let key = self.locals.detach(row);
        if let (Some(session), Some(key)) = (session, key) {
            session.reset(key);
        }
        self.refuse_or_abort(row, fault, now);
    }

    /// Tells a client why it has failed, if its protocol has words for that and they do not come too late; otherwise
    /// its connection is reset. It has no stream any more.
    pub(super) fn refuse_or_abort(&mut self, row: u32, fault: &Fault, now: Instant) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        if let Fault::Unreached(error) = fault {
            tracing::info!("a client gets no connection: {error}");
            local.tell_refusal(error);
        }
        let failure = match fault {
            Fault::Socket => return self.abort(row),
            Fault::Unreached(error) => Failure::Unreached(error),
            Fault::BadResponse(invalid) => Failure::BadResponse(*invalid),
        };
        if !local.can_be_told() {
            return self.abort(row);
        }
        self.refuse(row, &failure, now);
    }

    /// Tells a client in its own protocol that it gets no connection.
    pub(super) fn refuse(&mut self, row: u32, failure: &Failure<'_>, now: Instant) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let conversation = local.conversation_mut();
        let reply = conversation.map(|conversation| conversation.failed(failure));
        match reply.filter(|reply| !reply.is_empty()) {
            None => self.abort(row),
            Some(reply) => {
                local.held.append(&reply);
                self.begin_lingering(row, now);
                self.linger(row, now);
            }
        }
    }

    /// Acts on a local side that has broken while the link was filled, or whose bytes are no valid request.
    pub(super) fn local_failed(&mut self, row: u32, now: Instant) {
        self.locals.detach(row);
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        match local.invalid().filter(|_| local.can_be_told()) {
            Some(invalid) => self.refuse(row, &Failure::BadRequest(invalid), now),
            None => self.abort(row),
        }
    }

    /// The far end has not said in time whether the target is connected.
    pub(super) fn no_answer<W: Wire>(
        &mut self,
        row: u32,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let sentence = "the far end of the tunnel has not answered in time: timed out";
        let fault = Fault::Unreached(far_end(Status::TimedOut, sentence));
        self.fail(row, &fault, session, now);
    }
}
