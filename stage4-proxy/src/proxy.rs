//! The whole proxy: workers on threads of their own, and the resolver and the inspector beside them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use stage1_server::cli::cannot;
use stage2_client::Target;

use crate::access::{Access, PerClient, Policy};
use crate::address::ListenAddress;
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
use crate::udp::Share;
use crate::unix::SocketFile;
use crate::worker::{Reception, Worker};

mod listening;

use listening::{Listening, Sockets};

/// The configuration of a proxy.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 asks the kernel for a free port.
    pub listen: ListenAddress,
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
    address: ListenAddress,
    /// The file of a Unix socket, which is removed in the end.
    _file: Option<SocketFile>,
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
        let Listening {
            sockets,
            address,
            file,
        } = Listening::start(config)?;
        let resolver = Resolver::start(&config.limits.resolver, &config.lookup)?;
        let mut proxy = Self {
            address,
            _file: file,
            control: Control::default(),
            workers: Vec::new(),
            inspector: None,
        };
        let started = proxy.start_all(config, sockets, &resolver);
        if started.is_err() {
            proxy.control.stop();
        }
        started.map(|()| proxy)
    }

    fn start_all(
        &mut self,
        config: &Config,
        listeners: Vec<Sockets>,
        resolver: &Resolver,
    ) -> io::Result<()> {
        let access = Access::new(
            config.access.clone(),
            self.address.socket_addr().into_iter().collect(),
        );
        let reception = reception(config);
        let slots = Slots::shared_by(listeners.len(), config.limits.max_connections);
        let datagrams = listeners.iter().filter_map(|it| it.datagrams.as_ref());
        let share = Share::of(&config.limits, listeners.len(), datagrams);
        let share = share.map_err(cannot("share the sockets for datagrams among the workers"))?;
        for (number, (sockets, slots)) in listeners.into_iter().zip(slots).enumerate() {
            let limits = config.limits.clone();
            let reception = reception.clone();
            let clients = reception.admitted();
            let listener = Parts {
                socket: sockets.listener,
                clients,
                slots,
                datagrams: sockets.datagrams,
                share: share.clone(),
            };
            let direct = Direct::new(resolver.clone(), access.clone(), &limits)
                .noting(config.ingress.own_connects());
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

    /// Returns where the proxy listens, with the real port.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Returns the address and the real port that the proxy listens on.
    ///
    /// # Panics
    ///
    /// Panics if it listens on a Unix socket, which has neither: then there is [`Proxy::address`] only.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        match self.address {
            ListenAddress::Internet(address) => address,
            ListenAddress::Unix(_) => panic!("a Unix socket has no port"),
        }
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

#[cfg(test)]
mod tests;
