//! The handshake of a client: its bytes are read and answered until it has named its target.

use std::io;
use std::sync::Arc;

use stage2_client::Target;
use stage4_proxy::access::Wrong;
use stage4_proxy::chain::Request;
use stage4_proxy::ingress::Verdict;
use stage4_proxy::ingress::conversation::Conversation;

use crate::tunnel::local::{Local, Phase};

/// Bytes of one read in a handshake.
const READ: usize = 4096;

/// How far a handshake has come.
#[derive(Debug)]
pub(in crate::tunnel) enum Talk {
    /// More bytes of the client are needed.
    Wait,
    /// The client has closed, or its connection is broken.
    Gone,
    /// The client is to be connected to this target.
    Target(Arc<Target>),
    /// The client is refused for this reason, and its reply is among the held bytes.
    Refused(String),
    /// The client has named a wrong user or password; its reply is among the held bytes.
    Unauthorized(Wrong),
    /// The client has sent more than a handshake may have.
    TooLong,
}

impl Local {
    /// Reads the client's handshake and sends the replies, until there is a verdict.
    pub(in crate::tunnel) fn converse(&mut self) -> Talk {
        loop {
            let caller = self.caller.as_mut();
            let Some(conversation) = caller.and_then(|caller| caller.conversation.as_mut()) else {
                return Talk::Wait;
            };
            // Before the first read, too, because a further request may be here already.
            let step = conversation.advance(self.lead.pending());
            self.lead.consume(step.consumed);
            if !step.forward.is_empty() {
                self.lead.put_before(&step.forward);
            }
            self.held.append(&step.reply);
            match step.verdict {
                Verdict::More => {}
                Verdict::Connect(target) => return Talk::Target(target),
                Verdict::Refuse(why) => return Talk::Refused(why),
                Verdict::Unauthorized(wrong) => return Talk::Unauthorized(wrong),
                Verdict::TooLong => return Talk::TooLong,
                // The ingresses of a tunnel ask for neither.
                Verdict::Associate(_) | Verdict::Identified(_) => return Talk::Gone,
            }
            match self.flush().and_then(|_| self.read_handshake()) {
                Ok(true) => {}
                Ok(false) => return Talk::Wait,
                Err(_) => return Talk::Gone,
            }
        }
    }

    /// Reads once, and returns whether there were bytes.
    fn read_handshake(&mut self) -> io::Result<bool> {
        let Some(endpoint) = &mut self.socket else {
            return Ok(false);
        };
        let mut room = [0; READ];
        match endpoint.read_some(&mut room)? {
            None => Ok(false),
            Some(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(count) => {
                self.lead.append(&room[..count]);
                Ok(true)
            }
        }
    }

    /// Asks the far end for a connection to `target`, on a stream that was opened for it; the client's early bytes
    /// follow at once.
    pub(in crate::tunnel) fn ask(&mut self, target: &Target) {
        self.lead.put_before(&Request::encode(target));
        let caller = self.caller.get_or_insert_default();
        caller.awaited = Some(Vec::new());
        let conversation = caller.conversation.as_mut();
        self.phase = match conversation.and_then(Conversation::take_exchange) {
            Some(exchange) => Phase::Forward(exchange),
            None => Phase::Open,
        };
    }
}
