//! How many bytes one direction of a stream may carry: the window of its sender, and that of its receiver.
//!
//! ```text
//!   sender                              receiver
//!                                       ┌──────────────── size ────────────────┐
//!   SendWindow                          │ held          │ due        │ open     │
//!   left ── take ──▶ payload ─────────▶ │ received, not │ consumed,  │ may come │
//!     ▲                                 │ consumed      │ no credit  │          │
//!     │                                 └───────────────┴────────────┴──────────┘
//!     └── add ◀── credit ◀──────────────── when a quarter of the size is due
//! ```
//!
//! Only payload uses a window. The invariant of the receiver: `open + held` is never more than the largest size
//! that was granted, so that a stream without a reader holds no more than this.

mod budget;
mod growth;

use std::time::Instant;

use crate::tunnel::frame::Violation;
pub use crate::tunnel::window::budget::Budget;
use crate::tunnel::window::growth::{Growth, Verdict};

/// Credit is given for a quarter of the window at a time. Halves, which others give, leave the sender with as little
/// as half of the window: the second half is a few bytes short of being due when the sender stops for want of credit.
const CREDIT_PARTS: u32 = 4;

/// The bytes that a stream may still send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendWindow {
    left: u32,
}

impl SendWindow {
    /// Creates the window of a stream that has got no credit yet.
    #[must_use]
    pub fn new(initial: u32) -> Self {
        Self { left: initial }
    }

    /// Returns how many bytes may be sent.
    #[must_use]
    pub fn left(self) -> u32 {
        self.left
    }

    /// Notes that bytes were sent.
    ///
    /// # Panics
    ///
    /// Panics if they were more than the window allows: the caller has asked before.
    pub fn take(&mut self, bytes: u32) {
        assert!(
            bytes <= self.left,
            "{bytes} bytes in a window of {}",
            self.left
        );
        self.left -= bytes;
    }

    /// Adds credit of the peer.
    ///
    /// # Errors
    ///
    /// Fails if the sum does not fit into 32 bits: no receiver has that much room, so the peer has lost count.
    pub fn add(&mut self, credit: u32) -> Result<(), Violation> {
        let sum = self.left.checked_add(credit);
        self.left = sum.ok_or(Violation::CreditOverflow)?;
        Ok(())
    }
}

/// The bytes that a peer may send on a stream, and those of them that wait for their reader.
#[derive(Debug)]
pub struct ReceiveWindow {
    /// What `open` and `held` may be together, from the next credit on.
    size: u32,
    /// What the peer may still send.
    open: u32,
    /// What has arrived and was not consumed.
    held: u32,
    /// The size before any growth.
    initial: u32,
    /// What was taken from the budget of the link.
    charged: u32,
    /// How the size may change; `None` until the first credit.
    growth: Option<Box<Growth>>,
}

impl ReceiveWindow {
    /// Creates the window of a stream on which nothing has arrived.
    #[must_use]
    pub fn new(initial: u32) -> Self {
        Self {
            size: initial,
            open: initial,
            held: 0,
            initial,
            charged: 0,
            growth: None,
        }
    }

    /// Returns the size: the most that the peer sends ahead of the reader.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Returns how many bytes the peer may still send.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open
    }

    /// Returns how many bytes have arrived and were not consumed.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Notes that bytes have arrived.
    ///
    /// # Errors
    ///
    /// Fails if the peer has sent more than the window allows.
    pub fn receive(&mut self, bytes: u32, now: Instant) -> Result<(), Violation> {
        let open = self.open.checked_sub(bytes);
        self.open = open.ok_or(Violation::WindowOverrun)?;
        self.held += bytes;
        if let Some(growth) = &mut self.growth {
            growth.receive(bytes, now);
        }
        Ok(())
    }

    /// Notes that the link was busy with bytes of this stream until now.
    pub fn touch(&mut self, now: Instant) {
        if let Some(growth) = &mut self.growth {
            growth.touch(now);
        }
    }

    /// Notes that the reader has taken bytes, and returns the credit to give to the peer: 0 in most cases, because
    /// credit is collected.
    ///
    /// # Panics
    ///
    /// Panics if more bytes were consumed than have arrived.
    pub fn consume(&mut self, bytes: u32, now: Instant, budget: &mut Budget) -> u32 {
        assert!(
            bytes <= self.held,
            "{bytes} of {} bytes consumed",
            self.held
        );
        self.held -= bytes;
        if self.due() == 0 || self.due() < self.size / CREDIT_PARTS {
            return 0;
        }
        let credit = self.due();
        self.judge(credit, now, budget);
        let credit = self.due();
        self.open += credit;
        if let Some(growth) = &mut self.growth {
            growth.grant(credit);
        }
        self.settle(budget);
        self.check_invariants();
        credit
    }

    /// Takes the window of a stream on which nothing has arrived for a while back to its first size.
    ///
    /// Credit cannot be taken back, so the budget gets its part only when the peer has used what it was granted.
    pub fn rest(&mut self, now: Instant, budget: &mut Budget) {
        if self
            .growth
            .as_ref()
            .is_some_and(|growth| growth.is_idle(now))
        {
            self.size = self.initial;
            self.settle(budget);
        }
    }

    /// Gives everything back to the budget, because the stream has ended.
    pub fn close(&mut self, budget: &mut Budget) {
        budget.give(self.charged);
        self.charged = 0;
    }

    /// Returns the credit that could be given. It is 0 while the peer still has what a larger window has granted.
    fn due(&self) -> u32 {
        self.size.saturating_sub(self.open + self.held)
    }

    /// Changes the size, if that promises more bytes in a second.
    fn judge(&mut self, consumed: u32, now: Instant, budget: &mut Budget) {
        let is_hungry = self.held < self.size / 8;
        let limit = self.open;
        let growth = self
            .growth
            .get_or_insert_with(|| Box::new(Growth::new(limit, now)));
        match growth.judge(consumed, self.size, now) {
            Verdict::Keep => {}
            Verdict::Grow if is_hungry => self.double(budget),
            // A slow reader gets its bytes late whatever the window is.
            Verdict::Grow => growth.withdraw(),
            Verdict::StepBack => self.size = (self.size / 2).max(self.initial),
        }
    }

    fn double(&mut self, budget: &mut Budget) {
        let size = self.size.saturating_mul(2);
        let beyond = (size - self.initial).saturating_sub(self.charged);
        if budget.take(size, beyond) {
            self.charged += beyond;
            self.size = size;
        } else if let Some(growth) = &mut self.growth {
            growth.withdraw();
        }
    }

    /// Gives back to the budget what can neither be used nor be granted any more.
    fn settle(&mut self, budget: &mut Budget) {
        let needed = self.size.max(self.open + self.held) - self.initial;
        if let Some(beyond) = self.charged.checked_sub(needed) {
            budget.give(beyond);
            self.charged = needed;
        }
    }

    /// Checks the invariants of the window.
    ///
    /// # Panics
    ///
    /// Panics if one is broken, which is a bug of ours.
    pub fn check_invariants(&self) {
        let granted = self.open.checked_add(self.held).expect("the sum fits");
        assert!(
            granted <= self.initial + self.charged,
            "more was granted than the budget knows"
        );
        assert!(
            self.size <= self.initial + self.charged,
            "the size is not paid for"
        );
        assert!(
            self.size >= self.initial,
            "a window never gets smaller than at first"
        );
    }
}

#[cfg(test)]
mod tests;
