//! The two wires of a tunnel, as their documents describe them: a test plays one end of a link with them.
//!
//! Nothing here is shared with the program under test. If its decoder and its encoder had the same mistake, its two ends
//! would understand each other, and no other program.

pub mod multiplex;
pub mod yamux;

use crate::peer::Peer;

/// The frames that arrive on a link, which is read in large pieces: a test may count thousands of them.
#[derive(Debug)]
pub struct Incoming<'a> {
    link: &'a Peer,
    held: Vec<u8>,
}

impl<'a> Incoming<'a> {
    /// Begins where nothing of the link was read, or only whole frames.
    #[must_use]
    pub fn on(link: &'a Peer) -> Self {
        let held = Vec::new();
        Self { link, held }
    }

    /// Waits for the next frame of yamux.
    ///
    /// # Panics
    ///
    /// Fails the test if none comes in time.
    #[must_use]
    #[track_caller]
    pub fn yamux(&mut self) -> yamux::Frame {
        loop {
            if let Some((frame, rest)) = yamux::Frame::parse(&self.held) {
                self.held.drain(..self.held.len() - rest.len());
                return frame;
            }
            self.held.extend(self.link.read_some());
        }
    }

    /// Waits for the next frame of multiplex.
    ///
    /// # Panics
    ///
    /// Fails the test if none comes in time.
    #[must_use]
    #[track_caller]
    pub fn multiplex(&mut self) -> multiplex::Frame {
        loop {
            if let Some((frame, rest)) = multiplex::Frame::parse(&self.held) {
                self.held.drain(..self.held.len() - rest.len());
                return frame;
            }
            self.held.extend(self.link.read_some());
        }
    }
}
