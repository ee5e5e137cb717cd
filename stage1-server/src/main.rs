//! The program of stage 1: listen, announce, serve.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use stage1_server::{ListenOptions, cli, listen, local_addr, serve};

/// Sends every line back reversed, to one client at a time.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "RUST_LOG=debug shows each client on standard error."
)]
struct Arguments {
    /// Address to listen on; port 0 takes a free port, and the real one is printed
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    cli::start_logging();
    cli::finish(run(&arguments))
}

/// Stops on signals, listens, prints the address that the socket really has, and serves.
///
/// Clients get `TCP_NODELAY`, so that the kernel sends a short answer at once.
fn run(arguments: &Arguments) -> io::Result<()> {
    cli::exit_on_signals()?;
    let options = ListenOptions {
        nodelay: true,
        ..ListenOptions::default()
    };
    let listener = listen(arguments.listen, &options)?;
    cli::announce(local_addr(&listener)?);
    serve(&listener)
}
