//! The inspector's address on the command line.

use std::net::{Ipv4Addr, SocketAddr};

use crate::flags::parse_listen;

/// Reads `ADDR:PORT` as [`parse_listen`] does, or a port alone, which means 127.0.0.1.
///
/// # Errors
///
/// Fails if the text is neither: with one sentence for the user, which clap puts behind the name of the option.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => parse_listen(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine_only() {
        let table = [
            ("9000", "127.0.0.1:9000"),
            ("0", "127.0.0.1:0"),
            ("0.0.0.0:9000", "0.0.0.0:9000"),
            ("[::1]:9000", "[::1]:9000"),
            (":9000", "0.0.0.0:9000"),
        ];
        for (text, address) in table {
            assert_eq!(parse_address(text), Ok(address.parse().unwrap()));
        }
        assert!(parse_address("localhost:0").unwrap().ip().is_loopback());
        for text in ["", "here", "127.0.0.1", "65536", "::1:9000"] {
            assert!(parse_address(text).is_err(), "{text:?}");
        }
    }
}
