//! What a link owes to its peer: state, and no queue.
//!
//! A peer that floods us with pings while it does not read gets one answer, credit adds up to one number, and a stream
//! is listed once. So nothing that a peer sends makes this grow beyond the number of streams, and nothing of it waits
//! behind payload.

use std::collections::VecDeque;

use crate::tunnel::frame::{Outgoing, Reason, Saying, StreamId};
use crate::tunnel::key::StreamKey;

/// The debts of a link.
#[derive(Debug, Default)]
pub(super) struct Control {
    pong: Option<u32>,
    ping: Option<u32>,
    go_away: Option<Reason>,
    /// Streams that were refused or given up, and are in no table any more.
    resets: VecDeque<StreamId>,
    /// The slots of streams that owe something, each once.
    owing: VecDeque<usize>,
    is_listed: Vec<bool>,
}

impl Control {
    /// Returns whether nothing is owed.
    pub(super) fn is_empty(&self) -> bool {
        let is_silent = self.pong.is_none() && self.ping.is_none() && self.go_away.is_none();
        is_silent && self.resets.is_empty() && self.owing.is_empty()
    }

    /// Owes the answer to a ping. Of several, the last one is answered.
    pub(super) fn owe_pong(&mut self, value: u32) {
        self.pong = Some(value);
    }

    /// Owes a ping.
    pub(super) fn owe_ping(&mut self, value: u32) {
        self.ping = Some(value);
    }

    /// Owes the announcement that no stream is opened any more.
    pub(super) fn owe_go_away(&mut self, reason: Reason) {
        self.go_away = Some(reason);
    }

    /// Owes a reset.
    pub(super) fn owe_reset(&mut self, id: StreamId) {
        self.resets.push_back(id);
    }

    /// Forgets the resets of a stream, because its number is another stream's now.
    pub(super) fn forget_resets(&mut self, id: StreamId) {
        self.resets.retain(|&other| other != id);
    }

    /// Returns the number of resets that are owed.
    pub(super) fn resets(&self) -> usize {
        self.resets.len()
    }

    /// Notes that a stream owes something that its own state tells.
    pub(super) fn list(&mut self, key: StreamKey) {
        let slot = key.slot();
        if self.is_listed.len() <= slot {
            self.is_listed.resize(slot + 1, false);
        }
        if !self.is_listed[slot] {
            self.is_listed[slot] = true;
            self.owing.push_back(slot);
        }
    }

    /// Takes the slot of a stream that owes something; the stream may have ended since.
    pub(super) fn take_owing(&mut self) -> Option<usize> {
        let slot = self.owing.pop_front()?;
        self.is_listed[slot] = false;
        Some(slot)
    }

    /// Takes the next frame that is about no stream in the table.
    pub(super) fn take_frame(&mut self) -> Option<Outgoing> {
        let pong = self.pong.take().map(Outgoing::Pong);
        pong.or_else(|| self.ping.take().map(Outgoing::Ping))
            .or_else(|| self.go_away.take().map(Outgoing::GoAway))
            .or_else(|| {
                let id = self.resets.pop_front()?;
                Some(Outgoing::Stream(id, Saying::Reset))
            })
    }

    /// Forgets all debts but one: the last word of a link that has failed.
    pub(super) fn owe_only_go_away(&mut self, reason: Reason) {
        *self = Self {
            go_away: Some(reason),
            ..Self::default()
        };
    }
}
