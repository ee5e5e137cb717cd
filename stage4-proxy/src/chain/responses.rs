//! Reads the responses of all hops of a chain, without I/O.

use crate::chain::header::{Response, Status};

/// The responses of a chain, as far as they have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Responses {
    /// How many hops have said that they are connected.
    arrived: usize,
    /// How many hops there are.
    hops: usize,
}

/// What the responses amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// More bytes are needed.
    Incomplete,
    /// Every hop is connected: the bytes that follow are the target's.
    Connected,
    /// A hop has failed: the one of this number, counted from 1.
    Failed(usize, Response),
    /// The bytes of a hop are no response: the one of this number, counted from 1.
    Malformed(usize),
}

impl Responses {
    /// Waits for the responses of `hops` hops.
    #[must_use]
    pub fn new(hops: usize) -> Self {
        Self { arrived: 0, hops }
    }

    /// Returns the number of the hop whose response comes next, counted from 1.
    #[must_use]
    pub fn awaited(&self) -> usize {
        self.arrived + 1
    }

    /// Reads the responses at the front of `input`, and returns how many bytes they have.
    pub fn read(&mut self, input: &[u8]) -> (usize, Outcome) {
        let mut used = 0;
        while self.arrived < self.hops {
            match Response::parse(&input[used..]) {
                Ok(None) => return (used, Outcome::Incomplete),
                Ok(Some((response, length))) if response.status == Status::Ok => {
                    used += length;
                    self.arrived += 1;
                }
                Ok(Some((response, length))) => {
                    return (used + length, Outcome::Failed(self.awaited(), response));
                }
                Err(_) => return (used, Outcome::Malformed(self.awaited())),
            }
        }
        (used, Outcome::Connected)
    }
}
