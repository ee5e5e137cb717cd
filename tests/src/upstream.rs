//! A real upstream that is not ours: Python's own HTTP server.

use std::net::SocketAddr;
use std::path::Path;

use crate::failure::fail;
use crate::program::{Program, find_in_path};
use crate::server::Server;

/// Starters of upstream servers that are programs of their own.
#[derive(Debug)]
pub struct Upstream;

impl Upstream {
    /// Starts `python3 -m http.server` (HTTP/1.0) on `folder`.
    ///
    /// Its listen backlog is 5, which is too few for tests with load.
    ///
    /// # Panics
    ///
    /// Panics if Python is missing or does not start.
    #[must_use]
    #[track_caller]
    pub fn python(folder: &Path) -> Server {
        Self::python_speaking(folder, "HTTP/1.0")
    }

    /// Starts `python3 -m http.server --protocol PROTOCOL` on `folder`.
    ///
    /// # Panics
    ///
    /// Panics if Python is missing or does not start.
    #[must_use]
    #[track_caller]
    pub fn python_speaking(folder: &Path, protocol: &str) -> Server {
        let Some(python) = find_in_path("python3") else {
            fail(
                "This test needs python3: please install it (Debian, Ubuntu: apt install python3)",
            );
        };
        // -u: its port line would otherwise stay in a buffer, because stdout is a pipe.
        let words = [
            "-u",
            "-m",
            "http.server",
            "0",
            "--bind",
            "127.0.0.1",
            "--protocol",
            protocol,
        ];
        let process = Program::new(python)
            .args(words)
            .arg("--directory")
            .arg(folder)
            .spawn();
        Server::with_line(process, parse_line)
    }
}

/// Parses `Serving HTTP on 127.0.0.1 port 43241 (http://127.0.0.1:43241/) ...`.
fn parse_line(line: &str) -> Option<SocketAddr> {
    let mut words = line.strip_prefix("Serving HTTP on ")?.split(' ');
    let (address, port) = (words.next()?, words.nth(1)?);
    Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Peer;

    #[test]
    fn the_line_of_python_is_parsed() {
        let line = "Serving HTTP on 127.0.0.1 port 43241 (http://127.0.0.1:43241/) ...";
        assert_eq!(parse_line(line), Some("127.0.0.1:43241".parse().unwrap()));
        assert_eq!(parse_line("Traceback"), None);
    }

    #[test]
    fn python_serves_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.txt"), "content of a").unwrap();
        let upstream = Upstream::python(folder.path());
        let client = Peer::connect(upstream.addr());
        client.send(b"GET /a.txt HTTP/1.0\r\n\r\n");
        let answer = client.read_to_end();
        assert!(answer.starts_with(b"HTTP/1.0 200") && answer.ends_with(b"content of a"));
    }
}
