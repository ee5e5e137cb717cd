//! The request: a command and a target (RFC 1928 section 4).

use stage2_client::Target;

use crate::ingress::socks5::reply::{Reply, VERSION};
use crate::wire_address::{self, Parsed};

/// The command that asks for a connection to the target, and the only one that is carried out.
const CONNECT: u8 = 1;
/// The command that asks for a listener that the target connects to.
const BIND: u8 = 2;
/// The command that asks for a way for datagrams.
const UDP_ASSOCIATE: u8 = 3;

/// What the first bytes of a request are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A part of one.
    Incomplete,
    /// A whole one of `length` bytes, for a connection; what lies behind it belongs to the target.
    Connect { target: Target, length: usize },
    /// None that is carried out: the reply says it to the client, and `why` to the operator.
    Invalid { reply: Reply, why: &'static str },
}

impl Request {
    /// Parses a request from the first bytes of `input`.
    ///
    /// ```text
    ///    05 │ command │ 00 │ address
    /// ```
    /// The bytes may end anywhere: then the request is incomplete, unless those that are there already tell that it
    /// will not be carried out. That is so with another version, and with every command but CONNECT. The third byte,
    /// which is reserved, may have any value, because some clients leave garbage there.
    pub(super) fn parse(input: &[u8]) -> Self {
        match input {
            [version, ..] if *version != VERSION => {
                invalid(Reply::Failure, "the request is not of SOCKS5")
            }
            // Before the address, because the other commands may leave it empty.
            [_, command, ..] if *command != CONNECT => {
                invalid(Reply::CommandNotSupported, objection(*command))
            }
            [_, _, _, address @ ..] => Self::connect(wire_address::parse(address)),
            [] | [_] | [_, _] => Self::Incomplete,
        }
    }

    /// Judges the address behind the first three bytes of a CONNECT.
    fn connect(address: Parsed) -> Self {
        match address {
            Parsed::Incomplete => Self::Incomplete,
            Parsed::UnknownType => {
                let why = "the type of the address is unknown";
                invalid(Reply::AddressNotSupported, why)
            }
            Parsed::Complete { port: 0, .. } => {
                invalid(Reply::Failure, "the port of the target is 0")
            }
            Parsed::Complete { host: None, .. } => {
                invalid(Reply::Failure, "the name of the target is not a host name")
            }
            Parsed::Complete {
                host: Some(host),
                port,
                length,
            } => Self::Connect {
                target: Target { host, port },
                length: 3 + length,
            },
        }
    }
}

/// Returns why a command is not carried out.
fn objection(command: u8) -> &'static str {
    match command {
        BIND => "the command BIND is not supported",
        UDP_ASSOCIATE => "the command UDP ASSOCIATE is not supported",
        _ => "the command is unknown",
    }
}

fn invalid(reply: Reply, why: &'static str) -> Request {
    Request::Invalid { reply, why }
}
