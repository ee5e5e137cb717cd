//! A client of a program's inspector: `/routes.json`, `/metrics`, and its page.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::deadline::{Deadline, PATIENCE, scaled};
use crate::eventually::eventually;
use crate::failure::fail;
use crate::proc;
use crate::process::Process;
use crate::transcript::Transcript;

/// How long the descriptors have to stay the same: longer than it takes to see that a client has closed.
const STILL: Duration = Duration::from_millis(200);

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
    pub fn of(server: &Process) -> Self {
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
        let host = self.addr;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        Transcript::current().step_once(format!("ask the inspector: {method} {path}"));
        let response = exchange(self.addr, &head).unwrap_or_else(|error| {
            fail(format!(
                "The inspector does not answer {method} {path}: {error}."
            ))
        });
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

    /// Waits until the connections of earlier requests are closed, and returns the lowest descriptor that is free then:
    /// with this as its limit, the program can open nothing.
    ///
    /// # Panics
    ///
    /// Panics if that number does not settle in time.
    #[track_caller]
    #[must_use]
    pub fn rest(self) -> usize {
        let (mut before, mut still) = (0, Deadline::exactly(STILL));
        eventually(
            "the lowest free descriptor stays the same",
            PATIENCE,
            || {
                let free = proc::lowest_free_fd(self.pid);
                if std::mem::replace(&mut before, free) != free {
                    still = Deadline::exactly(STILL);
                }
                still.passed()
            },
        );
        before
    }
}

/// Sends a request on a connection of its own and returns the response. It is no client of the transcript, which tells of
/// the test's own clients.
fn exchange(address: SocketAddr, head: &str) -> io::Result<String> {
    let patience = scaled(PATIENCE);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(head.as_bytes())?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}
