//! The transports: what carries a link.
//!
//! A transport is a connection of which the bytes arrive whole and in order, in both directions, and whose end can be
//! told from a break. That is all that a [`Session`](super::session::Session) needs, so a transport over datagrams,
//! too, would fit if it brought acknowledgements and an order of its own.

use std::net::SocketAddr;
use std::str::FromStr;

use stage2_client::Target;
use stage4_proxy::flags::parse_listen;

/// What carries the link, and which end waits for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// This end connects (`tcp:HOST:PORT`).
    Tcp(Target),
    /// This end waits, and takes one link at a time (`tcp-listen:ADDR:PORT`).
    TcpListen(SocketAddr),
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("tcp", target)) => {
                let target = target.parse::<Target>();
                target.map(Self::Tcp).map_err(|error| error.to_string())
            }
            Some(("tcp-listen", address)) => parse_listen(address).and_then(listen_on),
            Some(_) | None => Err("expected tcp:HOST:PORT or tcp-listen:ADDR:PORT".to_owned()),
        }
    }
}

/// Waits for a link on a loopback address only: every program that reaches the socket could use the tunnel.
fn listen_on(address: SocketAddr) -> Result<Transport, String> {
    if address.ip().is_loopback() {
        return Ok(Transport::TcpListen(address));
    }
    Err("a link is not authenticated: listen on a loopback address, and reach it for example over ssh -L".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_named_by_their_scheme() {
        let target = "far.example:9000".parse().unwrap();
        assert_eq!("tcp:far.example:9000".parse(), Ok(Transport::Tcp(target)));
        let address = "127.0.0.1:0".parse().unwrap();
        assert_eq!(
            "tcp-listen:127.0.0.1:0".parse(),
            Ok(Transport::TcpListen(address))
        );
        for text in [
            "",
            "tcp",
            "tcp:",
            "udp:x:1",
            "tcp-listen:0.0.0.0:1",
            "127.0.0.1:80",
        ] {
            assert!(text.parse::<Transport>().is_err(), "{text}");
        }
    }
}
