//! The stage4-proxy program: options, proxy, signals.

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use stage1_server::cli;
use stage4_proxy::{Config, Control, Proxy, check_room_for_a_session};

mod options;

fn main() -> ExitCode {
    let options = options::Options::parse();
    cli::start_logging();
    let config = options.into_config().unwrap_or_else(|error| {
        // Exit status 2, as for any other argument that is wrong.
        let wrong = ErrorKind::ArgumentConflict;
        options::Options::command().error(wrong, error).exit()
    });
    cli::finish(run(&config))
}

fn run(config: &Config) -> io::Result<()> {
    let proxy = Proxy::start(config)?;
    stop_on_signals(proxy.control())?;
    check_room_for_a_session()?;
    cli::announce(proxy.local_addr());
    proxy.wait()
}

/// Drains the proxy at the first signal and ends it at the second.
fn stop_on_signals(control: Control) -> io::Result<()> {
    cli::on_signals(move |_, earlier| match earlier {
        0 => control.drain(),
        _ => control.stop(),
    })
}
