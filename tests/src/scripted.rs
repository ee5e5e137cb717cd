//! Scripted peers: a listener in the test process whose every connection follows a script, byte by byte.

use std::any::Any;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::Socket;

use crate::deadline::{Deadline, holds_by};
use crate::eventually::eventually_equal;
use crate::failure::{Failure, fail};
use crate::peer::Peer;
use crate::socket_options::SocketOptions;
use crate::stopping::{Stopped, forgive_when};
use crate::sync::lock;
use crate::transcript::Transcript;

/// How long the scripts may take to end after their sockets have been shut down.
const JOIN: Duration = Duration::from_secs(5);

/// The part of a connection in a test; it runs on a thread of its own.
type Script = dyn Fn(Peer) + Send + Sync;

/// A listener on a free port whose connections follow a script; dropping it ends them all.
#[derive(Debug)]
pub struct Scripted {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

/// Options of a [`Scripted`] listener.
#[derive(Clone, Debug)]
pub struct Options {
    name: String,
    address: SocketAddr,
    backlog: i32,
    socket: SocketOptions,
    patience: Option<Duration>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    listener: Socket,
    patience: Option<Duration>,
    stopping: Arc<AtomicBool>,
    accepted: Mutex<Accepted>,
    transcript: Transcript,
}

#[derive(Debug, Default)]
struct Accepted {
    /// The peers' addresses in the order of their arrival.
    peers: Vec<SocketAddr>,
    streams: Vec<Weak<TcpStream>>,
    running: usize,
    failures: Vec<String>,
}

impl Scripted {
    /// Starts a listener on 127.0.0.1 with a backlog of 1024 whose connections all follow `script`.
    ///
    /// # Panics
    ///
    /// Panics if no socket can be created.
    #[must_use]
    #[track_caller]
    pub fn start(name: &str, script: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        Self::options(name).start(script)
    }

    /// Starts from options: address, backlog, buffers.
    #[must_use]
    pub fn options(name: &str) -> Options {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Options {
            name: name.to_owned(),
            address,
            backlog: 1024,
            socket: SocketOptions::default(),
            patience: None,
        }
    }

    /// Returns the address to connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address as text, for command lines.
    #[must_use]
    pub fn addr_text(&self) -> String {
        self.address.to_string()
    }

    /// Returns how many connections were accepted.
    #[must_use]
    pub fn accepts(&self) -> usize {
        lock(&self.shared.accepted).peers.len()
    }

    /// Returns the peers' addresses in the order of their arrival.
    #[must_use]
    pub fn peers(&self) -> Vec<SocketAddr> {
        lock(&self.shared.accepted).peers.clone()
    }

    /// Returns how many scripts are running now.
    #[must_use]
    pub fn running(&self) -> usize {
        lock(&self.shared.accepted).running
    }

    /// Waits until exactly `count` connections were accepted.
    ///
    /// # Panics
    ///
    /// Panics if it does not happen in time.
    #[track_caller]
    pub fn wait_for_accepts(&self, count: usize) {
        eventually_equal(
            &format!("connections that {} accepted", self.shared.name),
            &count,
            || self.accepts(),
        );
    }

    /// Waits until every script has ended, and fails with the first script that failed.
    ///
    /// # Panics
    ///
    /// Panics if a script failed or does not end in time.
    #[track_caller]
    pub fn finish(&self) {
        let what = format!("scripts of {} that still run", self.shared.name);
        let mut failed = false;
        let deadline = Deadline::patience();
        let ended = holds_by(deadline, &mut || {
            failed = !lock(&self.shared.accepted).failures.is_empty();
            failed || self.running() == 0
        });
        self.raise_first_failure();
        if !ended {
            fail(format!(
                "{what} after {:?}: {}",
                deadline.allowed(),
                self.running()
            ));
        }
    }

    #[track_caller]
    fn raise_first_failure(&self) {
        let first = lock(&self.shared.accepted).failures.first().cloned();
        if let Some(message) = first {
            Failure::new(message.trim_end())
                .in_transcript(&self.shared.transcript)
                .raise();
        }
    }

    fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Shutting a listener down makes its blocked accept(2) return EINVAL, so the thread can end.
        let _ = self.shared.listener.shutdown(Shutdown::Both);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let streams: Vec<_> = lock(&self.shared.accepted)
            .streams
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        for stream in streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let ended = holds_by(Deadline::after(JOIN), &mut || self.running() == 0);
        if !ended && !thread::panicking() {
            fail(format!(
                "A script of {} does not end although its socket was shut down.",
                self.shared.name
            ));
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let failed_before = !lock(&self.shared.accepted).failures.is_empty();
        self.stop();
        if failed_before && !thread::panicking() {
            self.raise_first_failure();
        }
    }
}

impl Options {
    /// Listens on another address than `127.0.0.1:0`.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets the listen backlog (default 1024).
    #[must_use]
    pub fn backlog(mut self, backlog: i32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Sets `SO_RCVBUF` of every connection.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.socket.receive_buffer = Some(bytes);
        self
    }

    /// Sets `SO_SNDBUF` of every connection.
    #[must_use]
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.socket.send_buffer = Some(bytes);
        self
    }

    /// Changes how long every action of a script may take.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Starts the listener; every connection follows `script`.
    ///
    /// # Panics
    ///
    /// Panics if no socket can be created.
    #[must_use]
    #[track_caller]
    pub fn start(self, script: impl Fn(Peer) + Send + Sync + 'static) -> Scripted {
        let (listener, address) = match self.listen() {
            Ok(made) => made,
            Err(error) => fail(format!(
                "{} cannot listen on {}: {error}",
                self.name, self.address
            )),
        };
        let transcript = Transcript::current();
        transcript.step(format!("{} listens on {address}", self.name));
        let (stopping, accepted) = (Arc::default(), Mutex::default());
        let shared = Shared {
            name: self.name,
            listener,
            patience: self.patience,
            stopping,
            accepted,
            transcript,
        };
        let shared = Arc::new(shared);
        let (for_thread, script) = (Arc::clone(&shared), Arc::new(script) as Arc<Script>);
        let acceptor = thread::spawn(move || accept_all(&for_thread, &script));
        Scripted {
            shared,
            address,
            acceptor: Some(acceptor),
        }
    }

    fn listen(&self) -> std::io::Result<(Socket, SocketAddr)> {
        let socket = self.socket.open(self.address)?;
        socket.set_reuse_address(true)?;
        socket.bind(&self.address.into())?;
        socket.listen(self.backlog)?;
        let address = socket.local_addr()?.as_socket().unwrap_or(self.address);
        Ok((socket, address))
    }
}

fn accept_all(shared: &Arc<Shared>, script: &Arc<Script>) {
    shared.transcript.enter();
    while !shared.stopping.load(Ordering::Acquire) {
        let Ok((socket, _)) = shared.listener.accept() else {
            continue;
        };
        let number = shared.accepted_so_far();
        let name = format!("{} connection {}", shared.name, number + 1);
        let Some(peer) = adopt(socket, name, &shared.transcript) else {
            continue;
        };
        let peer = shared.register(peer, number);
        let (shared, script) = (Arc::clone(shared), Arc::clone(script));
        thread::spawn(move || shared.run(&*script, peer));
    }
}

/// Takes over an accepted socket. One that its peer has already reset does not count: its address is then unknown.
fn adopt(socket: Socket, name: String, transcript: &Transcript) -> Option<Peer> {
    let remote = socket.peer_addr().ok()?.as_socket()?;
    Peer::adopt(socket.into(), remote, name, transcript.clone()).ok()
}

impl Shared {
    fn accepted_so_far(&self) -> usize {
        lock(&self.accepted).peers.len()
    }

    fn register(&self, peer: Peer, number: usize) -> Peer {
        self.transcript
            .step(format!("{} accepts {}", self.name, peer.remote()));
        let mut accepted = lock(&self.accepted);
        accepted.peers.push(peer.remote());
        accepted.streams.push(Arc::downgrade(peer.stream()));
        accepted.running += 1;
        let peer = peer.numbered(number);
        match self.patience {
            Some(patience) => peer.with_patience(patience),
            None => peer,
        }
    }

    fn run(&self, script: &Script, peer: Peer) {
        self.transcript.enter();
        forgive_when(&self.stopping);
        let result = catch_unwind(AssertUnwindSafe(|| script(peer)));
        let mut accepted = lock(&self.accepted);
        accepted.running -= 1;
        if let Err(payload) = result
            && !payload.is::<Stopped>()
        {
            accepted.failures.push(message(&*payload));
        }
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a script panicked").to_owned()
}

#[cfg(test)]
mod tests;
