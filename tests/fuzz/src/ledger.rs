//! What both ends have said on the wire about each stream, kept apart from the session that is judged by it.

use std::collections::HashMap;

use stage5_mux::tunnel::frame::{Body, Frame, Signals, StreamId};
use stage5_mux::tunnel::limits::SessionLimits;
use stage5_mux::tunnel::role::Opener;
use stage5_mux::tunnel::wire::Wire;

use crate::content;

/// A stream on the wire, from its opening until its number is used again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// Whether we have said that we open it.
    pub(crate) is_announced: bool,
    /// How often the peer has opened it, and how often we have accepted it.
    opened: u32,
    accepted: u32,
    /// What we have granted beyond the first window, and what the peer has sent.
    granted: u64,
    pub(crate) received: u64,
    /// What the peer has granted, and what we have sent.
    allowed: u64,
    sent: u64,
    pub(crate) has_finished: bool,
    pub(crate) peer_has_finished: bool,
    /// Resets that the peer has to be told.
    pub(crate) resets_owed: u32,
    was_reset: bool,
}

/// All streams.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) lives: HashMap<StreamId, Life>,
    /// Whether the peer has opened a stream with the number of one that had not ended in order: then frames of both
    /// have one name, and most of this ledger means nothing.
    pub(crate) is_blurred: bool,
    initial: u64,
    max_window: u64,
    has_windows: bool,
    max_slice: usize,
}

impl Ledger {
    pub(crate) fn new<W: Wire>(limits: &SessionLimits) -> Self {
        Self {
            lives: HashMap::new(),
            is_blurred: false,
            initial: u64::from(W::INITIAL_WINDOW),
            max_window: u64::from(limits.max_window.max(W::INITIAL_WINDOW)),
            has_windows: W::HAS_WINDOWS,
            max_slice: W::MAX_SLICE,
        }
    }

    /// Returns the most bytes that may wait for the reader of one stream.
    pub(crate) fn max_held(&self) -> u64 {
        if self.has_windows {
            self.max_window
        } else {
            self.initial
        }
    }

    pub(crate) fn life(&mut self, id: StreamId) -> &mut Life {
        self.lives.entry(id).or_default()
    }

    pub(crate) fn life_of(&self, id: StreamId) -> Life {
        self.lives.get(&id).copied().unwrap_or_default()
    }

    /// Notes a frame of the peer.
    pub(crate) fn note_arrival(&mut self, frame: Frame) {
        let Frame::Stream { id, signals, body } = frame else {
            return;
        };
        if signals.contains(Signals::OPEN)
            && !signals.contains(Signals::RESET)
            && id.opener == Opener::Peer
        {
            self.open(id);
        }
        let life = self.life(id);
        match body {
            Body::Payload(length) => life.received += u64::from(length),
            Body::Credit(credit) => life.allowed += u64::from(credit),
            Body::Note(_) => {}
        }
        life.peer_has_finished |= signals.contains(Signals::FINISH);
    }

    /// Notes that the peer opens a stream, perhaps with the number of an earlier one.
    fn open(&mut self, id: StreamId) {
        let life = self.life(id);
        let has_ended = life.has_finished && life.peer_has_finished && life.resets_owed == 0;
        if has_ended {
            *life = Life::default();
        }
        let is_first = life.opened == 0;
        life.opened += 1;
        self.is_blurred |= !is_first;
    }

    /// Returns whether the peer has been granted less than it has sent, as far as the wire tells.
    pub(crate) fn is_overrun(&self, id: StreamId) -> bool {
        let life = self.lives[&id];
        life.received > self.initial + life.granted
    }

    /// Returns whether what we may send does not fit into 32 bits, as far as the wire tells.
    pub(crate) fn overflows(&self, id: StreamId) -> bool {
        let life = self.lives[&id];
        self.initial + life.allowed - life.sent > u64::from(u32::MAX)
    }

    /// Checks and notes a frame that we have sent.
    pub(crate) fn check_departure(&mut self, id: StreamId, signals: Signals, body: Body) {
        if self.is_blurred {
            return;
        }
        let (initial, max_window, max_slice) =
            (self.initial, self.max_window, self.max_slice as u64);
        let has_windows = self.has_windows;
        let life = self.life(id);
        let is_open = id.opener == Opener::Us && signals.contains(Signals::OPEN);
        assert_eq!(
            is_open,
            id.opener == Opener::Us && !life.is_announced,
            "{id} is opened once, and first"
        );
        life.is_announced = true;
        assert!(!life.was_reset, "{id} was reset, and we talk about it");
        if signals.contains(Signals::ACCEPT) {
            life.accepted += 1;
            assert!(
                life.accepted <= life.opened,
                "{id} is accepted more often than opened"
            );
        }
        match body {
            Body::Credit(credit) => {
                life.granted += u64::from(credit);
                let open = (initial + life.granted).saturating_sub(life.received);
                assert!(open <= max_window, "{id}: the peer may send {open} bytes");
            }
            Body::Payload(length) => {
                life.sent += u64::from(length);
                assert!(
                    (1..=max_slice).contains(&u64::from(length)),
                    "{id}: a frame of {length} bytes"
                );
                assert!(!life.has_finished, "{id} has ended, and goes on");
                let allowed = initial + life.allowed;
                assert!(
                    !has_windows || life.sent <= allowed,
                    "{id}: {} of {allowed} bytes sent",
                    life.sent
                );
            }
            Body::Note(_) => {}
        }
        self.check_end(id, signals);
    }

    fn check_end(&mut self, id: StreamId, signals: Signals) {
        let life = self.life(id);
        if signals.contains(Signals::FINISH) {
            assert!(!life.has_finished, "{id} ends twice");
            life.has_finished = true;
        }
        if signals.contains(Signals::RESET) {
            assert!(life.resets_owed > 0, "{id} is reset without a reason");
            life.resets_owed -= 1;
            life.was_reset = true;
        }
    }

    /// Checks the bytes of the last payload frame of a stream of which `left` bytes are still to come.
    pub(crate) fn check_content(&self, id: StreamId, bytes: &[u8], left: u32) {
        if !self.is_blurred {
            let offset = self.lives[&id].sent - u64::from(left) - bytes.len() as u64;
            content::check(id.number, offset, bytes);
        }
    }
}
