//! A minimal HTTP/1.0 client: one connection, one GET, one response that ends with the connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// The time limit of a connect, and of each read and write.
const PATIENCE: Duration = Duration::from_secs(10);

/// The response to a GET.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status line and the fields, without `Date`, which differs between two equal responses.
    pub(crate) head: Vec<String>,
    /// Everything after the empty line.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns the status line.
    pub(crate) fn status(&self) -> &str {
        self.head.first().map_or("", String::as_str)
    }
}

/// Fetches `path` from the server at `address`.
///
/// # Errors
///
/// Fails if the connect fails, a time limit passes, or the response is not HTTP.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    let bytes = exchange(address, path).with_context(|| format!("GET http://{address}{path}"))?;
    parse(&bytes).with_context(|| format!("http://{address}{path} did not answer in HTTP"))
}

/// Opens a connection with time limits.
///
/// # Errors
///
/// Fails if the connect fails or takes longer than [`PATIENCE`].
pub(crate) fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn exchange(address: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = connect(address)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let head: Vec<String> = head
        .split("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with("date:"))
        .map(str::to_owned)
        .collect();
    let body = bytes[end + 4..].to_vec();
    head.first()?
        .starts_with("HTTP/1.")
        .then_some(Answer { head, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_loses_its_date_and_the_body_nothing() {
        let answer =
            parse(b"HTTP/1.0 200 OK\r\nDate: today\r\nServer: x\r\n\r\na\r\n\r\nb").unwrap();
        assert_eq!(answer.head, ["HTTP/1.0 200 OK", "Server: x"]);
        assert_eq!(answer.body, b"a\r\n\r\nb");
    }

    #[test]
    fn what_is_not_http_is_refused() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\nServer: x\r\n"), None);
        assert_eq!(parse(b"hello\r\n\r\n"), None);
    }
}
