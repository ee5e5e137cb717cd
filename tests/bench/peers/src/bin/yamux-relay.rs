//! A tunnel on the `yamux` crate.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::task::{Context, Poll};

use bench_peers::{End, MAX_STREAMS, accept_link, connect, copy, listen};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use yamux::{Config, Connection, Mode, Stream};

fn main() -> ExitCode {
    bench_peers::main(run)
}

async fn run(end: End) -> io::Result<()> {
    match end {
        End::Client { listen, link } => run_client(listen, link).await,
        End::Server { link, upstream } => run_server(link, upstream).await,
    }
}

fn config() -> Config {
    let mut config = Config::default();
    // The usual bound of 1 GiB is too small for so many streams.
    config.set_max_connection_receive_window(None);
    config.set_max_num_streams(MAX_STREAMS);
    config
}

async fn run_client(address: SocketAddr, link: SocketAddr) -> io::Result<()> {
    let socket = connect(link).await?;
    let listener = listen(address)?;
    let mut client = Client {
        connection: Connection::new(socket.compat(), config(), Mode::Client),
        listener,
        waiting: VecDeque::new(),
    };
    poll_fn(|cx| client.poll(cx)).await
}

/// The link, and the clients that wait for their streams.
struct Client {
    connection: Connection<Compat<TcpStream>>,
    listener: TcpListener,
    waiting: VecDeque<TcpStream>,
}

impl Client {
    /// Accepts clients, opens streams, and drives the connection; ends with it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Poll::Ready(accepted) = self.listener.poll_accept(cx) {
            self.waiting.push_back(accepted?.0);
        }
        while !self.waiting.is_empty()
            && let Poll::Ready(stream) = self.connection.poll_new_outbound(cx)
        {
            let stream = stream.map_err(io::Error::other)?;
            if let Some(socket) = self.waiting.pop_front() {
                tokio::spawn(copy(stream.compat(), Ok(socket)));
            }
        }
        match self.connection.poll_next_inbound(cx) {
            Poll::Ready(Some(Ok(_))) => {
                Poll::Ready(Err(io::Error::other("a stream of the server")))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(io::Error::other(error))),
            Poll::Ready(None) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }
}

async fn run_server(link: SocketAddr, upstream: SocketAddr) -> io::Result<()> {
    let socket = accept_link(link).await?;
    let mut connection = Connection::new(socket.compat(), config(), Mode::Server);
    while let Some(stream) = poll_fn(|cx| connection.poll_next_inbound(cx)).await {
        tokio::spawn(serve(stream.map_err(io::Error::other)?, upstream));
    }
    Ok(())
}

async fn serve(stream: Stream, upstream: SocketAddr) -> io::Result<()> {
    copy(stream.compat(), connect(upstream).await).await
}
