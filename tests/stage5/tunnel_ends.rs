//! Shared by the tests of the tunnel: both of its ends, running.

use std::fmt::Display;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use harness::{Client, Hand, PATIENCE, Peer, Program, Rng, Server, eventually};
use tempfile::NamedTempFile;

use crate::support::program;

/// Both wires.
pub(crate) const WIRES: [&str; 2] = ["yamux", "multiplex"];

/// Both ends of a tunnel.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) client: Server,
    pub(crate) server: Server,
}

/// Prepares the server's end on an address, for example of an earlier one.
pub(crate) fn server_program(
    link: impl Display,
    upstream: SocketAddr,
    arguments: &[&str],
) -> Program {
    let program = Program::new(program()).args(["server", "--upstream", &upstream.to_string()]);
    let program = program.args(["--via", &format!("tcp-listen:{link}")]);
    program.args(arguments).env("RUST_LOG", "info")
}

/// Starts the server's end on an address, for example of an earlier one.
#[track_caller]
pub(crate) fn server_on(link: impl Display, upstream: SocketAddr, arguments: &[&str]) -> Server {
    server_program(link, upstream, arguments).serve()
}

/// Starts a server's end, and connects a link to it that the test speaks itself.
#[track_caller]
pub(crate) fn server_by_hand(upstream: SocketAddr) -> (Server, Client) {
    let server = server_on("127.0.0.1:0", upstream, &[]);
    let link = Client::connect(server.addr());
    (server, link)
}

/// Starts a client's end whose link the test speaks itself; the link ends with the far end.
#[track_caller]
pub(crate) fn client_by_hand() -> (Server, Peer, Hand) {
    let far_end = Hand::start();
    let client = client_program(far_end.addr(), &[]).serve();
    let link = far_end.next();
    (client, link, far_end)
}

/// Prepares the client's end.
pub(crate) fn client_program(link: impl Display, arguments: &[&str]) -> Program {
    let client = Program::new(program()).args(["client", "--listen", "127.0.0.1:0"]);
    let client = client.args(["--via", &format!("tcp:{link}")]);
    client.args(arguments).env("RUST_LOG", "info")
}

impl Tunnel {
    /// Starts both ends with the same further arguments.
    #[track_caller]
    pub(crate) fn to(upstream: SocketAddr, arguments: &[&str]) -> Self {
        Self::logging("info", upstream, arguments)
    }

    /// Starts both ends with the same further arguments, and so much in their logs.
    #[track_caller]
    pub(crate) fn logging(filter: &str, upstream: SocketAddr, arguments: &[&str]) -> Self {
        let server = server_program("127.0.0.1:0", upstream, arguments);
        let server = server.env("RUST_LOG", filter).serve();
        let client = client_program(server.addr(), arguments);
        let client = client.env("RUST_LOG", filter).serve();
        client.wait_for_stderr("the link is up");
        server.wait_for_stderr("the link is up");
        Self { client, server }
    }

    /// Waits until a byte has come back from the upstream.
    #[track_caller]
    pub(crate) fn wait_until_it_carries(&self) {
        wait_until_it_carries(self.client.addr());
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.client.addr())
    }
}

/// Waits until a client of this address has got a byte back from an echoing upstream.
#[track_caller]
pub(crate) fn wait_until_it_carries(address: SocketAddr) {
    eventually("the tunnel carries clients again", PATIENCE, || {
        let carry = || -> io::Result<u8> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"x")?;
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            Ok(byte[0])
        };
        matches!(carry(), Ok(b'x'))
    });
}

/// Checks that bytes of this connection come back from an echoing upstream.
#[track_caller]
pub(crate) fn echoes(client: &Client) {
    let nonce = Rng::for_test().nonce(24);
    client.send(&nonce);
    client.expect(&nonce);
}

/// Writes a secret into a file that only its owner can read.
#[track_caller]
pub(crate) fn secret_file(content: &str) -> NamedTempFile {
    // Created with the permissions 0600 (`tempfile`).
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(content.as_bytes()).expect("room in it");
    file
}
