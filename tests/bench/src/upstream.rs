//! The server behind the proxies: one thread, one epoll loop, four services.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use nix::libc;
use nix::sys::epoll::EpollFlags;
use nix::sys::eventfd::EventFd;
use socket2::{Domain, Protocol, Socket, Type};

use crate::http::{HeadCounter, RESPONSE};
use crate::load::Poll;

/// The behaviour of the upstream towards its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Sends back what it gets.
    Echo,
    /// Answers each HTTP/1.1 request that has no body.
    Http,
    /// Reads and counts.
    Sink,
    /// Never reads.
    Ignore,
}

/// A running upstream; dropping it ends its thread and closes its connections.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: EventFd,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    ended: AtomicU64,
    received: AtomicU64,
}

impl Upstream {
    /// Starts the service on a port of its own; the thread stays on the core of its starter.
    pub(crate) fn start(service: Service) -> io::Result<Self> {
        let listener = listen(service)?;
        let address = listener
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::Unsupported)?;
        let counters = Arc::new(Counters::default());
        let stop = EventFd::new()?;
        let server = Server::new(listener, service, Arc::clone(&counters), &stop)?;
        let thread = thread::Builder::new()
            .name("upstream".into())
            .spawn(|| server.run())?;
        Ok(Self {
            address,
            counters,
            stop,
            thread: Some(thread),
        })
    }

    /// Returns the address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of bytes that the sink has read so far.
    pub(crate) fn received(&self) -> u64 {
        self.counters.received.load(Ordering::Relaxed)
    }

    /// Returns the number of connections accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.counters.accepted.load(Ordering::Relaxed)
    }

    /// Returns the number of connections that are open now.
    pub(crate) fn open(&self) -> u64 {
        let ended = self.counters.ended.load(Ordering::Acquire);
        self.accepted().saturating_sub(ended)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // An error of the thread has already appeared as a failed measurement.
        let _ = self.stop.write(1);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Creates a listener that never makes a proxy wait, with `TCP_NODELAY` for all that it accepts.
fn listen(service: Service) -> io::Result<Socket> {
    const BACKLOG: i32 = 4096;
    const SMALL_BUFFER: usize = 64 * 1024;
    let socket = Socket::new(
        Domain::IPV4,
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_tcp_nodelay(true)?;
    if service == Service::Ignore {
        // Otherwise the kernel buffers megabytes for each session before it stalls.
        socket.set_recv_buffer_size(SMALL_BUFFER)?;
    }
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

const LISTENER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;
const BUFFER_BYTES: usize = 64 * 1024;
const SINK_BYTES: usize = 1024 * 1024;

struct Server {
    poll: Poll,
    listener: Socket,
    service: Service,
    counters: Arc<Counters>,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
    untouched: Vec<MaybeUninit<u8>>,
}

struct Client {
    socket: Socket,
    heads: HeadCounter,
}

impl Server {
    fn new(
        listener: Socket,
        service: Service,
        counters: Arc<Counters>,
        stop: &EventFd,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.add(&listener, LISTENER, EpollFlags::EPOLLIN)?;
        poll.add(stop, STOP, EpollFlags::EPOLLIN)?;
        Ok(Self {
            poll,
            listener,
            service,
            counters,
            clients: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            untouched: vec![MaybeUninit::uninit(); SINK_BYTES],
        })
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            for index in 0..self.poll.wait(None)? {
                match self.poll.token(index) {
                    STOP => return Ok(()),
                    LISTENER => self.accept()?,
                    token => self.serve(usize::try_from(token).map_err(io::Error::other)?),
                }
            }
        }
    }

    /// Accepts all pending connections: `accept4(2)`.
    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self
                .listener
                .accept4(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)
            {
                Ok((socket, _)) => self.attach(socket)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn attach(&mut self, socket: Socket) -> io::Result<()> {
        let slot = self.free.pop().unwrap_or(self.clients.len());
        let interest = match self.service {
            Service::Ignore => EpollFlags::EPOLLRDHUP,
            Service::Echo | Service::Http | Service::Sink => EpollFlags::EPOLLIN,
        };
        self.poll.add(&socket, slot as u64, interest)?;
        let client = Some(Client {
            socket,
            heads: HeadCounter::default(),
        });
        match self.clients.get_mut(slot) {
            Some(place) => *place = client,
            None => self.clients.push(client),
        }
        self.counters.accepted.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Reads once and answers; drops the client at its end or its first error.
    fn serve(&mut self, slot: usize) {
        let Some(client) = self.clients.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let open = match self.service {
            Service::Echo => client.echo(&mut self.buffer),
            Service::Http => client.answer(&mut self.buffer),
            Service::Sink => client.discard(&mut self.untouched, &self.counters),
            Service::Ignore => Ok(false),
        };
        let wait = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        if !open.unwrap_or_else(|error| wait(&error)) {
            self.clients[slot] = None;
            self.free.push(slot);
            self.counters.ended.fetch_add(1, Ordering::Release);
        }
    }
}

/// Serves a client once; returns whether it is still connected.
impl Client {
    fn echo(&self, buffer: &mut [u8]) -> io::Result<bool> {
        let count = (&self.socket).read(buffer)?;
        // The answer fits into the socket's buffer, because a client sends its next request only after it.
        (&self.socket).write_all(&buffer[..count])?;
        Ok(count > 0)
    }

    fn answer(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let count = (&self.socket).read(buffer)?;
        for _ in 0..self.heads.take(&buffer[..count]) {
            (&self.socket).write_all(RESPONSE)?;
        }
        Ok(count > 0)
    }

    /// Reads without copying: `MSG_TRUNC` in `tcp(7)`. The sink shall not be the bottleneck.
    fn discard(&self, room: &mut [MaybeUninit<u8>], counters: &Counters) -> io::Result<bool> {
        let count = self.socket.recv_with_flags(room, libc::MSG_TRUNC)?;
        counters.received.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count > 0)
    }
}
