//! Shared by the tests of the ways through a tunnel: both ends, and clients of each ingress by hand.

use std::net::{IpAddr, SocketAddr};

use harness::{Client, PATIENCE, Program, Rng, Server, eventually, fail};

use crate::support::program;

/// The reply to a CONNECT that has opened a tunnel.
pub(crate) const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Both ends of a tunnel whose clients choose their targets.
#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) client: Server,
    pub(crate) server: Server,
    addresses: Vec<SocketAddr>,
}

impl Ways {
    /// Starts both ends: an ingress for each name, and further arguments for the client and for the server.
    #[track_caller]
    pub(crate) fn start(ingresses: &[&str], client: &[&str], server: &[&str]) -> Self {
        let server = server_at("127.0.0.1:0", server);
        let client = client_of(server.addr(), ingresses, client);
        client.wait_for_stderr("the link is up");
        server.wait_for_stderr("the link is up");
        let addresses = announced(&client, ingresses.len());
        Self {
            client,
            server,
            addresses,
        }
    }

    /// Returns where the ingress with this place listens.
    pub(crate) fn at(&self, place: usize) -> SocketAddr {
        self.addresses[place]
    }
}

/// Starts the server's end, which waits for the link at an address.
#[track_caller]
pub(crate) fn server_at(link: &str, arguments: &[&str]) -> Server {
    let via = format!("tcp-listen:{link}");
    let program = Program::new(program()).args(["server", "--via", &via]);
    program.args(arguments).env("RUST_LOG", "info").serve()
}

/// Starts the client's end.
#[track_caller]
pub(crate) fn client_of(link: SocketAddr, ingresses: &[&str], arguments: &[&str]) -> Server {
    let mut program = Program::new(program()).args(["client", "--via", &format!("tcp:{link}")]);
    for ingress in ingresses {
        program = program.args(["--listen", "127.0.0.1:0", "--ingress", ingress]);
    }
    program.args(arguments).env("RUST_LOG", "info").serve()
}

/// Returns the addresses of all `listening on` lines.
#[track_caller]
pub(crate) fn announced(server: &Server, count: usize) -> Vec<SocketAddr> {
    let read = || -> Vec<SocketAddr> {
        let text = String::from_utf8_lossy(&server.stdout()).into_owned();
        let lines = text.lines();
        let lines = lines.filter_map(|line| line.strip_prefix("listening on "));
        lines.filter_map(|address| address.parse().ok()).collect()
    };
    eventually("all addresses are announced", PATIENCE, || {
        read().len() >= count
    });
    let addresses = read();
    assert_eq!(addresses.len(), count, "one line for each listener");
    addresses
}

/// Encodes a SOCKS5 request for a connection to an address.
pub(crate) fn socks_address(target: SocketAddr) -> Vec<u8> {
    let ip = match target.ip() {
        IpAddr::V4(ip) => [&[1], &ip.octets()[..]].concat(),
        IpAddr::V6(ip) => [&[4], &ip.octets()[..]].concat(),
    };
    [&[5, 1, 0], &ip[..], &target.port().to_be_bytes()].concat()
}

/// Encodes a SOCKS5 request for a connection to a name.
pub(crate) fn socks_name(name: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a short name");
    [&[5, 1, 0, 3, length], name.as_bytes(), &port.to_be_bytes()].concat()
}

/// Connects to a SOCKS5 ingress, greets, sends a request, and returns the client with the code of the reply.
#[track_caller]
pub(crate) fn socks(ingress: SocketAddr, request: &[u8]) -> (Client, u8) {
    let client = Client::connect(ingress);
    client.send(&[5, 1, 0]);
    client.expect(&[5, 0]);
    client.send(request);
    let code = socks_reply(&client);
    (client, code)
}

/// Reads a SOCKS5 reply, and returns its code.
#[track_caller]
pub(crate) fn socks_reply(client: &Client) -> u8 {
    let head = client.read_exact(4);
    let length = if head[3] == 4 { 16 } else { 4 };
    let _ = client.read_exact(length + 2);
    assert_eq!((head[0], head[2]), (5, 0), "{head:?}");
    head[1]
}

/// Connects to an HTTP ingress and opens a tunnel through it.
#[track_caller]
pub(crate) fn connect(ingress: SocketAddr, target: SocketAddr) -> Client {
    let client = Client::connect(ingress);
    client.send(connect_to(target).as_bytes());
    client.expect(ESTABLISHED);
    client
}

/// Writes a CONNECT.
pub(crate) fn connect_to(target: impl std::fmt::Display) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
}

/// Sends a request that is refused, and returns the status with the body.
#[track_caller]
pub(crate) fn refused(ingress: SocketAddr, request: &str) -> (u16, String) {
    let client = Client::connect(ingress);
    client.send(request.as_bytes());
    let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    let Some((head, body)) = reply.split_once("\r\n\r\n") else {
        fail(format!("no reply with a head: {reply:?}"))
    };
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.unwrap_or_else(|| fail(format!("a reply without a status: {head}")));
    (code, body.to_owned())
}

/// Opens a connection to `target` through the ingress with this name.
#[track_caller]
pub(crate) fn through(name: &str, ingress: SocketAddr, target: SocketAddr) -> Client {
    match name {
        "socks5" => {
            let (client, code) = socks(ingress, &socks_address(target));
            assert_eq!(code, 0, "the reply of SOCKS5");
            client
        }
        "http" => connect(ingress, target),
        _ => Client::connect(ingress),
    }
}

/// Checks that a client is served by an echo.
#[track_caller]
pub(crate) fn echoes(client: &Client) {
    let nonce = Rng::for_test().nonce(24);
    client.send(&nonce);
    client.expect(&nonce);
}
