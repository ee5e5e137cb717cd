//! The program of stage 2: resolve, connect, converse.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use stage1_server::cli;
use stage2_client::{Prefer, Target, connect, converse, parse_time_limit, resolve};

/// Sends standard input to a server and prints the server's bytes.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "The end of the input (Ctrl-D) closes the sending direction; the program ends when \
                  the server closes the other one.\nRUST_LOG=debug shows each step on standard error."
)]
struct Arguments {
    /// Server to talk to: NAME:PORT, ADDRESS:PORT or [IPV6]:PORT
    #[arg(default_value = "localhost:8080")]
    target: Target,
    /// Address family to try first if the name has both
    #[arg(long, value_name = "FAMILY", default_value = "ipv6")]
    prefer: Prefer,
    /// Longest wait for each address of the server, like 5s or 200ms
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_time_limit)]
    connect_timeout: Duration,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    cli::start_logging();
    cli::finish(run(&arguments))
}

fn run(arguments: &Arguments) -> io::Result<()> {
    cli::exit_on_signals()?;
    let addresses = resolve(&arguments.target, arguments.prefer)?;
    tracing::debug!("{} has the addresses {addresses:?}", arguments.target);
    let socket = connect(&addresses, arguments.connect_timeout)?;
    tracing::debug!("connected to {:?}", socket.peer_addr()?.as_socket());
    converse(&socket, io::stdin(), io::stdout())
}
