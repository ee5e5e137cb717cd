//! The whole tunnel: one end of a link, with a worker on its thread.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use socket2::Socket;
use stage1_server::cli::cannot;
use stage1_server::local_addr;
use stage2_client::Target;
use stage4_proxy::access::{Access, Clients, Policy};
use stage4_proxy::address::ListenAddress;
use stage4_proxy::control::Control;
use stage4_proxy::ingress::Ingress;
use stage4_proxy::inspect::Inspector;
use stage4_proxy::resolve::{Lookup, Resolver, ResolverLimits};
use stage4_proxy::token::Token;
use stage4_proxy::unix::SocketFile;

use crate::listener::Listener;
use crate::mailbox::Mailbox;
use crate::tokens::LINK_LISTENER;
use crate::tunnel::bridge::Front;
use crate::tunnel::dial::{Protocol, Route};
use crate::tunnel::limits::TunnelLimits;
use crate::tunnel::linker::Via;
use crate::tunnel::message::Message;
use crate::tunnel::multiplex::Multiplex;
use crate::tunnel::proving::Prover;
use crate::tunnel::racing::Egress;
use crate::tunnel::reception::{Reception, Way};
use crate::tunnel::role::Role;
use crate::tunnel::secret::Secret;
use crate::tunnel::transport::listening::{listen_at, listen_for_link};
use crate::tunnel::transport::opener::Opener;
use crate::tunnel::transport::{Transport, sctp};
use crate::tunnel::wire::Wire;
use crate::tunnel::worker::Worker;
use crate::tunnel::yamux::Yamux;

/// The wires that a link can speak; both ends have to name the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WireName {
    /// Windows for each stream, and pings
    Yamux,
    /// Compatible with the npm library; one slow reader stalls all streams
    Multiplex,
}

/// Which end of the tunnel it is.
#[derive(Clone, Debug)]
pub enum Ends {
    /// Clients connect here, and each gets a stream.
    Client {
        /// The ways in; there is at least one.
        ways: Vec<WayIn>,
        /// The clients that may come.
        clients: Clients,
    },
    /// Each stream gets a connection from here.
    Server {
        /// Where all streams lead; `None` if each one names its target in a request header of the
        /// [`chain`](stage4_proxy::chain).
        upstream: Option<Target>,
        /// Which targets may be dialled, and which peers may bring the link.
        access: Policy,
    },
}

/// One way in at the client's end.
#[derive(Clone, Debug)]
pub struct WayIn {
    /// The address to listen on, or a Unix socket; port 0 asks the kernel for a free port.
    pub listen: ListenAddress,
    /// How a client names its target, which goes to the server in a request header of the
    /// [`chain`](stage4_proxy::chain); `None` if the server knows it, and the streams have no header.
    pub ingress: Option<Arc<dyn Ingress>>,
}

/// The configuration of one end of a tunnel.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which end it is.
    pub ends: Ends,
    /// What carries the link.
    pub via: Transport,
    /// What is spoken on it.
    pub wire: WireName,
    /// What both ends of the link have to know, if there is such a thing.
    pub secret: Option<Secret>,
    /// The way from names to addresses.
    pub lookup: Lookup,
    /// The bounds.
    pub limits: TunnelLimits,
    /// The address of the inspector, if it is wanted.
    pub inspect: Option<SocketAddr>,
}

impl Config {
    /// Returns which end of the link this is.
    fn role(&self) -> Role {
        match self.ends {
            Ends::Client { .. } => Role::Client,
            Ends::Server { .. } => Role::Server,
        }
    }

    fn prover(&self) -> Option<Prover> {
        let secret = self.secret.clone()?;
        Some(Prover::new(secret, self.role()))
    }
}

/// A running end of a tunnel.
#[derive(Debug)]
pub struct Tunnel {
    addresses: Vec<ListenAddress>,
    link_address: Option<ListenAddress>,
    /// The files of its Unix sockets, which are removed at the end.
    _files: Vec<SocketFile>,
    control: Control,
    worker: JoinHandle<io::Result<()>>,
    inspector: Option<Inspector>,
}

impl Tunnel {
    /// Listens, if it has to, and starts to serve. The link is made meanwhile, and made anew whenever it is lost.
    ///
    /// # Errors
    ///
    /// Fails if an address is already in use or cannot be bound for another reason, or if the machine has no
    /// descriptor, thread or memory left for the worker.
    pub fn start(config: &Config) -> io::Result<Self> {
        let ways: &[WayIn] = match &config.ends {
            Ends::Client { ways, .. } => ways,
            Ends::Server { .. } => &[],
        };
        let (mut clients, mut addresses, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for way in ways {
            let waiting = listen_at(&way.listen, config.limits.keepalive)?;
            clients.push(waiting.socket);
            addresses.push(waiting.address);
            files.extend(waiting.file);
        }
        let waiting = listen_for_link(&config.via, config.limits.keepalive)?;
        let (link, link_address) = match waiting {
            Some(waiting) => {
                files.extend(waiting.file);
                (Some(waiting.socket), Some(waiting.address))
            }
            None => (None, None),
        };
        if clients.is_empty() {
            addresses.extend(link_address.clone());
        }
        let access = config.ends.access(link.as_ref());
        let listeners = Listeners {
            clients,
            link,
            access: access.clone(),
        };
        let (worker, mailbox) = run(config, listeners, None)?;
        let mut control = Control::default();
        control.add(mailbox);
        let inspector = control.start_inspector(config.inspect)?;
        if let (Some(access), Some(inspector)) = (access, &inspector) {
            access.add_inspector(inspector.local_addr());
        }
        Ok(Self {
            addresses,
            link_address,
            _files: files,
            control,
            worker,
            inspector,
        })
    }

    /// Returns the addresses that it listens on, for clients in the order of their ways or else for the link, with the
    /// real ports.
    #[must_use]
    pub fn local_addrs(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// Returns the address at which it waits for the link, if it waits.
    #[must_use]
    pub fn link_addr(&self) -> Option<&ListenAddress> {
        self.link_address.as_ref()
    }

    /// Returns the address of the inspector, with the real port, if there is one.
    #[must_use]
    pub fn inspector_addr(&self) -> Option<SocketAddr> {
        self.inspector.as_ref().map(Inspector::local_addr)
    }

    /// Returns a handle to the worker that other threads can keep.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until the worker has ended.
    ///
    /// # Errors
    ///
    /// Fails if the poller broke or the worker panicked.
    pub fn wait(self) -> io::Result<()> {
        self.worker
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the worker has panicked")))
    }
}

/// The sockets that listen.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) clients: Vec<Socket>,
    pub(super) link: Option<Socket>,
    /// The server's rules, which know its own addresses; they may learn of the inspector later.
    pub(super) access: Option<Access>,
}

type Running = (JoinHandle<io::Result<()>>, Mailbox<Message>);

/// Starts a worker. If a thread is `waiting` for the link, it is told when that is up, and there is one link only.
pub(super) fn run(
    config: &Config,
    listeners: Listeners,
    waiting: Option<Sender<()>>,
) -> io::Result<Running> {
    match config.wire {
        WireName::Yamux => spawn(Yamux::new(config.role()), listeners, config, waiting),
        WireName::Multiplex => spawn(Multiplex, listeners, config, waiting),
    }
}

fn spawn<W: Wire + Copy + Send + 'static>(
    wire: W,
    listeners: Listeners,
    config: &Config,
    waiting: Option<Sender<()>>,
) -> io::Result<Running> {
    let route = |target: &Target| -> io::Result<Route> {
        Ok(Route {
            target: Arc::new(target.clone()),
            resolver: Resolver::start(&config.limits.resolver, &config.lookup)?,
        })
    };
    let prover = config.prover();
    let (worker, mailbox) = Worker::new(wire, config.limits.clone(), prover, |poll| {
        let watch = |socket: Socket, token| {
            Listener::new(socket, token, poll.registry())
                .map_err(cannot("watch a listening socket"))
        };
        let front = match &config.ends {
            Ends::Client { ways, clients } => {
                let watched = (0..).zip(ways).zip(listeners.clients);
                let watched = watched.map(|((place, way), socket)| {
                    let listener = watch(socket, Token::listener(place))?;
                    Ok(Way::new(listener, way.ingress.clone()))
                });
                let ways = watched.collect::<io::Result<_>>()?;
                let most = config.limits.max_per_client;
                Front::Clients(Reception::new(ways, clients.clone(), most))
            }
            Ends::Server { upstream, access } => {
                let rules = listeners.access;
                let access = rules.unwrap_or_else(|| Access::new(access.clone(), Vec::new()));
                Front::Upstream(egress(upstream.clone(), access, config)?)
            }
        };
        let link = listeners.link.map(|socket| watch(socket, LINK_LISTENER));
        let via = match link.transpose()? {
            Some(listener) => Via::Listen(listener),
            None => connecting(&config.via, route)?,
        };
        Ok((via, front))
    })?;
    let worker = worker.with_link_peers(config.ends.link_peers());
    let worker = if waiting.is_some() || config.via == Transport::Stdio {
        worker.with_one_link(waiting)
    } else {
        worker
    };
    let thread = thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || worker.run())
        .map_err(cannot("start the thread of the worker"))?;
    Ok((thread, mailbox))
}

/// Prepares the way to the other end, for a transport that does not wait.
fn connecting(
    transport: &Transport,
    route: impl FnOnce(&Target) -> io::Result<Route>,
) -> io::Result<Via> {
    match transport {
        Transport::Tcp(target) => Ok(Via::Connect(route(target)?, Protocol::Tcp)),
        Transport::Sctp(target) => {
            // No attempt would ever succeed.
            sctp::check()?;
            Ok(Via::Connect(route(target)?, Protocol::Sctp))
        }
        Transport::Unix(path) => Ok(Via::Open(Opener::unix(path.clone()))),
        Transport::Exec(words) => Ok(Via::Open(Opener::exec(words.clone()))),
        Transport::Stdio => Ok(Via::Open(Opener::stdio()?)),
        Transport::TcpListen(_) | Transport::UnixListen(_) | Transport::SctpListen(_) => {
            Err(io::Error::other("the link has no listening socket"))
        }
    }
}

/// Creates the server's way out. Streams that name their targets have many names, so these get more threads.
fn egress(upstream: Option<Target>, access: Access, config: &Config) -> io::Result<Egress> {
    let for_many = ResolverLimits::default();
    let limits = match &upstream {
        Some(_) => &config.limits.resolver,
        None => &for_many,
    };
    let resolver = Resolver::start(limits, &config.lookup)?;
    let extra_attempts = config.limits.extra_attempts;
    Ok(Egress::new(upstream, resolver, access, extra_attempts))
}

impl Ends {
    /// Returns the rules of a server that waits for its link on this socket, or on none.
    fn access(&self, link: Option<&Socket>) -> Option<Access> {
        match self {
            Self::Client { .. } => None,
            Self::Server { access, .. } => {
                let own = link.and_then(|link| local_addr(link).ok());
                Some(Access::new(access.clone(), own.into_iter().collect()))
            }
        }
    }

    /// Returns the peers that may bring a link to this end.
    fn link_peers(&self) -> Clients {
        match self {
            Self::Client { clients, .. } => clients.clone(),
            Self::Server { access, .. } => access.clients().clone(),
        }
    }
}
