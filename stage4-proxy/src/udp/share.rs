//! What the engines of all workers have in common.

use std::io;
use std::sync::Arc;

use socket2::Socket;

use crate::access::PerClient;
use crate::limits::Limits;
use crate::udp::counts::Counts;

/// What one of several workers gets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Share {
    /// Flows that it may have.
    pub(super) flows: usize,
    /// Where all of them count.
    pub(super) counts: Arc<Counts>,
    /// The flows that each client may have in all of them, if there is a bound.
    pub(super) per_client: Option<PerClient>,
    /// The sockets of all of them that clients send to.
    ///
    /// The kernel chooses among the sockets of a port by their number (`SO_REUSEPORT`). If a worker that has drained
    /// closed the last copy of its own, the datagrams of clients with other workers would go astray.
    #[expect(dead_code, reason = "kept only to be dropped with the last worker")]
    listeners: Arc<Vec<Socket>>,
}

impl Share {
    /// Creates the share of each of `workers` workers, of which each receives at one of `listeners`.
    ///
    /// # Errors
    ///
    /// Fails if there is no descriptor for a copy of a socket.
    pub(crate) fn of<'a>(
        limits: &Limits,
        workers: usize,
        listeners: impl Iterator<Item = &'a Socket>,
    ) -> io::Result<Self> {
        let copies: io::Result<Vec<_>> = listeners.map(Socket::try_clone).collect();
        Ok(Self {
            flows: limits.udp.max_flows as usize / workers.max(1),
            counts: Arc::default(),
            per_client: limits.max_per_client.map(PerClient::new),
            listeners: Arc::new(copies?),
        })
    }
}
