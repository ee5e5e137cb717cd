//! The naive proxy as a program: `naive.rs` lists what it does and its faults.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use stage1_server::cli;
use stage2_client::{Prefer, Target, resolve};
use stage4_proxy::naive::{NaiveProxy, create_loop, create_server};

/// Relays each client to one upstream server, the simple way: for learning, not for use.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Address and port to accept clients on
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Server that each client is connected to
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:3000")]
    upstream: Target,
}

fn main() -> ExitCode {
    cli::start_logging();
    cli::finish(run(&Args::parse()))
}

fn run(args: &Args) -> io::Result<()> {
    cli::exit_on_signals()?;
    let upstream = resolve(&args.upstream, Prefer::default())?;
    let listen_sock = create_server(args.listen)?;
    let address = listen_sock.local_addr()?.as_socket();
    let mut proxy = NaiveProxy::new(create_loop()?, listen_sock, upstream)?;
    cli::announce(address.unwrap_or(args.listen));
    proxy.loop_run()
}
