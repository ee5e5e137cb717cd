//! A client of a program's inspector: `/routes.json`, `/metrics`, and its page.

use std::net::SocketAddr;

use crate::deadline::PATIENCE;
use crate::eventually::eventually;
use crate::failure::fail;
use crate::peer::Peer;
use crate::proc;
use crate::server::Server;

/// The inspector of a running server.
#[derive(Clone, Copy, Debug)]
pub struct Inspector {
    addr: SocketAddr,
    pid: u32,
}

impl Inspector {
    /// Reads the address of a server's inspector from its log.
    ///
    /// # Panics
    ///
    /// Panics if the address is not logged in time.
    #[track_caller]
    #[must_use]
    pub fn of(server: &Server) -> Self {
        let line = server.wait_for_stderr("inspector on http://");
        let (_, rest) = line.split_once("http://").unwrap_or_default();
        let Ok(addr) = rest.trim_end_matches('/').parse() else {
            fail(format!(
                "The log line {line:?} has no address of the inspector."
            ))
        };
        let pid = server.pid();
        Self { addr, pid }
    }

    /// Returns the address that it listens on.
    #[must_use]
    pub fn addr(self) -> SocketAddr {
        self.addr
    }

    /// Sends a request for `path` and returns the head and the body of the response.
    ///
    /// # Panics
    ///
    /// Panics if the inspector sends no HTTP response.
    #[track_caller]
    #[must_use]
    pub fn ask(self, method: &str, path: &str) -> (String, String) {
        let (client, host) = (Peer::connect(self.addr), self.addr);
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.send(head.as_bytes());
        let response = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        match response.split_once("\r\n\r\n") {
            Some((head, body)) => (head.to_owned(), body.to_owned()),
            None => fail(format!(
                "The inspector sent {response:?}, which is no HTTP response."
            )),
        }
    }

    /// Gets `path` and returns the body of the response.
    ///
    /// # Panics
    ///
    /// Panics if the inspector sends no HTTP response.
    #[track_caller]
    #[must_use]
    pub fn body(self, path: &str) -> String {
        self.ask("GET", path).1
    }

    /// Waits until the connections of earlier requests are closed, and returns how many descriptors the program has: the
    /// numbers in use are the lowest ones then.
    ///
    /// # Panics
    ///
    /// Panics if that number does not settle in time.
    #[track_caller]
    #[must_use]
    pub fn rest(self) -> usize {
        let mut before = 0;
        eventually("the number of descriptors stays the same", PATIENCE, || {
            let count = proc::fd_count(self.pid);
            std::mem::replace(&mut before, count) == count
        });
        before
    }
}
