//! The stage4-proxy program: options, proxy, signals.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use stage1_server::cli;
use stage4_proxy::{Control, Proxy, check_room_for_a_session};

mod options;

fn main() -> ExitCode {
    let options = options::Options::parse();
    cli::start_logging();
    cli::finish(run(options))
}

fn run(options: options::Options) -> io::Result<()> {
    let proxy = Proxy::start(&options.into_config())?;
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
