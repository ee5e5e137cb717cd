//! UDP ASSOCIATE from the client's side: RFC 1928 sections 4, 6 and 7.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::Socket;

use crate::load::{connect, dial};

/// Asks a proxy for an association; returns the connection that holds it open, and where its datagrams go.
///
/// # Errors
///
/// Fails if the proxy refuses, or names an address that is not IPv4.
pub(crate) fn open(proxy: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    const GREETING: [u8; 3] = [5, 1, 0];
    /// The client does not know yet which port it will send from.
    const REQUEST: [u8; 10] = [5, 3, 0, 1, 0, 0, 0, 0, 0, 0];
    let socket = connect(proxy)?;
    let mut connection = &socket;
    connection.write_all(&GREETING)?;
    let mut method = [0; 2];
    connection.read_exact(&mut method)?;
    connection.write_all(&REQUEST)?;
    let mut reply = [0; 10];
    connection.read_exact(&mut reply)?;
    let [5, 0, 0, 1, ip @ .., high, low] = reply else {
        let text = reply.escape_ascii();
        return Err(io::Error::other(format!("no association: {text}")));
    };
    let ip = Ipv4Addr::from(ip);
    let relay = SocketAddrV4::new(ip, u16::from_be_bytes([high, low]));
    let mut address = SocketAddr::from(relay);
    if ip.is_unspecified() {
        address.set_ip(proxy.ip());
    }
    Ok((socket, address))
}

/// Returns the header of a datagram for a target, which is not a fragment.
pub(crate) fn header(target: SocketAddr) -> Vec<u8> {
    const RESERVED_AND_FRAGMENT: [u8; 3] = [0; 3];
    [&RESERVED_AND_FRAGMENT[..], &dial::wire_address(target)].concat()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn answered_with(reply: [u8; 10]) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let proxy = listener.local_addr()?;
        let server = thread::spawn(move || -> io::Result<()> {
            let (mut client, _) = listener.accept()?;
            client.read_exact(&mut [0; 3])?;
            client.write_all(&[5, 0])?;
            client.read_exact(&mut [0; 10])?;
            client.write_all(&reply)
        });
        let outcome = open(proxy).map(|(_, address)| address);
        server.join().unwrap()?;
        outcome
    }

    #[test]
    fn the_reply_says_where_datagrams_go() {
        let address = answered_with([5, 0, 0, 1, 127, 0, 0, 2, 1, 2]).unwrap();
        assert_eq!(address.to_string(), "127.0.0.2:258");
        let address = answered_with([5, 0, 0, 1, 0, 0, 0, 0, 1, 2]).unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:258");
    }

    #[test]
    fn a_refusal_is_an_error_with_its_bytes() {
        let error = answered_with([5, 7, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap_err();
        assert!(error.to_string().contains(r"\x05\x07"), "{error}");
    }

    #[test]
    fn a_datagram_names_its_target() {
        let header = header("127.0.0.9:258".parse().unwrap());
        assert_eq!(header, [0, 0, 0, 1, 127, 0, 0, 9, 1, 2]);
    }
}
