//! The part that the tunnels on the `yamux` and on the `tokio-yamux` crate share: the command line, the sockets, and
//! the copying between a stream and its connection.
//!
//! ```text
//!   yamux-relay client LISTEN LINK        accepts clients at LISTEN, connects to the other end at LINK
//!   yamux-relay server LINK UPSTREAM      accepts the other end at LINK, connects each stream to UPSTREAM
//! ```
//!
//! Each prints `listening on ADDR:PORT` once it accepts, clients or the link; port 0 takes a free one.
//!
//! They are as fast as their crates allow without changing these: one thread, `TCP_NODELAY`, buffers of 64 KiB, room
//! for as many streams as the benchmark opens.

use std::env;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Streams at the same time, more than the benchmark opens.
pub const MAX_STREAMS: usize = 12_000;

/// Which end of the tunnel this is, and its two addresses.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// Accepts clients and opens a stream for each.
    Client {
        /// Where clients come.
        listen: SocketAddr,
        /// Where the server waits.
        link: SocketAddr,
    },
    /// Accepts streams and connects each to the upstream.
    Server {
        /// Where the client comes.
        link: SocketAddr,
        /// Where the streams lead.
        upstream: SocketAddr,
    },
}

/// Reads the command line and runs the end that it names until the link is lost.
pub fn main<F: Future<Output = io::Result<()>>>(run: impl FnOnce(End) -> F) -> ExitCode {
    let outcome = end().and_then(|end| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build()?.block_on(run(end))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn end() -> io::Result<End> {
    let words: Vec<String> = env::args().skip(1).collect();
    let address = |index: usize| {
        let word = words.get(index).map_or("", String::as_str);
        let sentence = |_| io::Error::other(format!("{word:?} is no ADDR:PORT"));
        word.parse().map_err(sentence)
    };
    let (first, second) = (address(1), address(2));
    match words.first().map(String::as_str) {
        Some("client") => Ok(End::Client {
            listen: first?,
            link: second?,
        }),
        Some("server") => Ok(End::Server {
            link: first?,
            upstream: second?,
        }),
        Some(_) | None => Err(io::Error::other(
            "usage: client LISTEN LINK, or server LINK UPSTREAM",
        )),
    }
}

/// Connects, without Nagle's algorithm.
///
/// # Errors
///
/// Fails if the connect fails.
pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Accepts the one link.
///
/// # Errors
///
/// Fails if the address is in use, or if accepting fails.
pub async fn accept_link(address: SocketAddr) -> io::Result<TcpStream> {
    let listener = listen(address)?;
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Listens with a backlog that never makes a client wait, and says where.
///
/// # Errors
///
/// Fails if the address is in use.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    println!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

/// Copies between a stream and a connection until both directions have ended.
pub async fn copy(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    socket: io::Result<TcpStream>,
) -> io::Result<()> {
    const BUFFER: usize = 64 * 1024;
    let mut socket = socket?;
    socket.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut stream, &mut socket, BUFFER, BUFFER).await?;
    Ok(())
}
