//! An upstream whose bytes the test sends and reads itself.

use std::ops::Deref;
use std::sync::mpsc::{self, Receiver};

use crate::deadline::Deadline;
use crate::failure::fail;
use crate::peer::Peer;
use crate::scripted::{Options, Scripted};

/// An upstream that hands its connections to the test, in the order of their arrival.
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
            // This fails only if the test is over, and then the connection may close.
            drop(arrive.send(peer));
        });
        Self { scripted, arrivals }
    }

    /// Waits for the next connection.
    ///
    /// # Panics
    ///
    /// Panics if none arrives in time.
    #[track_caller]
    #[must_use]
    pub fn next(&self) -> Peer {
        let arrival = Deadline::patience().receive(&self.arrivals);
        arrival.unwrap_or_else(|_| fail("The program did not connect to the upstream."))
    }
}

impl Deref for Hand {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.scripted
    }
}
