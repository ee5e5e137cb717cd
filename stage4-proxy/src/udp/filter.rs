//! Which senders may answer a client (RFC 4787 section 5).

use std::net::SocketAddr;

use clap::ValueEnum;

/// How closely the sender of an answer has to be the receiver of what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Filter {
    /// The same address, at any port
    #[default]
    Address,
    /// The same address and port
    Port,
    /// Any sender
    Endpoint,
}

impl Filter {
    /// Returns as much of an address as the filter looks at; `None` if it looks at nothing.
    pub(super) fn key(self, address: SocketAddr) -> Option<SocketAddr> {
        let ip = address.ip().to_canonical();
        match self {
            Self::Address => Some((ip, 0).into()),
            Self::Port => Some((ip, address.port()).into()),
            Self::Endpoint => None,
        }
    }

    /// Returns whether a datagram of `sender` is an answer for a client that has sent to `receiver`.
    #[must_use]
    pub fn admits(self, receiver: SocketAddr, sender: SocketAddr) -> bool {
        self.key(receiver) == self.key(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_admits_its_senders() {
        let receiver = "192.0.2.1:53".parse().unwrap();
        let table = [
            ("192.0.2.1:53", [true, true, true]),
            ("192.0.2.1:54", [true, false, true]),
            ("192.0.2.2:53", [false, false, true]),
            ("[::ffff:192.0.2.1]:53", [true, true, true]),
        ];
        for (sender, expected) in table {
            let sender = sender.parse().unwrap();
            let filters = [Filter::Address, Filter::Port, Filter::Endpoint];
            assert_eq!(
                filters.map(|it| it.admits(receiver, sender)),
                expected,
                "{sender}"
            );
        }
    }
}
