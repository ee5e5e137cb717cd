//! The stage5-mux program: parses options, starts the queue, handles signals.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use stage1_server::cli;
use stage4_proxy::{Control, check_room_for_a_session};
use stage5_mux::queue::Queue;

mod options;

use options::{Command, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    cli::start_logging();
    cli::finish(match options.command {
        Command::Queue(options) => run_queue(options),
    })
}

fn run_queue(options: options::QueueOptions) -> io::Result<()> {
    let queue = Queue::start(&options.into_config())?;
    stop_on_signals(queue.control())?;
    check_room_for_a_session()?;
    cli::announce(queue.local_addr());
    queue.wait()
}

/// Drains the queue on the first signal and stops it on the second.
fn stop_on_signals(control: Control) -> io::Result<()> {
    cli::on_signals(move |_, earlier| match earlier {
        0 => control.drain(),
        _ => control.stop(),
    })
}
