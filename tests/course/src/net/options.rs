//! The command line of `cargo course net`.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::net::cable::Change;
use crate::net::side::Side;

/// The end of `--help`.
const EXAMPLES: &str = "\
left is 10.0.0.1 and fd00::1, right is 10.0.0.2 and fd00::2; the names left, left6, right and right6 are known on both sides. Packets
to `silent` (192.0.2.2, 2001:db8::2) vanish behind right; `half-silent` is 2001:db8::2 and 10.0.0.2. Programs of the course are found by
their names.

  cargo course net --delay 50ms -- left stage2-client right:8080 -- right stage1-server --listen 10.0.0.2:8080
        both commands; left starts once right listens, and when left ends, right is ended, too
  cargo course net --rate 10mbit --loss 1%
        a shell in left; in another terminal:
  cargo course net exec right      a shell in right, or a command
  cargo course net pull            the cable is pulled: packets vanish; `plug` puts it back
  cargo course net set --loss 5%   another cable, at once
  cargo course net status          what has become of the packets

Nothing needs root, where the kernel allows user namespaces. Everything ends with the command, with Ctrl-C and with SIGTERM.";

/// Make two networks joined by a cable with a delay, a rate and losses, and run a command in each
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(super) action: Option<Action>,

    #[command(flatten)]
    pub(super) cable: Change,

    /// The commands: left COMMAND ... -- right COMMAND ...; without any, left gets a shell
    #[arg(last = true, value_name = "COMMANDS")]
    pub(super) words: Vec<String>,

    /// Keep the network until Ctrl-C or `cargo course net stop`
    #[arg(long)]
    pub(super) keep: bool,

    /// How long left waits for right to listen
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1s")]
    pub(super) wait: Duration,

    /// Other numbers lose other packets
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,

    /// The name of the network, for several at a time [default: net]
    #[arg(long, global = true)]
    pub(super) name: Option<String>,
}

/// What is done with a network that runs.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Run a command in one side, or a shell
    Exec {
        side: Side,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Pull the cable: packets vanish in both directions, also those under way
    Pull,
    /// Put the cable back
    Plug,
    /// Change the cable
    Set(Change),
    /// Show the cable, and what has become of the packets
    Status,
    /// End the network
    Stop,
}
