//! The whole proxy: workers on threads of their own, and the resolver and the inspector beside them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use socket2::Socket;
use stage1_server::cli::cannot;
use stage1_server::{ListenOptions, listen, local_addr};
use stage2_client::Target;

use crate::access::{Access, PerClient, Policy};
use crate::control::Control;
use crate::egress::Egress;
use crate::egress::direct::Direct;
use crate::ingress::Ingress;
use crate::inspect::Inspector;
use crate::limits::Limits;
use crate::listener::Parts;
use crate::proxy_protocol::ProxyProtocol;
use crate::resolve::{Lookup, Resolver};
use crate::slots::Slots;
use crate::udp::{self, Share};
use crate::worker::{Reception, Worker};

/// The configuration of a proxy.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; port 0 asks the kernel for a free port.
    pub listen: SocketAddr,
    /// The way in which clients say where they want to go.
    pub ingress: Arc<dyn Ingress>,
    /// Which clients may come, and where they may go.
    pub access: Policy,
    /// From which peers a PROXY protocol header is expected, and whether targets get one.
    pub proxy_protocol: ProxyProtocol,
    /// The hops on the way to every target, in their order; empty means straight to the target.
    pub chain: Vec<Target>,
    /// The way from names to addresses.
    pub lookup: Lookup,
    /// The number of event loops, each on a thread of its own with a listener and a route table
    /// of its own.
    pub threads: usize,
    /// Whether the ingress takes datagrams as well, at the same address and port.
    pub udp: bool,
    /// The bounds.
    pub limits: Limits,
    /// The address of the inspector, if it is wanted.
    pub inspect: Option<SocketAddr>,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: Control,
    workers: Vec<JoinHandle<io::Result<()>>>,
    inspector: Option<Inspector>,
}

impl Proxy {
    /// Listens and starts to serve.
    ///
    /// # Errors
    ///
    /// Fails if an address is already in use or cannot be bound for another reason, or if the
    /// machine has no descriptor, thread or memory left for a worker. A proxy that has started
    /// meets no such error any more.
    pub fn start(config: &Config) -> io::Result<Self> {
        let (listeners, datagrams) = open_all(config)?;
        let address = local_addr(&listeners[0])?;
        let resolver = Resolver::start(&config.limits.resolver, &config.lookup)?;
        let mut proxy = Self {
            address,
            control: Control::default(),
            workers: Vec::new(),
            inspector: None,
        };
        let sockets = listeners.into_iter().zip(datagrams);
        let started = proxy.start_all(config, sockets.collect(), &resolver);
        if started.is_err() {
            proxy.control.stop();
        }
        started.map(|()| proxy)
    }

    fn start_all(
        &mut self,
        config: &Config,
        listeners: Vec<(Socket, Option<Socket>)>,
        resolver: &Resolver,
    ) -> io::Result<()> {
        let access = Access::new(config.access.clone(), vec![self.address]);
        let reception = reception(config);
        let slots = Slots::shared_by(listeners.len(), config.limits.max_connections);
        let share = Share::of(&config.limits.udp, listeners.len());
        for (number, (sockets, slots)) in listeners.into_iter().zip(slots).enumerate() {
            let limits = config.limits.clone();
            let reception = reception.clone();
            let clients = reception.admitted();
            let listener = Parts {
                socket: sockets.0,
                clients,
                slots,
                datagrams: sockets.1,
                share: share.clone(),
            };
            let direct = Direct::new(resolver.clone(), access.clone(), &limits);
            let egress = Egress::new(direct, &config.chain);
            let worker = Worker::new(listener, reception, limits, egress);
            let (worker, mailbox) = worker?;
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            let thread = thread.spawn(move || worker.run());
            let thread = thread.map_err(cannot("start the thread of a worker"))?;
            self.workers.push(thread);
            self.control.add(mailbox);
        }
        self.inspector = self.control.start_inspector(config.inspect)?;
        if let Some(inspector) = self.inspector_addr() {
            access.add_inspector(inspector);
        }
        Ok(())
    }

    /// Returns the address that the proxy listens on, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the inspector, with the real port, if there is one.
    #[must_use]
    pub fn inspector_addr(&self) -> Option<SocketAddr> {
        self.inspector.as_ref().map(Inspector::local_addr)
    }

    /// Returns a handle to the workers that other threads can keep.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until every worker has ended.
    ///
    /// # Errors
    ///
    /// Fails if a poller broke or a worker panicked.
    pub fn wait(self) -> io::Result<()> {
        let mut result = Ok(());
        for worker in self.workers {
            let ended = worker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a worker has panicked")));
            result = result.and(ended);
            if result.is_err() {
                // Otherwise the next join would wait forever, because the other workers go on.
                self.control.stop();
            }
        }
        result
    }
}

fn reception(config: &Config) -> Reception {
    Reception {
        ingress: Arc::clone(&config.ingress),
        clients: config.access.clients().clone(),
        proxy_protocol: config.proxy_protocol.clone(),
        per_client: config.limits.max_per_client.map(PerClient::new),
        max_handshake: config.limits.max_handshake,
    }
}

/// Ports that are tried if the kernel has chosen one that another program uses for datagrams.
const PORTS_TRIED: usize = 16;

/// A listening socket for each worker, and one for datagrams where there are any.
type Sockets = (Vec<Socket>, Vec<Option<Socket>>);

/// Creates the sockets of all workers; those for datagrams have the same address and port.
fn open_all(config: &Config) -> io::Result<Sockets> {
    let mut tries = PORTS_TRIED;
    loop {
        let listeners = listen_all(config)?;
        if !config.udp {
            let none = listeners.iter().map(|_| None).collect();
            return Ok((listeners, none));
        }
        tries -= 1;
        match receive_all(local_addr(&listeners[0])?, listeners.len()) {
            Ok(datagrams) => return Ok((listeners, datagrams)),
            // The kernel knows free ports of one protocol at a time.
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && config.listen.port() == 0
                    && tries > 0 => {}
            Err(error) => return Err(error),
        }
    }
}

/// Creates one socket for the datagrams of each of `count` workers.
fn receive_all(address: SocketAddr, count: usize) -> io::Result<Vec<Option<Socket>>> {
    if count > 1 {
        // Fails if another program has the port; see `listen_all`.
        udp::listen(address, false)?;
    }
    let sockets = (0..count).map(|_| udp::listen(address, count > 1).map(Some));
    sockets.collect()
}

/// Creates one listening socket for each worker; the kernel spreads clients over them
/// (`socket(7)`, `SO_REUSEPORT`).
fn listen_all(config: &Config) -> io::Result<Vec<Socket>> {
    let count = config.threads.max(1);
    let options = ListenOptions {
        nonblocking: true,
        nodelay: true,
        reuse_port: count > 1,
        keepalive: config.limits.keepalive,
        ..ListenOptions::default()
    };
    if count > 1 && config.listen.port() != 0 {
        // With SO_REUSEPORT, a second proxy of the same user would silently share the port. One
        // bind without the option fails if the port is already in use.
        listen(config.listen, &ListenOptions::default())?;
    }
    let first = listen(config.listen, &options)?;
    let address = local_addr(&first)?;
    let others = (1..count).map(|_| listen(address, &options));
    std::iter::once(Ok(first)).chain(others).collect()
}

#[cfg(test)]
mod tests;
