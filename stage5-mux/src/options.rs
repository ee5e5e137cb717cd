//! The command line of stage5-mux.

mod queue;
mod tunnel;
mod ways;

use clap::{Parser, Subcommand};

pub(crate) use queue::QueueOptions;
use tunnel::{ClientOptions, ServerOptions};
pub(crate) use ways::OptionsError;

/// Many clients over one connection: a queue of requests, or a tunnel with streams.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The command to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Queue the requests of many clients for one upstream connection: one exchange at a time
    ///
    /// Prints `listening on ADDR:PORT` once it accepts. After the first SIGTERM, SIGINT or SIGHUP it
    /// stops accepting and answers the requests that it has got (see --drain-timeout); the second
    /// one closes everything at once.
    Queue(QueueOptions),
    /// Carry connections of clients over one link to a `server`, each in a stream of its own
    ///
    /// Prints a line `listening on ADDR:PORT` for each --listen once it accepts. The link is made at once, and made anew
    /// whenever it is lost; meanwhile clients are refused in the words of their protocol, or reset. After the first SIGTERM, SIGINT or SIGHUP it stops accepting and
    /// lets open connections end (see --drain-timeout); the second one closes everything at once.
    Client(ClientOptions),
    /// Connect each stream of a `client`'s link to the upstream, or to the target that it names
    ///
    /// Prints `listening on ADDR:PORT` once it waits for a link; there is one at a time. Signals act as on a
    /// client.
    Server(ServerOptions),
}
