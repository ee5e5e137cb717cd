//! The connections that the proxy itself has begun a moment ago, so that it knows them if they come in again.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::Socket;

/// How long a connection is remembered: on one machine, a redirected one is back within the same millisecond, unless
/// the accept queue is long.
const MEMORY: Duration = Duration::from_secs(10);
/// Connections that are remembered at most; beyond it the old ones are forgotten.
const MOST: usize = 65_536;

/// The local and the remote address of each connection that was begun within the last seconds, shared by all workers.
///
/// No other socket can have the same pair of addresses while ours is open, and hardly one in the seconds after that.
#[derive(Clone, Debug, Default)]
pub struct OwnConnects(Arc<Mutex<Recent>>);

#[derive(Debug, Default)]
struct Recent {
    begun: HashMap<(SocketAddr, SocketAddr), Instant>,
    /// The number of entries at which the old ones are looked for.
    prune_at: usize,
}

impl OwnConnects {
    /// Begins a connection to `remote`, and remembers it.
    ///
    /// # Errors
    ///
    /// Fails as `connect` does.
    pub(crate) fn connect(
        &self,
        remote: SocketAddr,
        connect: impl FnOnce() -> io::Result<Socket>,
    ) -> io::Result<Socket> {
        // Held meanwhile, because another worker may accept the connection before connect(2) has returned here.
        let mut recent = self.lock();
        let socket = connect()?;
        if let Some(local) = socket.local_addr()?.as_socket() {
            recent.note(local, remote, Instant::now());
        }
        Ok(socket)
    }

    /// Returns whether the proxy itself has begun a connection between these two addresses a moment ago.
    pub(crate) fn contains(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        let begun = self.lock().begun.get(&(local, remote)).copied();
        begun.is_some_and(|begun| begun.elapsed() < MEMORY)
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        // A panic cannot leave the map broken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn note(&mut self, local: SocketAddr, remote: SocketAddr, now: Instant) {
        if self.begun.len() >= self.prune_at {
            self.begun
                .retain(|_, begun| now.duration_since(*begun) < MEMORY);
            if self.begun.len() >= MOST {
                self.begun.clear();
            }
            // So that the search costs a constant for each connection.
            self.prune_at = (2 * self.begun.len()).clamp(1024, MOST);
        }
        self.begun.insert((local, remote), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn a_pair_is_known_for_some_seconds() {
        let own = OwnConnects::default();
        let now = Instant::now();
        let old = now.checked_sub(MEMORY).unwrap();
        own.lock().note(address(1), address(80), now);
        own.lock().note(address(2), address(80), old);
        assert!(own.contains(address(1), address(80)));
        assert!(!own.contains(address(1), address(81)));
        assert!(!own.contains(address(2), address(80)), "too long ago");
    }

    #[test]
    fn the_memory_is_bounded() {
        let own = OwnConnects::default();
        let now = Instant::now();
        for remote in 1..=4 {
            for local in 0..u16::MAX {
                own.lock().note(address(local), address(remote), now);
            }
        }
        assert!(own.lock().begun.len() <= MOST);
        assert!(own.contains(address(u16::MAX - 1), address(4)));
        let later = now + MEMORY;
        for local in 0..=u16::MAX {
            own.lock().note(address(local), address(5), later);
        }
        assert!(own.lock().begun.len() <= MOST);
    }
}
