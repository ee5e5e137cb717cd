//! The naive proxy, as the document that the course began with has it, and with its faults; the real one is in `worker.rs`.
//!
//! ```text
//!              conn_sock                upstream_sock
//!   client ◀──────────────▶ naive-proxy ◀──────────────▶ upstream server
//!               route_table[row] = [conn_sock, upstream_sock]
//! ```
//!
//! Functions, arrays and their wiring are the document's: read from [`NaiveProxy::loop_run`] down.
//! It serves a browser in front of a file server. Its faults are kept on purpose:
//!
//! 1. Sending blocks until everything is sent, so one client that does not read freezes all others.
//! 2. A row holds two numbers, and the kernel gives the number of a closed socket to the next one
//!    that opens. The old row then names another client's socket, which gets the wrong bytes.
//! 3. An end is not passed on: when one side closes, the other is never told. So a client that
//!    only ends its input (`shutdown(2)`) loses the answer.
//! 4. Connecting to the upstream blocks inside the loop, so all clients wait for it.
//! 5. Rows are never freed: after `MAX_SOCKS` clients, counted from the start, it serves no more.
//! 6. Out of descriptors, `accept` fails, the event is reported again at once, and the loop spins.
//!
//! The document leaves one thing open that decides whether the proxy works at all: see `newest`.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::Socket;
use stage1_server::ListenOptions;
use tracing::{debug, info, warn};

/// Length of every array: the most rows, and one more than the highest descriptor number.
pub const MAX_SOCKS: usize = 1024;
const MAX_EVENTS: usize = 64;
const BUFF_SIZE: usize = 16 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The global variables of the document, in one place.
#[derive(Debug)]
pub struct NaiveProxy {
    epoll: Epoll,
    listen_sock: Socket,
    upstream_addrs: Vec<SocketAddr>,
    /// Owns each socket, at the place of its number; setting a place to `None` is `close(fd)`.
    sockets: [Option<Socket>; MAX_SOCKS],
    conn_socks: [RawFd; MAX_SOCKS],
    conn_socks_size: usize,
    upstream_socks: [RawFd; MAX_SOCKS],
    upstream_socks_size: usize,
    route_table: [[RawFd; 2]; MAX_SOCKS],
    route_table_size: usize,
}

/// Creates the epoll instance that every socket is attached to (`epoll_create1(2)`).
///
/// # Errors
///
/// Fails if the process may not open another descriptor.
pub fn create_loop() -> io::Result<Epoll> {
    Ok(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?)
}

/// Adds a socket to the loop; each of its events carries its number (`epoll_ctl(2)`).
///
/// # Errors
///
/// Fails if the kernel is out of memory or watches.
pub fn loop_attach(epoll: &Epoll, sock: &Socket, events: EpollFlags) -> io::Result<()> {
    let number = u64::from(sock.as_raw_fd().cast_unsigned());
    Ok(epoll.add(sock, EpollEvent::new(events, number))?)
}

/// Creates the listening socket, as in stage 1.
///
/// # Errors
///
/// Fails if the address is already in use, or is none of this machine.
pub fn create_server(address: SocketAddr) -> io::Result<Socket> {
    stage1_server::listen(address, &ListenOptions::default())
}

impl NaiveProxy {
    /// Creates a proxy with an empty route table and a loop that watches the listening socket.
    ///
    /// # Errors
    ///
    /// Fails if the listening socket cannot be attached.
    pub fn new(epoll: Epoll, listen_sock: Socket, upstream: Vec<SocketAddr>) -> io::Result<Self> {
        loop_attach(&epoll, &listen_sock, EpollFlags::EPOLLIN)?;
        Ok(NaiveProxy {
            epoll,
            listen_sock,
            upstream_addrs: upstream,
            sockets: [const { None }; MAX_SOCKS],
            conn_socks: [0; MAX_SOCKS],
            conn_socks_size: 0,
            upstream_socks: [0; MAX_SOCKS],
            upstream_socks_size: 0,
            route_table: [[0; 2]; MAX_SOCKS],
            route_table_size: 0,
        })
    }

    /// Waits for events and handles them, forever.
    ///
    /// # Errors
    ///
    /// Fails if `epoll_wait(2)` does; no peer can end the loop.
    pub fn loop_run(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); MAX_EVENTS];
        loop {
            let ready = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(Errno::EINTR) => 0, // a signal, such as SIGCONT, is not an error
                result => result?,
            };
            for event in &events[..ready] {
                let fd = number_of(event);
                if fd == self.listen_sock.as_raw_fd() {
                    self.accept_connection();
                } else if self.is_conn_sock(fd) {
                    self.handle_client(fd);
                } else if self.is_upstream_sock(fd) {
                    self.handle_upstream(fd);
                }
            }
        }
    }

    /// Accepts a client, connects to the upstream server for it, and adds both as a row.
    fn accept_connection(&mut self) {
        match self.accept_pair() {
            Ok((conn_sock, upstream_sock)) => self.add_row(conn_sock, upstream_sock),
            Err(error) => warn!("no row for a client: {error}"),
        }
    }

    /// Opens both sockets before the row is added, so that no error leaves half a row.
    fn accept_pair(&self) -> io::Result<(Socket, Socket)> {
        let (conn_sock, _peer) = self.listen_sock.accept()?;
        self.check_room(&conn_sock)?;
        let upstream_sock = self.connect_upstream()?;
        self.check_room(&upstream_sock)?;
        loop_attach(&self.epoll, &conn_sock, EpollFlags::EPOLLIN)?;
        loop_attach(&self.epoll, &upstream_sock, EpollFlags::EPOLLIN)?;
        Ok((conn_sock, upstream_sock)) // on every error above, the drop closes what was opened
    }

    /// Fails if the socket does not fit into the arrays; the caller then closes the client at once.
    fn check_room(&self, sock: &Socket) -> io::Result<()> {
        if self.route_table_size < MAX_SOCKS && place(sock.as_raw_fd()) < MAX_SOCKS {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "the route table is full, at {MAX_SOCKS}"
        )))
    }

    fn add_row(&mut self, conn_sock: Socket, upstream_sock: Socket) {
        let (conn_sock_fd, upstream_sock_fd) = (conn_sock.as_raw_fd(), upstream_sock.as_raw_fd());
        self.sockets[place(conn_sock_fd)] = Some(conn_sock);
        self.sockets[place(upstream_sock_fd)] = Some(upstream_sock);

        self.conn_socks[self.conn_socks_size] = conn_sock_fd;
        self.conn_socks_size += 1;
        self.upstream_socks[self.upstream_socks_size] = upstream_sock_fd;
        self.upstream_socks_size += 1;
        self.route_table[self.route_table_size][0] = conn_sock_fd;
        self.route_table[self.route_table_size][1] = upstream_sock_fd;
        self.route_table_size += 1;
        info!(
            "row {}: [{conn_sock_fd}, {upstream_sock_fd}]",
            self.route_table_size - 1
        );
    }

    /// Connects to the upstream server with stage 2's client. It blocks, and every client waits.
    fn connect_upstream(&self) -> io::Result<Socket> {
        stage2_client::connect(&self.upstream_addrs, CONNECT_TIMEOUT)
    }

    /// Receives one message from a client and sends it to the upstream socket in its row.
    fn handle_client(&mut self, conn_sock_fd: RawFd) {
        let mut buffer = [0; BUFF_SIZE];
        let read_n = self.receive(conn_sock_fd, &mut buffer);
        if read_n == 0 {
            self.close(conn_sock_fd); // and the upstream server is not told
            return;
        }
        if let Some(matching_upstream_sock) = self.find_matching_upstream(conn_sock_fd) {
            self.send_message(matching_upstream_sock, &buffer[..read_n]);
        }
    }

    /// Receives one message from the upstream server and sends it to the client in its row.
    fn handle_upstream(&mut self, upstream_sock_fd: RawFd) {
        let mut buffer = [0; BUFF_SIZE];
        let read_n = self.receive(upstream_sock_fd, &mut buffer);
        if read_n == 0 {
            self.close(upstream_sock_fd); // and the client is not told
            return;
        }
        if let Some(matching_conn_sock) = self.find_matching_conn(upstream_sock_fd) {
            self.send_message(matching_conn_sock, &buffer[..read_n]);
        }
    }

    fn find_matching_upstream(&self, conn_sock_fd: RawFd) -> Option<RawFd> {
        let rows = &self.route_table[..self.route_table_size];
        let row = rows.iter().rfind(|row| row[0] == conn_sock_fd)?;
        Some(row[1])
    }

    fn find_matching_conn(&self, upstream_sock_fd: RawFd) -> Option<RawFd> {
        let rows = &self.route_table[..self.route_table_size];
        let row = rows.iter().rfind(|row| row[1] == upstream_sock_fd)?;
        Some(row[0])
    }

    /// Returns whether the newest socket with this number is a client's: one number can have been
    /// both, one after the other.
    fn is_conn_sock(&self, fd: RawFd) -> bool {
        newest(self.conns(), fd) > newest(self.upstreams(), fd)
    }

    /// Returns whether the newest socket with this number is an upstream one.
    fn is_upstream_sock(&self, fd: RawFd) -> bool {
        newest(self.upstreams(), fd) > newest(self.conns(), fd)
    }

    fn conns(&self) -> &[RawFd] {
        &self.conn_socks[..self.conn_socks_size]
    }

    fn upstreams(&self) -> &[RawFd] {
        &self.upstream_socks[..self.upstream_socks_size]
    }

    /// Returns the number of bytes read; 0 if the peer closed the connection or an error occurred.
    fn receive(&self, fd: RawFd, buffer: &mut [u8]) -> usize {
        let Some(mut sock) = self.socket(fd) else {
            return 0;
        };
        sock.read(buffer).unwrap_or(0)
    }

    /// Sends until everything is sent. No other client is served meanwhile: the first fault.
    fn send_message(&self, fd: RawFd, message: &[u8]) {
        let Some(sock) = self.socket(fd) else {
            return; // the row is old and its number free, so the bytes are dropped
        };
        let mut bytes_written = 0;
        while bytes_written < message.len() {
            match sock.send(&message[bytes_written..]) {
                Ok(n) => bytes_written += n,
                // The document adds the -1 and loops forever; a broken socket gets its own event.
                Err(error) => return debug!("{fd} takes no more bytes: {error}"),
            }
        }
    }

    /// Closes the socket. Its number stays in the arrays, as in the document: the second fault.
    fn close(&mut self, fd: RawFd) {
        if let Some(sock) = self.sockets.get_mut(place(fd)) {
            *sock = None;
        }
    }

    fn socket(&self, fd: RawFd) -> Option<&Socket> {
        self.sockets.get(place(fd))?.as_ref()
    }
}

/// Finds the last entry with a number in one of the arrays.
///
/// The document says "cycle through", but not from which end. From the front, the proxy hangs in
/// everyday use: the file server closes first, the next client gets the number of that socket, and
/// from then on the oldest row answers for a number that has had two owners. A search from the back
/// always finds the row of the socket that is open now, because one accept fills the same place of
/// all three arrays, in order. Only the other number of an old row is still wrong.
fn newest(socks: &[RawFd], fd: RawFd) -> Option<usize> {
    socks.iter().rposition(|&sock| sock == fd)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "loop_attach stored an int, not a u64"
)]
fn number_of(event: &EpollEvent) -> RawFd {
    event.data() as RawFd
}

/// Returns the index of a number; for an impossible number, one beyond the arrays.
fn place(fd: RawFd) -> usize {
    usize::try_from(fd).unwrap_or(MAX_SOCKS)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    /// A proxy on a free port without a running loop, with its upstream: a test calls each step.
    fn at_rest() -> (NaiveProxy, SocketAddr, TcpListener) {
        let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listen_sock = create_server((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listen_sock.local_addr().unwrap().as_socket().unwrap();
        let upstream_addrs = vec![upstream.local_addr().unwrap()];
        let proxy = NaiveProxy::new(create_loop().unwrap(), listen_sock, upstream_addrs).unwrap();
        (proxy, address, upstream)
    }

    #[test]
    fn milestone_1_one_client_is_one_row_and_one_upstream_accept() {
        let (mut proxy, address, upstream) = at_rest();
        let client = TcpStream::connect(address).unwrap();
        proxy.accept_connection();
        let (mut arrived, _) = upstream.accept().unwrap();

        assert_eq!(proxy.route_table_size, 1);
        let [conn_sock, upstream_sock] = proxy.route_table[0];
        let peer_of = |fd| proxy.socket(fd).unwrap().peer_addr().unwrap().as_socket();
        assert_eq!(peer_of(conn_sock), client.local_addr().ok());
        assert_eq!(peer_of(upstream_sock), arrived.local_addr().ok());
        assert!(proxy.is_conn_sock(conn_sock) && !proxy.is_upstream_sock(conn_sock));
        assert!(proxy.is_upstream_sock(upstream_sock) && !proxy.is_conn_sock(upstream_sock));

        arrived.set_nonblocking(true).unwrap();
        let no_bytes = arrived.read(&mut [0; 1]).unwrap_err();
        assert_eq!(no_bytes.kind(), io::ErrorKind::WouldBlock);
        upstream.set_nonblocking(true).unwrap();
        assert!(upstream.accept().is_err(), "one accept is enough");
    }

    #[test]
    fn a_closed_number_stays_in_its_row() {
        let (mut proxy, address, _upstream) = at_rest();
        let _client = TcpStream::connect(address).unwrap();
        proxy.accept_connection();
        let [conn_sock, upstream_sock] = proxy.route_table[0];
        proxy.close(conn_sock);
        assert!(proxy.socket(conn_sock).is_none());
        assert_eq!(proxy.find_matching_conn(upstream_sock), Some(conn_sock));
    }

    #[test]
    fn the_newest_row_answers_for_a_number_that_changed_sides() {
        let (mut proxy, _, _upstream) = at_rest();
        for [conn_sock, upstream_sock] in [[6, 7], [7, 8], [6, 9], [8, 10]] {
            proxy.conn_socks[proxy.conn_socks_size] = conn_sock;
            proxy.upstream_socks[proxy.upstream_socks_size] = upstream_sock;
            proxy.route_table[proxy.route_table_size] = [conn_sock, upstream_sock];
            proxy.conn_socks_size += 1;
            proxy.upstream_socks_size += 1;
            proxy.route_table_size += 1;
        }
        assert_eq!(proxy.find_matching_upstream(6), Some(9)); // from the front: 7, a client
        assert!(proxy.is_conn_sock(7) && !proxy.is_upstream_sock(7));
        assert!(proxy.is_conn_sock(8) && !proxy.is_upstream_sock(8));
        assert!(!proxy.is_conn_sock(11) && !proxy.is_upstream_sock(11));
    }

    #[test]
    fn the_last_row_is_taken_and_then_clients_are_refused() {
        let (mut proxy, address, _upstream) = at_rest();
        let _client = TcpStream::connect(address).unwrap();
        let (conn_sock, _) = proxy.listen_sock.accept().unwrap();
        proxy.route_table_size = MAX_SOCKS - 1;
        assert!(proxy.check_room(&conn_sock).is_ok());
        proxy.route_table_size = MAX_SOCKS;
        assert!(proxy.check_room(&conn_sock).is_err());
    }
}
