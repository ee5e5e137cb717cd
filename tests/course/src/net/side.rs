//! The two sides: their names, addresses and interfaces.
//!
//! | place | addresses | names |
//! |---|---|---|
//! | left | 10.0.0.1, fd00::1 | `left`, `left6` |
//! | right | 10.0.0.2, fd00::2 | `right`, `right6` |
//! | nowhere, behind right | 192.0.2.0/24, 2001:db8::/32 (kept free for documentation: RFC 5737, RFC 3849) | `silent` |
//! | right, and nowhere | 10.0.0.2, 2001:db8::2 | `half-silent` |
//!
//! Left has an address of the silent IPv6 network, too (2001:db8:1::1), so that `getaddrinfo(3)` lists that one first, as it does
//! for a machine on the internet (RFC 6724).

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What `/etc/hosts` says on both sides.
pub(super) const HOSTS: &str = "\
127.0.0.1 localhost
::1 localhost
10.0.0.1 left
fd00::1 left6
10.0.0.2 right
fd00::2 right6
192.0.2.2 silent
2001:db8::2 silent half-silent
10.0.0.2 half-silent
";

/// One of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
pub(super) enum Side {
    /// Where a client runs: 10.0.0.1 and fd00::1
    Left,
    /// Where a server runs: 10.0.0.2 and fd00::2
    Right,
}

impl Side {
    /// Both sides, in the order in which everything lists them.
    pub(super) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// Returns the side with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|side| side.name() == name)
    }

    /// Returns its name, which is also the name of its cable's other end.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Left => 1,
            Self::Right => 2,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// Returns the commands for `ip -batch` in this network; `middle` is a process in the network of the relay.
    ///
    /// The neighbours are entered by hand, because the loss of a question for one (`arp(7)`) would cost a second. Segments are
    /// not left to a card (`gso_max_segs`), because the relay's frames are as long as on a wire.
    pub(super) fn setup(self, middle: u32) -> String {
        let (own, other, name) = (self.number(), self.other().number(), self.name());
        let common = format!(
            "\
link set lo up
link add wire address 02:00:00:00:00:0{own} gso_max_segs 1 type veth peer name {name} netns {middle}
address add 10.0.0.{own}/24 dev wire
address add fd00::{own}/64 dev wire nodad
link set wire up
neighbour add 10.0.0.{other} lladdr 02:00:00:00:00:0{other} dev wire nud permanent
neighbour add fd00::{other} lladdr 02:00:00:00:00:0{other} dev wire nud permanent
"
        );
        let silent = match self {
            Self::Left => {
                "\
address add 2001:db8:1::1/128 dev wire nodad
route add 192.0.2.0/24 via 10.0.0.2
route add 2001:db8::/32 via fd00::2 src 2001:db8:1::1
"
            }
            Self::Right => "route add blackhole 192.0.2.0/24\nroute add blackhole 2001:db8::/32\n",
        };
        common + silent
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
