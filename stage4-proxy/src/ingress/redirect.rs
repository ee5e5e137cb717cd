//! The ingress of a transparent proxy: the kernel knows where the client wanted to go.
//!
//! ```text
//!   client ── SYN to 198.51.100.1:443 ──▶ nft: redirect to :8080 ──▶ our listener
//!                                           │
//!                                           └ conntrack keeps 198.51.100.1:443 ──▶ SO_ORIGINAL_DST
//! ```
//!
//! A rule of the firewall rewrites the destination of the client's packets to our listener, and the connection tracking
//! of the kernel remembers the one before. The client knows nothing of a proxy, so there is no handshake.
//!
//! Two kinds of connections must not be relayed, because each of them would open another one like it:
//!
//! - a client that has connected to our own address, without any rule: its destination is the listener itself;
//! - a connection of ours that a rule has redirected back to us. The rule has to leave the proxy's own connections
//!   alone, for example by the user that it runs as: `meta skuid != proxy`.

use std::net::SocketAddr;

use crate::ingress::own_connects::OwnConnects;
use crate::ingress::{Client, Ingress, Opening};

/// Sends each client where it wanted to go before the kernel has redirected it.
#[derive(Debug, Default)]
pub struct Redirect {
    own_connects: OwnConnects,
}

impl Redirect {
    /// Creates the ingress.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns where the client wanted to go, or why it cannot be brought there.
    fn destination(&self, client: &Client<'_>) -> Result<SocketAddr, &'static str> {
        let not_redirected = "no rule of the firewall has redirected this connection";
        let original = client.original_addr().ok_or(not_redirected)?;
        if client.local_addr() == Some(original) {
            return Err(not_redirected);
        }
        let peer = client.peer_addr().socket_addr();
        if peer.is_some_and(|peer| self.own_connects.contains(peer, original)) {
            return Err(
                "a rule of the firewall redirects the proxy's own connections: except its user, as in meta skuid != proxy",
            );
        }
        Ok(original)
    }
}

impl Ingress for Redirect {
    fn name(&self) -> &'static str {
        "redirect"
    }

    fn open(&self, client: &Client<'_>) -> Opening {
        match self.destination(client) {
            Ok(destination) => Opening::Redirected(destination),
            Err(why) => Opening::Refuse(why),
        }
    }

    fn own_connects(&self) -> Option<&OwnConnects> {
        Some(&self.own_connects)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_client_that_came_directly_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, peer_addr) = listener.accept().unwrap();
        let opening = Redirect::new().open(&Client::new(peer_addr, near.as_fd()));
        assert!(matches!(opening, Opening::Refuse(why) if why.contains("no rule")));
    }
}
