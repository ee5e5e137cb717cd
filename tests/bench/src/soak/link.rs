//! The link of the tunnel, through a relay that can cut it.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A relay that runs; dropping it ends its threads.
#[derive(Debug)]
pub(super) struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    /// Both sockets of the connection that it relays.
    sockets: Mutex<Vec<TcpStream>>,
    cuts: Mutex<Cuts>,
}

#[derive(Debug, Default)]
struct Cuts {
    last: Option<Instant>,
    /// Whether nothing has come through since the last one.
    is_open: bool,
    longest: Duration,
}

impl Link {
    /// Starts it in front of the far end of a tunnel.
    pub(super) fn start(far: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("link".into())
            .spawn(move || for_thread.accept(&listener, far))?;
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// Returns the address that it listens on.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the connection at both sides.
    pub(super) fn cut(&self) {
        let mut cuts = lock(&self.shared.cuts);
        cuts.last = Some(Instant::now());
        cuts.is_open = true;
        drop(cuts);
        self.shared.end_all();
    }

    /// Returns whether the last cut was so short a time ago.
    pub(super) fn was_cut_within(&self, time: Duration) -> bool {
        lock(&self.shared.cuts)
            .last
            .is_some_and(|last| last.elapsed() < time)
    }

    /// Notes that something has come through again.
    pub(super) fn works(&self) {
        let mut cuts = lock(&self.shared.cuts);
        if cuts.is_open
            && let Some(last) = cuts.last
        {
            cuts.longest = cuts.longest.max(last.elapsed());
            cuts.is_open = false;
        }
    }

    /// Returns the longest time from a cut until something came through again.
    pub(super) fn longest_repair(&self) -> Duration {
        lock(&self.shared.cuts).longest
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // One more connection, so that accept(2) returns.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Relays each connection until it is over, then ends all of them.
    fn accept(&self, listener: &TcpListener, far: SocketAddr) {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        while let Ok((near, _)) = listener.accept()
            && !self.is_over.load(Ordering::Relaxed)
        {
            // A connection that cannot be relayed is dropped, and the tunnel's end tries again.
            if let Ok(far) = TcpStream::connect(far)
                && let Ok(started) = self.relay(&near, &far)
            {
                threads.retain(|thread| !thread.is_finished());
                threads.extend(started);
            }
        }
        self.end_all();
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// Starts the threads of both directions.
    fn relay(&self, near: &TcpStream, far: &TcpStream) -> io::Result<Vec<JoinHandle<()>>> {
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        *lock(&self.sockets) = vec![near.try_clone()?, far.try_clone()?];
        let mut threads = Vec::new();
        for (from, to) in [(near, far), (far, near)] {
            let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
            threads.push(thread::spawn(move || {
                // A cut is the usual end, and the other direction sees it as well.
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            }));
        }
        Ok(threads)
    }

    fn end_all(&self) {
        for socket in lock(&self.sockets).drain(..) {
            // It fails if the connection has ended already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_cut_ends_both_sides_and_the_next_connection_works() {
        let far = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let link = Link::start(far.local_addr().unwrap()).unwrap();
        for byte in [7, 8] {
            let mut near = TcpStream::connect(link.address()).unwrap();
            let (mut end, _) = far.accept().unwrap();
            near.write_all(&[byte]).unwrap();
            let mut read = [0];
            end.read_exact(&mut read).unwrap();
            assert_eq!(read, [byte]);
            link.works();
            link.cut();
            assert_eq!(near.read(&mut read).unwrap_or(0), 0);
            assert_eq!(end.read(&mut read).unwrap_or(0), 0);
        }
        assert!(link.was_cut_within(Duration::from_secs(60)));
        assert!(link.longest_repair() > Duration::ZERO);
    }
}
