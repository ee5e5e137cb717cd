//! The part of a local side that only some clients have: a protocol of their own, or an application behind them.

use std::sync::Arc;

use stage4_proxy::access::Place;
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::http::Invalid;
use stage4_proxy::ingress::conversation::Conversation;

use crate::tunnel::byte_stream::Ending;
use crate::tunnel::local::Local;

/// A client that says more than the bytes of its stream, or hears more than these.
///
/// Most streams have none of it, at both ends; so a local side holds it in a box.
#[derive(Debug, Default)]
pub(in crate::tunnel) struct Caller {
    /// The client's protocol, for its handshake and for each refusal.
    pub(in crate::tunnel) conversation: Option<Conversation>,
    /// The part that has come of the response header that the client waits for.
    pub(in crate::tunnel) awaited: Option<Vec<u8>>,
    /// Why the client's bytes are no valid request.
    pub(in crate::tunnel) invalid: Option<Invalid>,
    /// Where an application of this process learns how its stream has ended.
    pub(in crate::tunnel) ending: Option<Arc<Ending>>,
    /// Its place among the clients of its address, which is given back with the row.
    pub(in crate::tunnel) _place: Option<Place>,
}

impl Local {
    /// Returns the client's protocol, if it has one.
    pub(in crate::tunnel) fn conversation_mut(&mut self) -> Option<&mut Conversation> {
        self.caller.as_mut()?.conversation.as_mut()
    }

    /// Returns whether the client waits for a response header: its target may be connected, or may not.
    pub(in crate::tunnel) fn is_awaiting(&self) -> bool {
        let caller = self.caller.as_ref();
        caller.is_some_and(|caller| caller.awaited.is_some())
    }

    /// Waits for no response header any more.
    pub(in crate::tunnel) fn stop_awaiting(&mut self) {
        if let Some(caller) = &mut self.caller {
            caller.awaited = None;
        }
    }

    /// Returns whether the client was served a request, and has not begun with the next one.
    pub(in crate::tunnel) fn waits_for_next(&self) -> bool {
        let conversation = self.caller.as_ref().and_then(|it| it.conversation.as_ref());
        conversation.is_some_and(Conversation::waits_for_next)
    }

    /// Returns why the client's bytes are no valid request, if they are not.
    pub(in crate::tunnel) fn invalid(&self) -> Option<Invalid> {
        self.caller.as_ref()?.invalid
    }

    /// Tells an application why its stream is not connected; its socket cannot say that.
    pub(in crate::tunnel) fn tell_refusal(&self, error: &ConnectError) {
        if let Some(ending) = self.ending() {
            ending.refuse(error.into(), error.to_string());
        }
    }

    /// Tells an application that its stream ends in order, before the socket ends as it would after a break.
    pub(super) fn tell_end(&self) {
        if let Some(ending) = self.ending() {
            ending.finish();
        }
    }

    fn ending(&self) -> Option<&Ending> {
        self.caller.as_ref()?.ending.as_deref()
    }
}
