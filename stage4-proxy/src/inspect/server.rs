//! The inspector's server: a few threads, each with one client at a time.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::Socket;
use stage1_server::cli::cannot;
use stage1_server::{AcceptFailure, ListenOptions, listen, local_addr};

use crate::inspect::connection::{self, ClientTimeouts};
use crate::inspect::request::Hosts;
use crate::inspect::snapshot::Snapshot;

/// Clients that are answered at the same time. A browser opens two connections, one of them as a spare, so
/// two browsers fit.
const THREADS: usize = 4;

/// The listen backlog: clients beyond [`THREADS`] that may wait to be accepted.
const BACKLOG: i32 = 64;

/// The pause after a failed accept(2), so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the live view of the route table until it is dropped.
///
/// ```no_run
/// use stage4_proxy::inspect::{Inspector, Snapshot};
///
/// let address = "127.0.0.1:0".parse().expect("an address");
/// let inspector = Inspector::start(address, Snapshot::default)?;
/// println!("open http://{}/", inspector.local_addr());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Inspector {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Inspector {
    /// Listens on `address` and starts threads that answer.
    ///
    /// `source` is called once for each answer that needs it, from any of the threads and from several at
    /// once. It must return in bounded time, even while the proxy stops, because dropping the inspector
    /// waits for it.
    ///
    /// # Errors
    ///
    /// Fails if the address is already in use or cannot be bound for another reason, or if a thread cannot
    /// be started.
    pub fn start(
        address: SocketAddr,
        source: impl Fn() -> Snapshot + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::with_timeouts(address, ClientTimeouts::default(), source)
    }

    /// Starts an inspector with other time limits.
    fn with_timeouts(
        address: SocketAddr,
        timeouts: ClientTimeouts,
        source: impl Fn() -> Snapshot + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let options = ListenOptions {
            backlog: BACKLOG,
            ..ListenOptions::default()
        };
        let listener = listen(address, &options)?;
        let address = local_addr(&listener)?;
        let shared = Arc::new(Shared {
            listener,
            hosts: Hosts::for_listener(address.ip()),
            timeouts,
            source: Box::new(source),
            stopping: AtomicBool::new(false),
            clients: Default::default(),
        });
        let mut inspector = Self {
            address,
            shared,
            threads: Vec::new(),
        };
        for number in 0..THREADS {
            inspector.threads.push(inspector.spawn(number)?);
        }
        Ok(inspector)
    }

    /// Returns the address that it listens on, with the real port if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    fn spawn(&self, number: usize) -> io::Result<JoinHandle<()>> {
        let shared = Arc::clone(&self.shared);
        let name = format!("inspector-{number}");
        thread::Builder::new()
            .name(name)
            .spawn(move || shared.run(number))
            .map_err(cannot("start a thread of the inspector"))
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // An Err is a panic of `source`; it was printed when it happened, and the other threads go on.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Inspector")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The state that all threads of one inspector share.
struct Shared {
    listener: Socket,
    hosts: Hosts,
    timeouts: ClientTimeouts,
    source: Box<dyn Fn() -> Snapshot + Send + Sync>,
    stopping: AtomicBool,
    /// The client of each thread, so that `stop` can shut it down instead of waiting for it.
    clients: [Mutex<Option<Arc<TcpStream>>>; THREADS],
}

impl Shared {
    /// Accepts and serves one client after the other, until the inspector stops.
    fn run(&self, number: usize) {
        while !self.is_stopping() {
            match self.listener.accept() {
                Ok((client, _)) => self.serve(number, client.into()),
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Retry => {}
                    AcceptFailure::Pause => {
                        tracing::debug!(%error, "inspector cannot accept");
                        thread::park_timeout(ACCEPT_PAUSE);
                    }
                    // The shutdown in `stop` comes out here, as EINVAL.
                    AcceptFailure::Fatal => return,
                },
            }
        }
    }

    fn serve(&self, number: usize, client: TcpStream) {
        let client = Arc::new(client);
        self.set_client(number, Some(Arc::clone(&client)));
        // Check `stopping` after publishing the client, so that `stop` cannot miss it.
        if !self.is_stopping()
            && let Err(error) = connection::serve(&client, self.hosts, self.timeouts, &self.source)
        {
            tracing::debug!(%error, "inspector client");
        }
        self.set_client(number, None);
    }

    fn set_client(&self, number: usize, client: Option<Arc<TcpStream>>) {
        *self.clients[number]
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = client;
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends every wait of every thread: on Linux a shutdown wakes a blocked `accept(2)` and `read(2)`.
    fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        // An error means that the socket is not connected any more; then no thread blocks on it.
        let _ = self.listener.shutdown(Shutdown::Both);
        for client in &self.clients {
            if let Some(client) = &*client.lock().unwrap_or_else(PoisonError::into_inner) {
                let _ = client.shutdown(Shutdown::Both);
            }
        }
    }
}

#[cfg(test)]
mod tests;
