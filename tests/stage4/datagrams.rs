//! Datagram peers for the tests: a client, an echo, and a proxy that takes datagrams.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use harness::{PATIENCE, eventually, fail, scaled};
use socket2::{Domain, Socket, Type};

use crate::support::Proxy;

/// The largest payload of a datagram over IPv4: 65,535 bytes without the headers of IP and UDP.
pub(crate) const LARGEST: usize = 65_507;

/// A time in which a datagram that is on its way has surely arrived.
const SILENCE: Duration = Duration::from_millis(150);

/// A socket for datagrams, with deadlines.
#[derive(Debug)]
pub(crate) struct Datagrams(UdpSocket);

impl Datagrams {
    /// Opens a socket on 127.0.0.1.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1")
    }

    /// Opens a socket on an address.
    #[track_caller]
    pub(crate) fn at(ip: &str) -> Self {
        let socket = UdpSocket::bind((ip, 0));
        let socket = socket.unwrap_or_else(|error| fail(format!("no socket on {ip}: {error}")));
        socket
            .set_read_timeout(Some(scaled(PATIENCE)))
            .expect("a deadline");
        Self(socket)
    }

    /// Returns the socket's address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    /// Sends a datagram.
    #[track_caller]
    pub(crate) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let sent = self.0.send_to(bytes, to);
        let sent = sent.unwrap_or_else(|error| fail(format!("cannot send to {to}: {error}")));
        assert_eq!(sent, bytes.len());
    }

    /// Waits for a datagram, and returns it with its sender.
    #[track_caller]
    pub(crate) fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut bytes = vec![0; LARGEST + 1];
        match self.0.recv_from(&mut bytes) {
            Ok((length, sender)) => {
                bytes.truncate(length);
                (bytes, sender)
            }
            Err(error) => fail(format!("{} got no datagram: {error}", self.addr())),
        }
    }

    /// Checks that the next datagram has these bytes and this sender.
    #[track_caller]
    pub(crate) fn expect(&self, from: SocketAddr, bytes: &[u8]) {
        let (received, sender) = self.receive();
        harness::expect_bytes("a datagram", bytes, &received);
        assert_eq!(sender, from, "the sender");
    }

    /// Sends a datagram and checks that it comes back from where it was sent to.
    #[track_caller]
    pub(crate) fn echoes(&self, through: SocketAddr, bytes: &[u8]) {
        self.send(through, bytes);
        self.expect(through, bytes);
    }

    /// Returns whether the next datagram arrives soon and has these bytes.
    pub(crate) fn receives_soon(&self, bytes: &[u8]) -> bool {
        self.0
            .set_read_timeout(Some(scaled(SILENCE)))
            .expect("a deadline");
        let mut received = vec![0; LARGEST + 1];
        let answer = self.0.recv_from(&mut received);
        self.0
            .set_read_timeout(Some(scaled(PATIENCE)))
            .expect("a deadline");
        answer.is_ok_and(|(length, _)| &received[..length] == bytes)
    }

    /// Checks that no datagram arrives for a while.
    #[track_caller]
    pub(crate) fn expect_nothing(&self) {
        self.0
            .set_read_timeout(Some(scaled(SILENCE)))
            .expect("a deadline");
        let received = self.0.recv_from(&mut [0; 64]);
        self.0
            .set_read_timeout(Some(scaled(PATIENCE)))
            .expect("a deadline");
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => fail(format!("the socket is broken: {error}")),
            Ok((length, sender)) => fail(format!("{length} bytes have come from {sender}")),
        }
    }
}

/// Sends every datagram back to its sender.
#[derive(Debug)]
pub(crate) struct UdpEcho {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpEcho {
    /// Starts an echo on 127.0.0.1.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1")
    }

    /// Starts an echo on an address.
    #[track_caller]
    pub(crate) fn at(ip: &str) -> Self {
        Self::of_at_most(LARGEST, ip)
    }

    /// Starts one that sends only datagrams of at most so many bytes back, and receives all of them.
    #[track_caller]
    pub(crate) fn of_at_most(most: usize, ip: &str) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a deadline");
        let addr = socket.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; LARGEST + 1];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, sender)) = socket.recv_from(&mut bytes)
                    && length <= most
                {
                    let _ = socket.send_to(&bytes[..length], sender);
                }
            }
        });
        Self {
            addr,
            stop,
            thread: Some(thread),
        }
    }

    /// Returns where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for UdpEcho {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A port that is closed for everybody's datagrams, and stays so. It belongs to a socket that is connected to itself: the kernel
/// gives it datagrams of no other sender, and gives its port to no other socket. A port that was only freed would soon be
/// that of a flow: the flows of other tests' proxies are bound to any address, a thousand at a time.
#[derive(Debug)]
pub(crate) struct ClosedPort(UdpSocket);

impl ClosedPort {
    /// Closes a port of 127.0.0.1.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let closed = Self(sharing(([127, 0, 0, 1], 0).into()));
        closed.0.connect(closed.addr()).expect("a connection");
        closed
    }

    /// Returns its address, to which datagrams are refused.
    #[track_caller]
    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    /// Opens it: returns a socket that gets every datagram.
    #[track_caller]
    pub(crate) fn open(self) -> UdpSocket {
        sharing(self.addr())
    }
}

/// Binds a socket to an address that it may share with others which say the same (`SO_REUSEPORT`).
#[track_caller]
fn sharing(address: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("an option");
    socket.bind(&address.into()).expect("the address");
    socket.into()
}

/// Waits until a counter of dropped datagrams has a value.
#[track_caller]
pub(crate) fn wait_for_dropped(proxy: &Proxy, reason: &str, count: f64) {
    let name = format!("proxy_udp_dropped_total{{reason=\"{reason}\"}}");
    proxy.wait_for_metric(&name, count);
}

/// Sends a datagram again and again until the proxy has counted one as dropped. A single one may be lost, or the ICMP message
/// about it.
#[track_caller]
pub(crate) fn send_until_dropped(client: &Datagrams, proxy: &Proxy, bytes: &[u8], reason: &str) {
    let name = format!("proxy_udp_dropped_total{{reason=\"{reason}\"}}");
    let what = format!("{name} is counted");
    eventually(&what, PATIENCE, || {
        client.send(proxy.addr(), bytes);
        proxy.metrics().get(&name).is_some_and(|&count| count > 0.0)
    });
}
