//! The stage4-proxy program: options, proxy, signals.

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use stage1_server::cli;
use stage4_proxy::access::Users;
use stage4_proxy::{Config, Control, Proxy, check_room_for_a_session};

mod options;

fn main() -> ExitCode {
    let options = options::Options::parse();
    cli::start_logging();
    let (config, users) = options.into_config().unwrap_or_else(|error| {
        // Exit status 2, as for any other argument that is wrong.
        let wrong = ErrorKind::ArgumentConflict;
        options::Options::command().error(wrong, error).exit()
    });
    cli::finish(run(&config, users))
}

fn run(config: &Config, users: Option<Users>) -> io::Result<()> {
    let proxy = Proxy::start(config)?;
    let with_file = users.filter(Users::have_file);
    stop_on_signals(proxy.control(), with_file)?;
    check_room_for_a_session()?;
    cli::announce(proxy.address());
    proxy.wait()
}

/// Drains the proxy at the first signal and ends it at the second; with a file of users, SIGHUP is not among them and
/// has it read again.
fn stop_on_signals(control: Control, users: Option<Users>) -> io::Result<()> {
    let stop = move |_, earlier| match earlier {
        0 => control.drain(),
        _ => control.stop(),
    };
    match users {
        Some(users) => cli::on_signals_and_hangup(move || read_again(&users), stop),
        None => cli::on_signals(stop),
    }
}

fn read_again(users: &Users) {
    match users.read_again() {
        Ok(count) => tracing::info!(users = count, "the user file was read again"),
        Err(error) => tracing::error!("{error}; the users stay as they were"),
    }
}
