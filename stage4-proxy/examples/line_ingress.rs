//! An ingress of your own: the client's first line names the target.
//!
//! ```text
//! client:  example.org:80\n                      then the bytes for the target
//! proxy:   ok\n                                  then the bytes of the target
//!          error: connection refused\n           and the end
//! ```
//!
//! Nothing here reads, writes, resolves, connects or keeps the time: an [`Ingress`] is asked for a
//! [`Handshake`] for each client, and the handshake is shown bytes until it has a verdict. So an
//! ingress can be tested without a network, and it cannot block the event loop.
//!
//! ```console
//! $ cargo run -p stage4-proxy --example line_ingress -- 127.0.0.1:8080
//! listening on 127.0.0.1:8080
//! $ printf 'localhost:3000\nGET / HTTP/1.0\r\n\r\n' | nc 127.0.0.1 8080
//! ```
//!
//! The client chooses the target, so clients of this proxy can reach what the proxy can reach. It is an
//! example for loopback, and [`Policy::for_choosing`] refuses to start it on any other address.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use stage1_server::cli;
use stage2_client::{Prefer, Target};
use stage4_proxy::access::{Policy, PolicyError};
use stage4_proxy::ingress::{Client, Failure, Handshake, Ingress, Opening, Step};
use stage4_proxy::proxy_protocol::ProxyProtocol;
use stage4_proxy::resolve::Lookup;
use stage4_proxy::{Config, Limits, Proxy};

/// Bytes of the longest line: a name of 253 bytes, a colon, a port of 5 digits.
const MAX_LINE: usize = 259;

/// The ingress; it has nothing to configure.
#[derive(Debug)]
struct LineIngress;

impl Ingress for LineIngress {
    fn name(&self) -> &'static str {
        "line"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::new(LineHandshake))
    }
}

/// The handshake of one client; it has no state.
#[derive(Debug)]
struct LineHandshake;

impl Handshake for LineHandshake {
    fn advance(&mut self, input: &[u8]) -> Step {
        match input.iter().position(|&byte| byte == b'\n') {
            Some(end) if end <= MAX_LINE => decide(&input[..end]),
            None if input.len() <= MAX_LINE => Step::more(),
            Some(_) | None => Step::too_long(input.len()),
        }
    }

    fn connected(&mut self, _local: Option<SocketAddr>) -> Vec<u8> {
        b"ok\n".to_vec()
    }

    /// Every failure has its sentence here; a protocol with numbers matches on the enum, and on the
    /// [`ConnectError`](stage4_proxy::connect_error::ConnectError) in it.
    fn failed(&mut self, failure: &Failure<'_>) -> Vec<u8> {
        error_line(failure)
    }
}

/// Reads a complete line; the bytes behind it belong to the target.
fn decide(line: &[u8]) -> Step {
    let consumed = line.len() + 1;
    let Ok(text) = str::from_utf8(line) else {
        return refuse(consumed, "the line is not text");
    };
    match text.trim_end_matches('\r').parse::<Target>() {
        Ok(target) => Step::connect(consumed, target),
        Err(error) => refuse(consumed, &error.to_string()),
    }
}

fn refuse(consumed: usize, why: &str) -> Step {
    Step::refuse(consumed, error_line(&why), why)
}

fn error_line(why: &dyn Display) -> Vec<u8> {
    format!("error: {why}\n").into_bytes()
}

/// Everything but the ingress is the proxy's default.
///
/// # Errors
///
/// Fails on an address that other machines can reach, because they would choose what this one connects to.
fn config(listen: SocketAddr, lookup: Lookup, limits: Limits) -> Result<Config, PolicyError> {
    Ok(Config {
        listen: listen.into(),
        ingress: Arc::new(LineIngress),
        access: Policy::for_choosing(Some(listen), &[], &[], &[])?,
        proxy_protocol: ProxyProtocol::default(),
        chain: Vec::new(),
        lookup,
        threads: 1,
        udp: false,
        limits,
        inspect: None,
    })
}

fn main() -> ExitCode {
    cli::start_logging();
    cli::finish(run())
}

fn run() -> io::Result<()> {
    let listen = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listen = listen
        .parse()
        .map_err(|error| io::Error::other(format!("{listen:?} is not ADDR:PORT: {error}")))?;
    let lookup = Lookup::system(Prefer::default());
    let config = config(listen, lookup, Limits::default()).map_err(io::Error::other)?;
    let proxy = Proxy::start(&config)?;
    cli::exit_on_signals()?;
    cli::announce(proxy.address());
    proxy.wait()
}

/// `cargo test -p stage4-proxy --example line_ingress`
#[cfg(test)]
mod tests {
    use super::*;
    use stage4_proxy::ingress::Verdict;

    use std::time::Duration;

    use harness::{Peer, Scripted};
    use socket2::{Domain, Socket, Type};
    use stage1_server::local_addr;
    use stage2_client::Host;

    /// The proxy with the example's ingress; it knows the name `somewhere` and no other.
    struct Running {
        proxy: Option<Proxy>,
    }

    impl Running {
        fn start(limits: Limits) -> Self {
            let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
            let config = config(anywhere, Lookup::new(look_up), limits).unwrap();
            let proxy = Some(Proxy::start(&config).unwrap());
            Self { proxy }
        }

        /// Connects a client that begins with `bytes`.
        fn client(&self, bytes: impl AsRef<[u8]>) -> Peer {
            let client = Peer::connect(self.proxy.as_ref().unwrap().local_addr());
            client.send(bytes.as_ref());
            client
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            if let Some(proxy) = self.proxy.take() {
                proxy.control().stop();
                let ended = proxy.wait();
                assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
            }
        }
    }

    fn look_up(target: &Target) -> io::Result<Vec<SocketAddr>> {
        if target.host == Host::Name("somewhere".to_owned()) {
            return Ok(vec![([127, 0, 0, 1], target.port).into()]);
        }
        Err(io::Error::other("no such name"))
    }

    fn assert_refused(first_bytes: impl AsRef<[u8]>, answer: &str) {
        let running = Running::start(Limits::default());
        let client = running.client(first_bytes);
        assert_eq!(String::from_utf8_lossy(&client.read_to_end()), answer);
    }

    #[test]
    fn a_target_is_reached_by_name_and_by_address() {
        let echo = Scripted::echo();
        let running = Running::start(Limits::default());
        for host in ["somewhere", "127.0.0.1"] {
            let client = running.client(format!("{host}:{}\n", echo.addr().port()));
            client.expect(b"ok\n");
            client.send(b"are you there?");
            client.expect(b"are you there?");
        }
    }

    #[test]
    fn bytes_behind_the_line_are_the_target_s() {
        let echo = Scripted::echo();
        let running = Running::start(Limits::default());
        let client = running.client(format!("{}\r\nfirst bytes\n", echo.addr()));
        client.expect(b"ok\nfirst bytes\n");
        client.half_close();
        client.expect_eof();
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        assert_refused("nowhere:80\n", "error: name resolution failed\n");
    }

    #[test]
    fn a_target_that_refuses_is_an_error() {
        // Bound and not listening, so that no other process gets the port, and connecting is refused.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&anywhere.into()).unwrap();
        let address = local_addr(&socket).unwrap();
        assert_refused(format!("{address}\n"), "error: connection refused\n");
    }

    #[test]
    fn the_proxy_itself_is_no_target() {
        let running = Running::start(Limits::default());
        let proxy = running.proxy.as_ref().unwrap().local_addr();
        let client = running.client(format!("{proxy}\n"));
        assert_eq!(client.read_to_end(), b"error: not allowed\n");
    }

    #[test]
    fn garbage_is_an_error() {
        assert_refused(b"\xff\x00\n", "error: the line is not text\n");
        let no_port = "error: the target \"GET / HTTP/1.1\" has no port: \
                       write HOST:PORT, for example localhost:8080\n";
        assert_refused("GET / HTTP/1.1\r\n", no_port);
    }

    #[test]
    fn a_line_without_end_is_an_error() {
        assert_refused([b'x'; 100_000], "error: the handshake is too long\n");
    }

    #[test]
    fn the_longest_line_is_not_too_long() {
        let line = |length| [vec![b'x'; length], b"\n".to_vec()].concat();
        let step = |length| LineHandshake.advance(&line(length)).verdict;
        assert!(!matches!(step(MAX_LINE), Verdict::TooLong));
        assert!(matches!(step(MAX_LINE + 1), Verdict::TooLong));
    }

    #[test]
    fn a_silent_client_is_told_that_its_time_is_over() {
        let limits = Limits {
            handshake_timeout: Duration::from_millis(500),
            ..Limits::default()
        };
        let running = Running::start(limits);
        let client = running.client("somewh");
        let answer = client.read_to_end();
        assert_eq!(
            String::from_utf8_lossy(&answer),
            "error: the handshake timed out\n"
        );
    }
}
