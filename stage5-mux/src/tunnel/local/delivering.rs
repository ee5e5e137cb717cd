//! The direction from the link to the socket: bytes, credit for them, and the FIN behind them.

use std::io;

use crate::tunnel::local::{Delivery, Fault, Local, Next, Phase};

impl Local {
    /// Takes bytes of the link and returns for how many the peer gets credit; the others are held.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken, or if the bytes are not those that have to come now.
    pub(in crate::tunnel) fn deliver(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.uncredited += bytes.len();
        let taken = match &self.phase {
            Phase::Open | Phase::Forward(_) if self.is_awaiting() => self.read_answer(bytes)?,
            Phase::Open => self.pass(bytes, &[])?,
            Phase::Forward(_) => self.pass_response(bytes)?,
            Phase::Request | Phase::Resolving(_) | Phase::Connecting(_) => {
                self.held.append(bytes);
                0
            }
            // Nothing of the stream is wanted any more.
            Phase::Handshake | Phase::Delayed | Phase::Lingering { .. } | Phase::Parting => {
                return Ok(std::mem::take(&mut self.uncredited));
            }
        };
        Ok(self.credit(taken))
    }

    /// Passes bytes to the socket, behind those that are held, and returns how many it has taken now.
    pub(super) fn pass(&mut self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.socket {
            Some(endpoint) if self.held.is_empty() => endpoint.write_some(first, second)?,
            Some(_) | None => 0,
        };
        for (bytes, taken) in [(first, taken), (second, taken.saturating_sub(first.len()))] {
            if taken < bytes.len() {
                self.held.append(&bytes[taken..]);
            }
        }
        Ok(taken)
    }

    /// Returns for how many bytes of the stream the peer gets credit, now that the socket has taken some.
    ///
    /// A response that is rewritten on its way has another length; so the last held byte settles the account.
    pub(in crate::tunnel) fn credit(&mut self, taken: usize) -> usize {
        let credit = if self.held.is_empty() {
            self.uncredited
        } else {
            taken.min(self.uncredited)
        };
        self.uncredited -= credit;
        credit
    }

    /// Writes held bytes, then the FIN if it is owed, and returns how many bytes the socket has taken.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(in crate::tunnel) fn flush(&mut self) -> io::Result<usize> {
        let Some(endpoint) = &mut self.socket else {
            return Ok(0);
        };
        let mut all = 0;
        while !self.held.is_empty() && endpoint.is_writable() {
            let taken = endpoint.write_some(self.held.pending(), &[])?;
            self.held.consume(taken);
            all += taken;
        }
        // The end of a response is known from its framing: the client may send a further request.
        let is_answered = matches!(self.next(), Next::Answered);
        if self.held.is_empty() && self.delivery == Delivery::FinOwed && !is_answered {
            self.tell_end();
            if let Some(endpoint) = &self.socket {
                endpoint.send_fin()?;
            }
            self.delivery = Delivery::FinSent;
        }
        Ok(all)
    }
}
