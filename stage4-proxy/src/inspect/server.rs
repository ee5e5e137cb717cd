//! The inspector's server: one thread, one loop over all its clients.
//!
//! One turn of the loop:
//!
//! 1. wait (`poll(2)`) for a client, a byte, or the next time limit;
//! 2. accept;
//! 3. advance each client;
//! 4. answer: one snapshot for all clients whose requests are complete.
//!
//! poll(2) is told every socket in every turn. That costs nothing with so few of them, and there is no
//! registration that could be forgotten.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;
use stage1_server::cli::cannot;
use stage1_server::{AcceptFailure, ListenOptions, listen, local_addr};

use crate::inspect::clients::Clients;
use crate::inspect::collector::Scope;
use crate::inspect::connection::ClientTimeouts;
use crate::inspect::hosts::Hosts;
use crate::inspect::snapshot::Snapshot;

/// The listen backlog: clients that may wait to be accepted.
const BACKLOG: i32 = 64;

/// Clients accepted in one turn of the loop, so that a flood of them delays no answer.
const ACCEPTS_PER_TURN: usize = 64;

/// The pause after a failed accept(2), so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The pauses between two snapshots, see [`pause`].
const SNAPSHOT_PAUSE: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];

/// Serves the live view of the route table until it is dropped.
///
/// ```no_run
/// use stage4_proxy::inspect::{Inspector, Snapshot};
///
/// let address = "127.0.0.1:0".parse().expect("an address");
/// let inspector = Inspector::start(address, |_scope| Some(Snapshot::default()))?;
/// println!("open http://{}/", inspector.local_addr());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Inspector {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread shares with the inspector that stops it.
struct Shared {
    listener: Socket,
    stopping: AtomicBool,
}

impl Inspector {
    /// Listens on `address` and starts the thread that answers.
    ///
    /// `source` is called for each answer, of which several clients may get a copy. It returns `None` if there is no
    /// snapshot to be had, which becomes a 503. It must return in bounded time, even while the proxy stops,
    /// because dropping the inspector waits for it.
    ///
    /// # Errors
    ///
    /// Fails if the address is already in use or cannot be bound for another reason, or if the thread cannot
    /// be started.
    pub fn start(
        address: SocketAddr,
        source: impl FnMut(Scope) -> Option<Snapshot> + Send + 'static,
    ) -> io::Result<Self> {
        Self::with_timeouts(address, ClientTimeouts::default(), source)
    }

    /// Starts an inspector with other time limits.
    fn with_timeouts(
        address: SocketAddr,
        timeouts: ClientTimeouts,
        source: impl FnMut(Scope) -> Option<Snapshot> + Send + 'static,
    ) -> io::Result<Self> {
        let options = ListenOptions {
            backlog: BACKLOG,
            nonblocking: true,
            ..ListenOptions::default()
        };
        let listener = listen(address, &options)?;
        let address = local_addr(&listener)?;
        let shared = Arc::new(Shared {
            listener,
            stopping: AtomicBool::new(false),
        });
        let server = Server {
            shared: Arc::clone(&shared),
            source: Box::new(source),
            clients: Clients::new(Hosts::for_listener(address.ip()), timeouts),
            accept_at: None,
            ask_at: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("inspector".to_owned())
            .spawn(move || server.run())
            .map_err(cannot("start the thread of the inspector"))?;
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// Returns the address that it listens on, with the real port if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // On Linux this ends the wait: poll(2) reports POLLHUP of a listener that was shut down. An error
        // would mean that it was already.
        let _ = self.shared.listener.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            // An Err is a panic of `source`; it was printed when it happened.
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

type Source = Box<dyn FnMut(Scope) -> Option<Snapshot> + Send>;

/// The loop with everything it owns.
struct Server {
    shared: Arc<Shared>,
    source: Source,
    clients: Clients,
    /// No client is accepted before, after accept(2) has failed.
    accept_at: Option<Instant>,
    /// No snapshot is taken before.
    ask_at: Instant,
}

impl Server {
    fn run(mut self) {
        while !self.shared.stopping.load(Ordering::SeqCst) {
            self.wait();
            let now = Instant::now();
            if !self.accept(now) {
                return;
            }
            self.clients.advance(now);
            self.answer(now);
        }
    }

    /// Waits for the next event or time limit.
    fn wait(&self) {
        let listening = if self.accept_at.is_none() && self.clients.has_room() {
            PollFlags::POLLIN
        } else {
            // The end of the listener is reported nevertheless.
            PollFlags::empty()
        };
        let mut fds = vec![PollFd::new(self.shared.listener.as_fd(), listening)];
        fds.extend(self.clients.poll_fds());
        if let Err(error) = poll(&mut fds, self.poll_timeout(Instant::now())) {
            // EINTR, or no memory for the moment: the next turn waits again.
            tracing::debug!(%error, "inspector cannot wait");
        }
    }

    fn poll_timeout(&self, now: Instant) -> PollTimeout {
        let ask_at = self.clients.scope().map(|_| self.ask_at);
        let deadlines = [self.accept_at, ask_at, self.clients.deadline()];
        let Some(next) = deadlines.into_iter().flatten().min() else {
            return PollTimeout::NONE;
        };
        // Rounded up, because a wait that ends too early would be repeated until the time has come.
        let left = next.saturating_duration_since(now) + Duration::from_nanos(999_999);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }

    /// Accepts the clients in the accept queue; returns whether the listener is still open.
    fn accept(&mut self, now: Instant) -> bool {
        if self.accept_at.is_some_and(|time| now < time) {
            return true;
        }
        self.accept_at = None;
        for _ in 0..ACCEPTS_PER_TURN {
            if !self.clients.has_room() {
                break;
            }
            match self.shared.listener.accept() {
                Ok((socket, _)) => self.clients.admit(socket, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Retry => {}
                    AcceptFailure::Pause => {
                        tracing::debug!(%error, "inspector cannot accept");
                        self.accept_at = Some(now + ACCEPT_PAUSE);
                        break;
                    }
                    // The shutdown in `drop` comes out here, as EINVAL.
                    AcceptFailure::Fatal => return false,
                },
            }
        }
        true
    }

    /// Answers all clients whose requests are complete with one snapshot.
    fn answer(&mut self, now: Instant) {
        if now < self.ask_at {
            return;
        }
        let Some(scope) = self.clients.scope() else {
            return;
        };
        let snapshot = (self.source)(scope);
        let answered = Instant::now();
        self.ask_at = answered + pause(answered.saturating_duration_since(now));
        self.clients.answer(snapshot.as_ref(), answered);
    }
}

/// Returns the pause after a snapshot that has taken so long.
///
/// A worker has other things to do than to copy its table for visitors that ask again at once. With a pause
/// of four times the copy's duration it spends a fifth of its time on them at most; all that ask
/// meanwhile share the next copy.
fn pause(took: Duration) -> Duration {
    let [least, most] = SNAPSHOT_PAUSE;
    (4 * took).clamp(least, most)
}

#[cfg(test)]
mod tests;
