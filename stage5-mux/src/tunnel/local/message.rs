//! One HTTP request over a stream of its own: its body goes up, its response comes down, and both ends are known.

use stage4_proxy::http::exchange::Exchange;
use stage4_proxy::http::{Invalid, Message};

use crate::endpoint::Endpoint;
use crate::tunnel::event::Pulled;
use crate::tunnel::local::{Delivery, Fault, Local, Phase};

impl Local {
    /// Returns whether the client is served one request, and no bytes behind it.
    pub(super) fn phase_is_forward(&self) -> bool {
        matches!(self.phase, Phase::Forward(_))
    }

    /// Returns whether a response has gone to the client, up to its end.
    pub(super) fn has_answer(&self, exchange: &Exchange) -> bool {
        let is_over = exchange.response.is_over() && self.held.is_empty();
        is_over || self.delivery == Delivery::FinSent
    }

    /// Reads bytes of the request's body for the link; those behind it are kept for the next request.
    pub(super) fn read_request(&mut self, buffer: &mut [u8]) -> Pulled {
        let (Phase::Forward(exchange), Some(endpoint)) = (&mut self.phase, &mut self.socket) else {
            return Pulled::Blocked;
        };
        if exchange.upload.is_over() {
            return Pulled::Blocked;
        }
        match read_of(&mut exchange.upload, endpoint, buffer) {
            Ok(Pulled::End) => {
                self.has_ended = true;
                Pulled::End
            }
            Ok(pulled) => pulled,
            Err(invalid) => {
                self.caller.get_or_insert_default().invalid = Some(invalid);
                Pulled::Failed
            }
        }
    }

    /// Passes bytes of the target's response to the client, and returns how many its socket has taken.
    ///
    /// Bytes behind the response are none of the client's: it could take them for the response to its next request.
    pub(super) fn pass_response(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let Phase::Forward(exchange) = &mut self.phase else {
            return Ok(0);
        };
        let response = &mut exchange.response;
        let certain = usize::try_from(response.blind()).unwrap_or(usize::MAX);
        let (passing, rest) = bytes.split_at(certain.min(bytes.len()));
        response.pass(passing.len() as u64);
        if rest.is_empty() || response.is_over() {
            return Ok(self.pass(passing, &[])?);
        }
        let sight = response.look(rest).map_err(Fault::BadResponse)?;
        let passed = self.pass(passing, &sight.before)?;
        Ok(passed + self.pass(&rest[sight.verbatim], &[])?)
    }

    /// Returns why the end of the stream is no end of the response, if it is none.
    pub(in crate::tunnel) fn cut_response(&self, why: &'static str) -> Option<Invalid> {
        match &self.phase {
            Phase::Forward(exchange) => {
                let is_cut = !exchange.response.is_over() && !exchange.response.may_end();
                is_cut.then_some(Invalid(why))
            }
            Phase::Handshake
            | Phase::Delayed
            | Phase::Request
            | Phase::Resolving(_)
            | Phase::Connecting(_)
            | Phase::Open
            | Phase::Lingering { .. }
            | Phase::Parting => None,
        }
    }

    /// Returns whether the client can still be told that its request has failed: no part of a response has gone to it.
    pub(in crate::tunnel) fn can_be_told(&self) -> bool {
        match &self.phase {
            Phase::Forward(exchange) => !exchange.response.has_begun(),
            Phase::Open => self.is_awaiting(),
            Phase::Handshake | Phase::Delayed => true,
            Phase::Request
            | Phase::Resolving(_)
            | Phase::Connecting(_)
            | Phase::Lingering { .. }
            | Phase::Parting => false,
        }
    }
}

/// Reads once for a message: no more than is certain to be part of it, or else with a look at the bytes.
fn read_of(
    message: &mut impl Message,
    endpoint: &mut Endpoint,
    buffer: &mut [u8],
) -> Result<Pulled, Invalid> {
    let certain = usize::try_from(message.blind()).unwrap_or(usize::MAX);
    let most = match certain {
        0 => buffer.len(),
        certain => certain.min(buffer.len()),
    };
    let count = match endpoint.read_some(&mut buffer[..most]) {
        Ok(None) => return Ok(Pulled::Blocked),
        // The target can see that the request is not complete, and may answer that.
        Ok(Some(0)) => return Ok(Pulled::End),
        Ok(Some(count)) => count,
        Err(_) => return Ok(Pulled::Failed),
    };
    let used = if certain > 0 {
        message.pass(count as u64);
        count
    } else {
        // What belongs to a request passes unchanged, from its first byte.
        message.look(&buffer[..count])?.verbatim.len()
    };
    Ok(match used {
        0 => Pulled::Blocked,
        used if message.is_over() || !endpoint.is_readable() => Pulled::Last(used),
        used => Pulled::Bytes(used),
    })
}
