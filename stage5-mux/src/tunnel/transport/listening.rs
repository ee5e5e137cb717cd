//! Waiting for a link, or for clients: the socket that listens, of each kind.

use std::io;

use socket2::Socket;
use stage1_server::{Keepalive, ListenOptions, listen, local_addr};
use stage4_proxy::address::ListenAddress;
use stage4_proxy::unix::{self, SocketFile};

use crate::tunnel::transport::{Transport, sctp};

/// A socket that waits for the link, or for clients.
#[derive(Debug)]
pub(in crate::tunnel) struct Waiting {
    pub(in crate::tunnel) socket: Socket,
    pub(in crate::tunnel) address: ListenAddress,
    /// The file of a Unix socket, which is removed when this is dropped.
    pub(in crate::tunnel) file: Option<SocketFile>,
}

/// Listens, if the transport is one that waits.
///
/// # Errors
///
/// Fails with one sentence if the address is in use, or cannot be bound for another reason.
pub(in crate::tunnel) fn listen_for_link(
    transport: &Transport,
    keepalive: Option<Keepalive>,
) -> io::Result<Option<Waiting>> {
    match transport {
        Transport::TcpListen(address) => {
            let address = ListenAddress::Internet(*address);
            listen_at(&address, keepalive).map(Some)
        }
        Transport::SctpListen(address) => internet(sctp::listen(*address)?).map(Some),
        Transport::UnixListen(path) => {
            let address = ListenAddress::Unix(path.clone());
            listen_at(&address, keepalive).map(Some)
        }
        Transport::Tcp(_)
        | Transport::Unix(_)
        | Transport::Sctp(_)
        | Transport::Stdio
        | Transport::Exec(_) => Ok(None),
    }
}

/// Listens for TCP connections, or at a Unix socket.
///
/// # Errors
///
/// Fails with one sentence if the address is in use, or cannot be bound for another reason.
pub(in crate::tunnel) fn listen_at(
    address: &ListenAddress,
    keepalive: Option<Keepalive>,
) -> io::Result<Waiting> {
    match address {
        ListenAddress::Internet(address) => {
            let options = ListenOptions {
                nonblocking: true,
                nodelay: true,
                keepalive,
                ..ListenOptions::default()
            };
            internet(listen(*address, &options)?)
        }
        ListenAddress::Unix(path) => {
            let (socket, file) = unix::listen(path)?;
            Ok(Waiting {
                socket,
                address: address.clone(),
                file: Some(file),
            })
        }
    }
}

fn internet(socket: Socket) -> io::Result<Waiting> {
    Ok(Waiting {
        address: local_addr(&socket)?.into(),
        socket,
        file: None,
    })
}
