//! A tunnel on the `tokio-yamux` crate.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use bench_peers::{End, MAX_STREAMS, accept_link, connect, copy, listen};
use futures::StreamExt as _;
use tokio::net::TcpStream;
use tokio_yamux::{Config, Control, Session};

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
    Config {
        accept_backlog: MAX_STREAMS,
        max_stream_count: MAX_STREAMS,
        ..Config::default()
    }
}

async fn run_client(address: SocketAddr, link: SocketAddr) -> io::Result<()> {
    let mut session = Session::new_client(connect(link).await?, config());
    let listener = listen(address)?;
    let control = session.control();
    // The session has to be polled by a task of its own, because opening a stream waits for it.
    let driver = tokio::spawn(async move { while session.next().await.is_some() {} });
    while !driver.is_finished() {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(open(control.clone(), socket));
    }
    Ok(())
}

async fn open(mut control: Control, socket: TcpStream) -> io::Result<()> {
    let stream = control.open_stream().await.map_err(io::Error::other)?;
    copy(stream, Ok(socket)).await
}

async fn run_server(link: SocketAddr, upstream: SocketAddr) -> io::Result<()> {
    let mut session = Session::new_server(accept_link(link).await?, config());
    while let Some(stream) = session.next().await {
        let stream = stream.map_err(io::Error::other)?;
        tokio::spawn(async move { copy(stream, connect(upstream).await).await });
    }
    Ok(())
}
