//! One stream as a session knows it: two directions, each with its own end.
//!
//! ```text
//!   inbound    Receiving ──── FIN of the peer ───▶ Ended
//!
//!   outbound   Sending ── end of the local side ─▶ Finishing ── FIN is on the link ─▶ Finished
//!
//!   both: a reset, from either end, removes the stream at once.
//! ```
//!
//! The stream is over when it is `Ended`, `Finished`, and its reader has taken everything.

use std::time::Instant;

use crate::tunnel::frame::{StreamId, Violation};
use crate::tunnel::window::{Budget, ReceiveWindow, SendWindow};

/// The direction from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// More may come.
    Receiving,
    /// The peer has sent its FIN.
    Ended,
}

/// The direction to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// More may be sent.
    Sending,
    /// The local side has ended, and the FIN waits behind its bytes.
    Finishing,
    /// The FIN was written to the link.
    Finished,
}

/// What is seen of a stream from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamFacts {
    /// Its number on the link.
    pub id: StreamId,
    /// The direction from the peer.
    pub inbound: Inbound,
    /// The direction to the peer.
    pub outbound: Outbound,
    /// Whether the local side may have bytes, or its end.
    pub is_readable: bool,
    /// Bytes that may be sent before the peer gives more credit.
    pub send_window: u32,
    /// Bytes that the peer may send.
    pub receive_window: u32,
}

/// What a lost link means for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Both directions had ended: the reader takes its rest, and nothing is missing.
    Complete,
    /// Bytes of the peer are missing: the local side must see an error, and no end that looks like a regular one.
    Truncated,
    /// The reader has everything of the peer, and gets its rest; but bytes for the peer are lost, so the local side
    /// must see an error after that.
    Unsent,
}

impl Fate {
    /// Returns the fate of a stream whose link is lost.
    #[must_use]
    pub fn on_lost_link(inbound: Inbound, outbound: Outbound) -> Self {
        match (inbound, outbound) {
            (Inbound::Receiving, _) => Self::Truncated,
            (Inbound::Ended, Outbound::Sending | Outbound::Finishing) => Self::Unsent,
            (Inbound::Ended, Outbound::Finished) => Self::Complete,
        }
    }
}

/// How a stream begins on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The frame that opens it is owed.
    OpenOwed,
    /// The frame that accepts it is owed.
    AcceptOwed,
    /// Nothing of that is owed.
    Said,
}

/// A stream of a session.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    pub(super) beginning: Beginning,
    /// Credit that the peer has not been told of; it adds up until there is room on the link.
    pub(super) credit_owed: u32,
    /// Whether the local side may have bytes, or its end.
    pub(super) is_readable: bool,
    pub(super) send: SendWindow,
    pub(super) receive: ReceiveWindow,
}

impl Stream {
    /// Creates a stream that was just opened.
    pub(super) fn new(id: StreamId, beginning: Beginning, window: u32) -> Self {
        Self {
            id,
            inbound: Inbound::Receiving,
            outbound: Outbound::Sending,
            beginning,
            credit_owed: 0,
            is_readable: false,
            send: SendWindow::new(window),
            receive: ReceiveWindow::new(window),
        }
    }

    /// Notes that the reader has taken bytes, and returns whether credit is owed for that.
    pub(super) fn consume(&mut self, bytes: u32, now: Instant, budget: &mut Budget) -> bool {
        let credit = self.receive.consume(bytes, now, budget);
        // A peer that has sent its FIN needs no credit any more.
        if credit == 0 || self.inbound == Inbound::Ended {
            return false;
        }
        // The sum is at most the size of the window.
        self.credit_owed += credit;
        true
    }

    /// Adds credit of the peer, and returns whether the stream can send again because of it.
    ///
    /// # Errors
    ///
    /// Fails if the credit overflows.
    pub(super) fn add_credit(&mut self, credit: u32) -> Result<bool, Violation> {
        let was_empty = self.send.left() == 0;
        self.send.add(credit)?;
        Ok(was_empty && credit > 0 && self.may_send())
    }

    /// Returns whether the local side may have something for the peer.
    pub(super) fn may_send(&self) -> bool {
        self.is_readable && self.outbound == Outbound::Sending
    }

    /// Returns whether both directions have ended on the link, so that the number may be used again.
    pub(super) fn is_off_the_link(&self) -> bool {
        self.inbound == Inbound::Ended && self.outbound == Outbound::Finished
    }

    /// Returns whether the stream is over.
    pub(super) fn is_over(&self) -> bool {
        self.is_off_the_link() && self.receive.held() == 0
    }

    /// Returns what is seen of it from outside.
    pub(super) fn facts(&self) -> StreamFacts {
        StreamFacts {
            id: self.id,
            inbound: self.inbound,
            outbound: self.outbound,
            is_readable: self.is_readable,
            send_window: self.send.left(),
            receive_window: self.receive.open(),
        }
    }

    /// Returns what a lost link means for the stream.
    pub(super) fn fate(&self) -> Fate {
        Fate::on_lost_link(self.inbound, self.outbound)
    }
}
