//! The client's end of the bridge: clients say where they want to go, and each gets a stream, or one for each request.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::Target;
use stage4_proxy::chain::Status;
use stage4_proxy::http::Message as _;
use stage4_proxy::ingress::conversation::Conversation;
use stage4_proxy::ingress::{Failure, Opening};
use stage4_proxy::inspect::RefusalReason;

use crate::tokens;
use crate::tunnel::bridge::Bridge;
use crate::tunnel::key::StreamKey;
use crate::tunnel::local::{Caller, Delivery, Fault, Local, Phase, Talk, far_end};
use crate::tunnel::message::Application;
use crate::tunnel::reception::{Arrival, OverLimit};
use crate::tunnel::session::Session;
use crate::tunnel::wire::Wire;

impl Bridge {
    /// Accepts one client, if there is room for it.
    pub(in crate::tunnel) fn accept_client<W: Wire>(
        &mut self,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let is_full = self.locals.is_full();
        let Some(reception) = self.front.reception_mut() else {
            return;
        };
        if is_full {
            return reception.pause_full();
        }
        match reception.accept(now) {
            Ok(Some(arrival)) => self.admit(arrival, session, now),
            Ok(None) => {}
            Err(OverLimit) => self.report.totals.refuse(RefusalReason::OverLimit),
        }
    }

    /// Takes an application of this process for a client, if there is room for it.
    pub(in crate::tunnel) fn take_application<W: Wire>(
        &mut self,
        application: Application,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Application {
            endpoint,
            target,
            ending,
        } = application;
        if self.locals.is_full() {
            let why = "there are too many streams over the link";
            tracing::warn!("an application is refused: {why}");
            return ending.refuse(Status::LimitReached, why.to_owned());
        }
        let arrival = Arrival {
            endpoint,
            opening: target.map(|target| Opening::Target(Arc::new(target))),
            ending: Some(ending),
            place: None,
        };
        self.admit(arrival, session, now);
    }

    /// Begins the session of a new client.
    fn admit<W: Wire>(
        &mut self,
        arrival: Arrival,
        mut session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let peer = arrival.endpoint.peer_addr();
        let mut local = Local::new(Phase::Handshake, Some(arrival.endpoint));
        if arrival.ending.is_some() || arrival.place.is_some() {
            local.caller = Some(Box::new(Caller {
                ending: arrival.ending,
                _place: arrival.place,
                ..Caller::default()
            }));
        }
        // The table has room: the caller has checked.
        let Some(row) = self.locals.insert(local) else {
            return;
        };
        if let Err(error) = self.watch(row) {
            tracing::warn!(%peer, %error, "cannot watch a client");
            return self.abort(row);
        }
        match arrival.opening {
            None => self.relay_at_once(row, session.as_deref_mut()),
            Some(Opening::Target(target)) => {
                self.ask(row, &target, session.as_deref_mut(), now);
            }
            Some(Opening::Handshake(handshake)) => {
                let conversation = Conversation::new(handshake, self.limits.max_handshake);
                if let Some(local) = self.locals.get_mut(row) {
                    local.caller.get_or_insert_default().conversation = Some(conversation);
                }
                let until = now + self.limits.handshake_timeout;
                self.locals.timers.set(row, Some(until));
            }
            // No ingress of a tunnel opens in these ways.
            Some(Opening::Unix(_) | Opening::Redirected(_) | Opening::Refuse(_)) => self.abort(row),
        }
        self.drive(row, session, now);
    }

    fn watch(&mut self, row: u32) -> io::Result<()> {
        let token = tokens::pack(self.locals.mint(row));
        let local = self.locals.get_mut(row);
        match local.and_then(|local| local.socket.as_ref()) {
            Some(endpoint) => endpoint.register(&self.registry, token),
            None => Ok(()),
        }
    }

    /// Opens a stream without a header: the server knows where it leads. Without a link, the client is reset at once.
    fn relay_at_once<W: Wire>(&mut self, row: u32, session: Option<&mut Session<W>>) {
        match open(session) {
            Ok(key) => {
                self.locals.attach(row, key);
                self.set_phase(row, Phase::Open);
            }
            Err(sentence) => {
                tracing::debug!("a client is refused: {sentence}");
                self.report.refused += 1;
                if let Some(local) = self.locals.get_mut(row) {
                    local.tell_refusal(&far_end(Status::Other, sentence));
                }
                self.abort(row);
            }
        }
    }

    /// Opens a stream and asks for a connection to `target`.
    fn ask<W: Wire>(
        &mut self,
        row: u32,
        target: &Target,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let key = match open(session) {
            Ok(key) => key,
            Err(sentence) => {
                self.report.refused += 1;
                let fault = Fault::Unreached(far_end(Status::Other, sentence));
                return self.refuse_or_abort(row, &fault, now);
            }
        };
        self.locals.attach(row, key);
        if let Some(local) = self.locals.get_mut(row) {
            local.ask(target);
        }
        let until = now + self.limits.answer_timeout;
        self.locals.timers.set(row, Some(until));
    }

    /// Reads the handshake of a client, and acts on its verdict.
    pub(super) fn converse<W: Wire>(
        &mut self,
        row: u32,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let waited = local.waits_for_next();
        let talk = local.converse();
        let has_begun = waited && !local.waits_for_next();
        match talk {
            Talk::Wait if has_begun => {
                let until = now + self.limits.handshake_timeout;
                self.locals.timers.set(row, Some(until));
            }
            Talk::Wait => {}
            Talk::Gone => self.remove(row),
            Talk::Target(target) => self.ask(row, &target, session, now),
            Talk::Refused(why) => {
                tracing::info!("a client is refused: {why}");
                self.begin_lingering(row, now);
                self.linger(row, now);
            }
            Talk::Unauthorized(wrong) => {
                tracing::warn!("a client is refused: {wrong}");
                local.phase = Phase::Delayed;
                let until = now + self.limits.wrong_password_delay;
                self.locals.timers.set(row, Some(until));
            }
            Talk::TooLong => self.refuse(row, &Failure::TooLong, now),
        }
    }

    /// Ends a handshake that takes too long, or the delay behind a wrong password.
    pub(super) fn end_handshake<W: Wire>(
        &mut self,
        row: u32,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        if matches!(local.phase, Phase::Delayed) {
            self.begin_lingering(row, now);
            self.drive(row, session, now);
        } else if local.waits_for_next() {
            self.remove(row);
        } else {
            self.refuse(row, &Failure::TooSlow, now);
        }
    }

    /// Ends one request with its response: the client may send its next request, or has got its last response.
    pub(super) fn end_exchange<W: Wire>(
        &mut self,
        row: u32,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let Phase::Forward(exchange) = &mut local.phase else {
            return;
        };
        let is_complete = exchange.upload.is_over() && local.lead.is_empty();
        let is_kept = is_complete && !local.has_ended && exchange.keeps_client();
        let surplus = exchange.upload.take_surplus();
        match session {
            Some(session) => self.part(row, is_complete, session, now),
            None => drop(self.locals.detach(row)),
        }
        match is_kept {
            true => self.begin_again(row, &surplus, now),
            false => self.begin_lingering(row, now),
        }
    }

    fn begin_again(&mut self, row: u32, surplus: &[u8], now: Instant) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        local.phase = Phase::Handshake;
        local.delivery = Delivery::Flowing;
        local.lead.append(surplus);
        if let Some(conversation) = local.conversation_mut() {
            conversation.begin_again();
        }
        let until = now + self.limits.handshake_timeout;
        self.locals.timers.set(row, Some(until));
    }

    /// Closes the clients that are between two requests, because each would use all the time of a drain.
    pub(in crate::tunnel) fn dismiss_idle(&mut self) {
        for row in self.locals.idle_rows() {
            self.remove(row);
        }
    }
}

/// Opens a stream, or says why there is none.
fn open<W: Wire>(session: Option<&mut Session<W>>) -> Result<StreamKey, String> {
    let session = session.ok_or("the tunnel has no link to its other end")?;
    let opened = session.open();
    opened.map_err(|error| format!("the tunnel cannot carry a further connection: {error}"))
}
