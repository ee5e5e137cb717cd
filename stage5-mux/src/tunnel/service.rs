//! The whole tunnel: one end of a link, with a worker on its thread.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use socket2::Socket;
use stage1_server::cli::cannot;
use stage1_server::{ListenOptions, listen, local_addr};
use stage2_client::Target;
use stage4_proxy::control::Control;
use stage4_proxy::resolve::{Lookup, Resolver};
use stage4_proxy::token::Token;

use crate::listener::Listener;
use crate::mailbox::Mailbox;
use crate::tokens::LINK_LISTENER;
use crate::tunnel::bridge::{Front, Route};
use crate::tunnel::limits::TunnelLimits;
use crate::tunnel::message::Message;
use crate::tunnel::multiplex::Multiplex;
use crate::tunnel::proving::Prover;
use crate::tunnel::role::Role;
use crate::tunnel::secret::Secret;
use crate::tunnel::transport::Transport;
use crate::tunnel::wire::Wire;
use crate::tunnel::worker::{Via, Worker};
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
        /// The address to listen on; port 0 asks the kernel for a free port.
        listen: SocketAddr,
    },
    /// Each stream gets a connection from here.
    Server {
        /// Where it leads.
        upstream: Target,
    },
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
    address: Option<SocketAddr>,
    link_address: Option<SocketAddr>,
    control: Control,
    worker: JoinHandle<io::Result<()>>,
}

impl Tunnel {
    /// Listens, if it has to, and starts to serve. The link is made meanwhile, and made anew whenever it is lost.
    ///
    /// # Errors
    ///
    /// Fails if an address is already in use or cannot be bound for another reason, or if the machine has no
    /// descriptor, thread or memory left for the worker.
    pub fn start(config: &Config) -> io::Result<Self> {
        let role = config.role();
        let clients = match &config.ends {
            Ends::Client { listen } => Some(bind(*listen, config)?),
            Ends::Server { .. } => None,
        };
        let link = match &config.via {
            Transport::TcpListen(address) => Some(bind(*address, config)?),
            Transport::Tcp(_) => None,
        };
        let link_address = link.as_ref().map(local_addr).transpose()?;
        let listeners = Listeners { clients, link };
        let address = match &listeners.clients {
            Some(clients) => Some(local_addr(clients)?),
            None => link_address,
        };
        let (worker, mailbox) = match config.wire {
            WireName::Yamux => spawn(Yamux::new(role), listeners, config)?,
            WireName::Multiplex => spawn(Multiplex, listeners, config)?,
        };
        let mut control = Control::default();
        control.add(mailbox);
        Ok(Self {
            address,
            link_address,
            control,
            worker,
        })
    }

    /// Returns the address that it listens on, for clients or else for the link, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Returns the address at which it waits for the link, if it waits.
    #[must_use]
    pub fn link_addr(&self) -> Option<SocketAddr> {
        self.link_address
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

fn bind(address: SocketAddr, config: &Config) -> io::Result<Socket> {
    let options = ListenOptions {
        nonblocking: true,
        nodelay: true,
        keepalive: config.limits.keepalive,
        ..ListenOptions::default()
    };
    listen(address, &options)
}

/// The sockets that listen.
#[derive(Debug)]
struct Listeners {
    clients: Option<Socket>,
    link: Option<Socket>,
}

type Running = (JoinHandle<io::Result<()>>, Mailbox<Message>);

fn spawn<W: Wire + Copy + Send + 'static>(
    wire: W,
    listeners: Listeners,
    config: &Config,
) -> io::Result<Running> {
    let route = |target: &Target| -> io::Result<Route> {
        Ok(Route {
            target: Arc::new(target.clone()),
            resolver: Resolver::start(&config.limits.resolver, &config.lookup)?,
        })
    };
    let prover = config.prover();
    let (worker, mailbox) = Worker::new(wire, config.limits.clone(), prover, |poll| {
        let watch = |socket: Option<Socket>, token| {
            let listener = socket.map(|socket| Listener::new(socket, token, poll.registry()));
            listener
                .transpose()
                .map_err(cannot("watch a listening socket"))
        };
        let front = match &config.ends {
            Ends::Client { .. } => Front::Clients(watch(listeners.clients, Token::LISTENER)?),
            Ends::Server { upstream } => Front::Upstream(route(upstream)?),
        };
        let via = match (&config.via, watch(listeners.link, LINK_LISTENER)?) {
            (Transport::Tcp(target), _) => Via::Connect(route(target)?),
            (Transport::TcpListen(_), Some(listener)) => Via::Listen(listener),
            (Transport::TcpListen(_), None) => {
                return Err(io::Error::other("the link has no listening socket"));
            }
        };
        Ok((via, front))
    })?;
    let thread = thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || worker.run())
        .map_err(cannot("start the thread of the worker"))?;
    Ok((thread, mailbox))
}
