//! The server behind the proxies: one thread, one epoll loop, five services.

mod client;
pub(crate) mod tag;

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use nix::libc;
use nix::sys::epoll::EpollFlags;
use nix::sys::eventfd::EventFd;
use socket2::{Domain, Protocol, Socket, Type};

use crate::load::Poll;
use crate::upstream::client::Client;
use crate::upstream::tag::{SlowClock, TALLIES};

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
    /// Does what the first byte of a client says: see [`tag`].
    Tagged,
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
    tallies: [AtomicU64; TALLIES],
}

impl Upstream {
    /// Starts the service on a port of its own; the thread stays on the core of its starter.
    pub(crate) fn start(service: Service) -> io::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, service)
    }

    /// Starts the service at an address; the thread stays on the core and in the network of its starter.
    pub(crate) fn start_at(ip: Ipv4Addr, service: Service) -> io::Result<Self> {
        let listener = listen(ip, service)?;
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

    /// Returns the bytes of each tally so far.
    pub(crate) fn tallies(&self) -> [u64; TALLIES] {
        let count = |tally: &AtomicU64| tally.load(Ordering::Relaxed);
        self.counters.tallies.each_ref().map(count)
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
fn listen(ip: Ipv4Addr, service: Service) -> io::Result<Socket> {
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
    socket.bind(&SocketAddr::from((ip, 0)).into())?;
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
    /// The slots of slow readers, which no event announces.
    slow: Vec<usize>,
    clock: SlowClock,
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
            slow: Vec::new(),
            clock: SlowClock::new(),
        })
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            let limit = (!self.slow.is_empty()).then(|| self.clock.timeout());
            if limit.is_some() && self.clock.tick() {
                self.read_slowly();
            }
            for index in 0..self.poll.wait(limit)? {
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
            Service::Echo | Service::Http | Service::Sink | Service::Tagged => EpollFlags::EPOLLIN,
        };
        self.poll.add(&socket, slot as u64, interest)?;
        let client = Some(Client::new(socket));
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
            Service::Tagged => {
                client.do_as_it_says(&mut self.buffer, &mut self.untouched, &self.counters)
            }
        };
        let is_slow = client.is_slow();
        if !open.unwrap_or_else(|error| is_wait(&error)) {
            self.drop_client(slot);
        } else if is_slow && self.poll.remove(client.socket()).is_ok() {
            self.slow.push(slot);
        }
    }

    /// Reads a piece from each slow client.
    fn read_slowly(&mut self) {
        let slow = std::mem::take(&mut self.slow);
        for slot in slow {
            let Some(client) = self.clients.get_mut(slot).and_then(Option::as_mut) else {
                continue;
            };
            let room = &mut self.untouched[..SlowClock::PIECE];
            let open = client.count(room, &self.counters);
            if open.unwrap_or_else(|error| is_wait(&error)) {
                self.slow.push(slot);
            } else {
                self.drop_client(slot);
            }
        }
    }

    fn drop_client(&mut self, slot: usize) {
        self.clients[slot] = None;
        self.free.push(slot);
        self.counters.ended.fetch_add(1, Ordering::Release);
    }
}

fn is_wait(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
