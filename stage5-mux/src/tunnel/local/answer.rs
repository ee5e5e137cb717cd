//! The response header that comes back on a client's stream: is its target connected, and why not?

use std::io;

use stage4_proxy::chain::{Response, Status};
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::http::Invalid;

use crate::tunnel::local::Local;

/// Why the bytes of a stream go no further.
#[derive(Debug)]
pub(in crate::tunnel) enum Fault {
    /// The local connection is broken.
    Socket,
    /// The server has not connected the client to its target.
    Unreached(ConnectError),
    /// The target's response is not valid.
    BadResponse(Invalid),
}

impl From<io::Error> for Fault {
    fn from(_: io::Error) -> Self {
        Self::Socket
    }
}

/// Makes an error of the tunnel or of its far end one that each ingress can put into its own words.
pub(in crate::tunnel) fn far_end(status: Status, sentence: impl Into<String>) -> ConnectError {
    ConnectError::FarEnd {
        status,
        sentence: sentence.into(),
    }
}

impl Local {
    /// Reads the response header, then passes on the bytes behind it; returns how many the socket has taken.
    pub(super) fn read_answer(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let caller = self.caller.as_mut();
        let Some(awaited) = caller.and_then(|caller| caller.awaited.as_mut()) else {
            return Ok(0);
        };
        awaited.extend_from_slice(bytes);
        let length = match Response::parse(awaited) {
            Ok(None) => return Ok(0),
            Ok(Some((response, length))) if response.status == Status::Ok => length,
            Ok(Some((response, _))) => return Err(refused(&response)),
            Err(_) => {
                let sentence = "the other end of the tunnel does not speak the chain's protocol";
                return Err(Fault::Unreached(far_end(Status::Other, sentence)));
            }
        };
        let rest = awaited.split_off(length);
        self.stop_awaiting();
        if let Some(conversation) = self.conversation_mut() {
            let reply = conversation.connected(None);
            self.held.append(&reply);
        }
        let greeted = self.flush()?;
        let taken = match self.phase_is_forward() {
            true => self.pass_response(&rest)?,
            false => self.pass(&rest, &[])?,
        };
        Ok(greeted + taken)
    }
}

fn refused(response: &Response) -> Fault {
    let Response { status, text } = response;
    tracing::debug!(%status, text, "the server has not connected a client");
    let sentence = format!("the far end of the tunnel cannot reach the target: {status}");
    Fault::Unreached(far_end(*status, sentence))
}
