//! Why a chain leads nowhere, in words without an address, fit for a client's eyes.

use std::fmt;

use crate::chain::header::Status;

/// The failure of one hop of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HopFailure {
    /// The number of the hop, from 1; 0 is this proxy, which has to reach the first hop.
    pub hop: usize,
    /// How many hops there are.
    pub hops: usize,
    /// What it has not done.
    pub fault: Fault,
}

/// What a hop has not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot reach the next one, and says why.
    Unreached(Status),
    /// The connection has ended before its response.
    Silent,
    /// Its response has not come in time.
    TooSlow,
    /// Its bytes are no response.
    Stranger,
}

impl HopFailure {
    /// Returns the status that passes the failure on.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.fault {
            Fault::Unreached(status) => status,
            Fault::TooSlow => Status::TimedOut,
            Fault::Silent | Fault::Stranger => Status::Other,
        }
    }
}

impl std::error::Error for HopFailure {}

impl fmt::Display for HopFailure {
    /// Writes for example `hop 2 of 3 cannot reach hop 3: connection refused`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hop, hops, fault } = self;
        if *hop > 0 {
            write!(formatter, "hop {hop} of {hops} ")?;
        }
        match fault {
            Fault::Unreached(status) if *hop == 0 => {
                write!(formatter, "cannot reach hop 1 of {hops}: {status}")
            }
            Fault::Unreached(status) if hop == hops => {
                write!(formatter, "cannot reach the target: {status}")
            }
            Fault::Unreached(status) => write!(formatter, "cannot reach hop {}: {status}", hop + 1),
            Fault::Silent => write!(formatter, "has closed without a response"),
            Fault::TooSlow => write!(formatter, "has not responded in time: timed out"),
            Fault::Stranger => write!(formatter, "does not speak the chain's protocol"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_the_hop_and_the_reason() {
        let sentence = |hop, fault| {
            let hops = 3;
            HopFailure { hop, hops, fault }.to_string()
        };
        let refused = Fault::Unreached(Status::Refused);
        let table = [
            (0, refused, "cannot reach hop 1 of 3: connection refused"),
            (
                1,
                refused,
                "hop 1 of 3 cannot reach hop 2: connection refused",
            ),
            (
                3,
                refused,
                "hop 3 of 3 cannot reach the target: connection refused",
            ),
            (2, Fault::Silent, "hop 2 of 3 has closed without a response"),
            (
                2,
                Fault::TooSlow,
                "hop 2 of 3 has not responded in time: timed out",
            ),
            (
                2,
                Fault::Stranger,
                "hop 2 of 3 does not speak the chain's protocol",
            ),
        ];
        for (hop, fault, expected) in table {
            assert_eq!(sentence(hop, fault), expected);
        }
    }
}
