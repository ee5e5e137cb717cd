//! The whole queue: a worker on its thread, and the inspector beside it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use socket2::Socket;
use stage1_server::cli::cannot;
use stage1_server::{ListenOptions, listen, local_addr};
use stage2_client::Target;
use stage4_proxy::control::Control;
use stage4_proxy::inspect::Inspector;
use stage4_proxy::resolve::{Lookup, Resolver};

use crate::mailbox::Mailbox;
use crate::queue::framing::Framing;
use crate::queue::http1::Http1;
use crate::queue::limits::Limits;
use crate::queue::line::Line;
use crate::queue::message::Message;
use crate::queue::worker::{Route, Worker};

/// The protocols whose messages the queue can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FramingName {
    /// HTTP/1.1 and HTTP/1.0 (RFC 9112)
    Http1,
    /// One line asks, one line answers
    Line,
}

/// The configuration of a queue.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; port 0 asks the kernel for a free port.
    pub listen: SocketAddr,
    /// The upstream that all clients share.
    pub upstream: Target,
    /// The way from names to addresses.
    pub lookup: Lookup,
    /// The way in which messages are told apart.
    pub framing: FramingName,
    /// The bounds.
    pub limits: Limits,
    /// The address of the inspector, if it is wanted.
    pub inspect: Option<SocketAddr>,
}

/// A running queue.
#[derive(Debug)]
pub struct Queue {
    address: SocketAddr,
    control: Control,
    worker: JoinHandle<io::Result<()>>,
    inspector: Option<Inspector>,
}

impl Queue {
    /// Listens and starts to serve.
    ///
    /// # Errors
    ///
    /// Fails if an address is already in use or cannot be bound for another reason, or if the
    /// machine has no descriptor, thread or memory left for the worker. A queue that has started
    /// meets no such error any more.
    pub fn start(config: &Config) -> io::Result<Self> {
        let options = ListenOptions {
            nonblocking: true,
            nodelay: true,
            keepalive: config.limits.keepalive,
            ..ListenOptions::default()
        };
        let listener = listen(config.listen, &options)?;
        let address = local_addr(&listener)?;
        let limits = &config.limits;
        let (worker, mailbox) = match config.framing {
            FramingName::Http1 => {
                let host = config.upstream.authority();
                let framing = Http1::new(host, limits.max_head, limits.max_body);
                spawn(framing, listener, config)?
            }
            FramingName::Line => spawn(Line::new(limits.max_head), listener, config)?,
        };
        let mut control = Control::default();
        control.add(mailbox);
        let inspector = control.start_inspector(config.inspect)?;
        Ok(Self {
            address,
            control,
            worker,
            inspector,
        })
    }

    /// Returns the address that the queue listens on, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
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

type Running = (JoinHandle<io::Result<()>>, Mailbox<Message>);

fn spawn<F: Framing>(framing: F, listener: Socket, config: &Config) -> io::Result<Running> {
    let route = Route {
        target: Arc::new(config.upstream.clone()),
        resolver: Resolver::start(&config.limits.resolver, &config.lookup)?,
    };
    let (worker, mailbox) = Worker::new(framing, listener, config.limits.clone(), route)?;
    let thread = thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || worker.run())
        .map_err(cannot("start the thread of the worker"))?;
    Ok((thread, mailbox))
}
