//! The program of stage 3: listen, announce, run the event loop.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use stage1_server::{ListenOptions, cli, listen, local_addr};
use stage3_epoll::{Server, wake_on_signals};

/// Sends every line back reversed, to any number of clients at once.
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

fn run(arguments: &Arguments) -> io::Result<()> {
    let options = ListenOptions {
        nonblocking: true,
        nodelay: true,
        ..ListenOptions::default()
    };
    let listener = listen(arguments.listen, &options)?;
    let address = local_addr(&listener)?;
    let mut server = Server::new(listener).map_err(cli::cannot("create the event loop"))?;
    wake_on_signals(server.waker())?;
    cli::announce(address);
    server.run()
}
