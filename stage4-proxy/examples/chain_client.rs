//! A client that goes through any chain of hops: standard input to the target, its bytes to standard output.
//!
//! ```console
//! $ stage4-proxy --ingress hop --listen 127.0.0.1:9001 &
//! $ stage4-proxy --ingress hop --listen 127.0.0.1:9002 &
//! $ printf 'hello\n' | cargo run -p stage4-proxy --example chain_client -- 127.0.0.1:9001,127.0.0.1:9002 127.0.0.1:8080
//! ```
//! The chain is chosen here, at run time: the hops know nothing of each other.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use stage1_server::cli;
use stage2_client::{Target, converse};
use stage4_proxy::chain::Client;

/// Sends standard input through a chain of hops to a target, and prints the target's bytes.
#[derive(Debug, Parser)]
struct Arguments {
    /// The hops, in their order: HOST:PORT,HOST:PORT,...; an empty text means none
    #[arg(value_delimiter = ',', num_args = 1)]
    hops: Vec<String>,
    /// The target: HOST:PORT
    target: Target,
}

fn main() -> ExitCode {
    cli::start_logging();
    cli::finish(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let hops = arguments.hops.iter().filter(|hop| !hop.is_empty());
    let hops = hops.map(|hop| hop.parse::<Target>());
    let hops = hops
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let socket = Client::new(hops).connect(&arguments.target);
    let socket = socket.map_err(|error| io::Error::other(sentence(&error)))?;
    converse(&socket, io::stdin(), io::stdout())
}

/// Writes an error with everything that it comes from.
fn sentence(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", sentence(source)),
        None => error.to_string(),
    }
}
