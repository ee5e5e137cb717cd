//! An upstream that a test plays by hand.

use std::ops::Deref;
use std::sync::mpsc::{self, Receiver};

use crate::deadline::Deadline;
use crate::failure::fail;
use crate::peer::Peer;
use crate::scripted::{Options, Scripted};

/// An upstream whose connections the test plays itself, in the order of their arrival.
#[derive(Debug)]
pub struct Hand {
    scripted: Scripted,
    arrivals: Receiver<Peer>,
}

impl Hand {
    /// Starts an upstream with the kernel's buffers.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        Self::with(Scripted::options("upstream"))
    }

    /// Starts an upstream from options.
    #[track_caller]
    #[must_use]
    pub fn with(options: Options) -> Self {
        let (arrive, arrivals) = mpsc::channel();
        let scripted = options.start(move |peer| {
            // A test that is over no longer wants its connections.
            drop(arrive.send(peer));
        });
        Self { scripted, arrivals }
    }

    /// Waits for the next connection.
    ///
    /// # Panics
    ///
    /// Panics if none comes in time.
    #[track_caller]
    #[must_use]
    pub fn next(&self) -> Peer {
        let arrival = Deadline::patience().receive(&self.arrivals);
        arrival.unwrap_or_else(|_| fail("Nobody has connected to the upstream."))
    }
}

impl Deref for Hand {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.scripted
    }
}
