//! The stage5-mux program: parses options, starts the queue or an end of the tunnel, handles signals.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use stage1_server::cli;
use stage4_proxy::access::Users;
use stage4_proxy::{Control, check_room_for_a_session};
use stage5_mux::queue::Queue;
use stage5_mux::tunnel::service::{Config, Ends, Tunnel};
use stage5_mux::tunnel::transport::Transport;

mod options;

use options::{Command, Options, OptionsError, QueueOptions};

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

fn run_queue(options: QueueOptions) -> io::Result<()> {
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
    for address in tunnel.local_addrs() {
        announce(address, &config.via);
    }
    if let (Ends::Client { .. }, Some(address)) = (&config.ends, tunnel.link_addr()) {
        // Standard output has one line, and that is for the clients.
        tell(&format!("waiting for the link on {address}\n"));
    }
    tunnel.wait()
}

/// Tells where clients, or the link, are accepted. On standard output that would be a frame of a link over it.
fn announce(address: &impl Display, via: &Transport) {
    if *via == Transport::Stdio {
        tell(&format!("listening on {address}\n"));
    } else {
        cli::announce(address);
    }
}

/// Writes a line to standard error in one piece, so that a reader never sees a part of it.
fn tell(line: &str) {
    // A reader that has gone away does not stop the tunnel.
    let _ = io::stderr().write_all(line.as_bytes());
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
