//! The stage5-mux program: parses options, starts the queue or an end of the tunnel, handles signals.

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use stage1_server::cli;
use stage4_proxy::access::Users;
use stage4_proxy::{Control, check_room_for_a_session};
use stage5_mux::queue::Queue;
use stage5_mux::tunnel::service::{Config, Ends, Tunnel};

mod options;

use options::{Command, Options, OptionsError};

fn main() -> ExitCode {
    let options = Options::parse();
    cli::start_logging();
    cli::finish(match options.command {
        Command::Queue(options) => run_queue(options),
        Command::Client(options) => {
            let (config, users) = or_exit(options.into_config());
            run_tunnel(&config, users)
        }
        Command::Server(options) => run_tunnel(&or_exit(options.into_config()), None),
    })
}

/// Ends the program with status 2, as for any other argument that is wrong, if there is no configuration.
fn or_exit<T>(config: Result<T, OptionsError>) -> T {
    config.unwrap_or_else(|error| {
        let wrong = ErrorKind::ArgumentConflict;
        Options::command().error(wrong, error).exit()
    })
}

fn run_queue(options: options::QueueOptions) -> io::Result<()> {
    let queue = Queue::start(&options.into_config())?;
    stop_on_signals(queue.control())?;
    check_room_for_a_session()?;
    cli::announce(queue.local_addr());
    queue.wait()
}

fn run_tunnel(config: &Config, users: Option<Users>) -> io::Result<()> {
    let tunnel = Tunnel::start(config)?;
    match users.filter(Users::have_file) {
        Some(users) => {
            let control = tunnel.control();
            let read_again = move || read_again(&users);
            cli::on_signals_and_hangup(read_again, move |_, earlier| stop(&control, earlier))?;
        }
        None => stop_on_signals(tunnel.control())?,
    }
    tunnel.local_addrs().iter().for_each(cli::announce);
    if let (Ends::Client { .. }, Some(address)) = (&config.ends, tunnel.link_addr()) {
        // Standard output has one line, and that is for the clients.
        eprintln!("waiting for the link on {address}");
    }
    tunnel.wait()
}

/// Drains on the first signal and stops on the second.
fn stop_on_signals(control: Control) -> io::Result<()> {
    cli::on_signals(move |_, earlier| stop(&control, earlier))
}

fn stop(control: &Control, earlier: usize) {
    match earlier {
        0 => control.drain(),
        _ => control.stop(),
    }
}

fn read_again(users: &Users) {
    match users.read_again() {
        Ok(count) => tracing::info!(users = count, "the user file was read again"),
        Err(error) => tracing::error!("{error}; the users stay as they were"),
    }
}
