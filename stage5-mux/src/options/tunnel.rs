//! The options of both ends of a tunnel.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use stage2_client::{Prefer, parse_time, parse_time_limit};
use stage4_proxy::access::{Users, read_private_file};
use stage4_proxy::flags::OptionalTime;
use stage4_proxy::inspect::{capacity, parse_address};
use stage4_proxy::raise_fd_limit;
use stage4_proxy::resolve::Lookup;
use stage5_mux::tunnel::limits::{SessionLimits, TunnelLimits};
use stage5_mux::tunnel::secret::Secret;
use stage5_mux::tunnel::service::{Config, Ends, WireName};
use stage5_mux::tunnel::transport::Transport;
use stage5_mux::tunnel::transport::peers::{Link, Peers};

use crate::options::ways::{OptionsError, TargetFlags, WayFlags};
/// The options that both ends of a tunnel have.
#[derive(Debug, Args)]
pub(crate) struct TunnelOptions {
    /// What carries the link, one of:
    ///
    /// - tcp:HOST:PORT, unix:PATH, sctp:HOST:PORT: this end connects, again and again.
    /// - tcp-listen:ADDR:PORT, unix-listen:PATH, sctp-listen:ADDR:PORT: this end waits, beyond loopback with --secret-file or
    ///   --clients only, and takes one link at a time. A client says on standard error where it waits.
    /// - exec:COMMAND: the standard input and output of a command, for example exec:ssh host stage5-mux server --via
    ///   stdio; it is started again when it ends. No shell reads it: blanks separate words, '...' and "..." keep them
    ///   together, and a backslash takes the next character as it is. A command that needs a shell names it: exec:sh -c
    ///   'a | b'. It cannot ask for a password.
    /// - stdio: standard input and output. Nothing else is written there, the log is on standard error, and the program
    ///   ends with its link. A terminal is in raw mode meanwhile.
    /// - peer:ID: the transport of this peer in the file of --peers.
    ///
    /// Of two ends, one has to connect and the other one to wait; which of them is the client does not matter.
    #[arg(long, value_name = "TRANSPORT")]
    via: Link,

    /// File with the transports of peers, a line for each: ID = TRANSPORT; # begins a comment
    #[arg(long, value_name = "FILE", value_parser = read_peers)]
    peers: Option<Peers>,

    /// What is spoken on the link; both ends have to name the same
    #[arg(long, value_enum, default_value_t = WireName::Yamux)]
    wire: WireName,

    /// How long the other end may be silent, or off: it is asked for a sign of life before, and then the link and all of
    /// its streams end. On a multiplex link only its kernel can be asked, and a connection that takes nothing for half
    /// of the time while all others wait for it is reset
    #[arg(long, value_name = "TIME", default_value = "30s")]
    keepalive: OptionalTime,

    /// A file with a secret, of one's own for each tunnel: each end proves that it knows the same one before the link
    /// carries anything. Nothing is encrypted by it: that is the work of ssh or WireGuard. Only its owner may be able to
    /// read it (chmod 600); the newline at its end does not count
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Which addresses of a name to try first
    #[arg(long, value_enum, default_value_t = Prefer::Ipv6)]
    prefer: Prefer,

    /// Time for each address that is dialled, and for resolving a name
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time_limit)]
    connect_timeout: Duration,

    /// Time for a client's handshake and for the next request on a kept connection, and for a stream's request header
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time_limit)]
    handshake_timeout: Duration,

    /// Time for the server to say whether a client's target is connected
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time_limit)]
    answer_timeout: Duration,

    /// Time without a byte, both ways, after which a connection is reset, or off
    #[arg(long, value_name = "TIME", default_value = "off")]
    idle_timeout: OptionalTime,

    /// The same after one side has sent FIN, because the other may never answer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time_limit)]
    half_close_timeout: Duration,

    /// Time that connections get to end after SIGTERM, SIGINT or SIGHUP; 0s resets them at once
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    drain_timeout: Duration,

    /// Serve a live page of the link and its streams and of the bytes on their way, in the kernel's queues and in ours,
    /// /routes.json and /metrics here; a port alone means 127.0.0.1
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = parse_address)]
    inspect: Option<SocketAddr>,
}

/// The options of `stage5-mux client`.
#[derive(Debug, Args)]
pub(crate) struct ClientOptions {
    #[command(flatten)]
    ways: WayFlags,

    #[command(flatten)]
    tunnel: TunnelOptions,
}

/// The options of `stage5-mux server`.
#[derive(Debug, Args)]
pub(crate) struct ServerOptions {
    #[command(flatten)]
    targets: TargetFlags,

    #[command(flatten)]
    tunnel: TunnelOptions,
}

impl TunnelOptions {
    /// Returns the transport, for a peer that of the peers' file.
    fn transport(&self) -> Result<Transport, OptionsError> {
        let transport = self.via.clone().transport(self.peers.as_ref());
        transport.map_err(OptionsError::Peer)
    }

    /// Returns whether the link proves who has made it.
    fn is_authenticated(&self) -> bool {
        self.secret_file.is_some()
    }

    /// Turns the command line into the configuration of one end.
    ///
    /// # Errors
    ///
    /// Fails if the file of the secret cannot be used.
    fn into_config(self, via: Transport, ends: Ends) -> Result<Config, OptionsError> {
        let secret = self.secret_file.as_deref().map(read_secret);
        let secret = secret.transpose().map_err(OptionsError::Secret)?;
        let fds = raise_fd_limit();
        let fds = fds.saturating_sub(capacity(fds));
        let limits = TunnelLimits {
            session: SessionLimits {
                keepalive: self.keepalive.0,
                ..SessionLimits::default()
            },
            connect_timeout: self.connect_timeout,
            handshake_timeout: self.handshake_timeout,
            answer_timeout: self.answer_timeout,
            drain_timeout: self.drain_timeout,
            idle_timeout: self.idle_timeout.0,
            half_close_timeout: self.half_close_timeout,
            ..TunnelLimits::default().within_fds(fds)
        };
        Ok(Config {
            ends,
            via,
            wire: self.wire,
            secret,
            lookup: Lookup::system(self.prefer),
            limits,
            inspect: self.inspect,
        })
    }
}

fn read_peers(path: &str) -> Result<Peers, String> {
    Peers::read(path)
}

fn read_secret(path: &Path) -> Result<Secret, String> {
    let in_vain =
        |error: &dyn Display| format!("cannot use the secret file {}: {error}", path.display());
    let content = read_private_file(path).map_err(|error| in_vain(&error))?;
    Secret::of_file(&content).map_err(|error| in_vain(&error))
}

impl ClientOptions {
    /// Turns the command line into the configuration of the client's end, and its users, if it has any.
    ///
    /// # Errors
    ///
    /// Fails if options contradict each other, or if a file cannot be used.
    pub(crate) fn into_config(self) -> Result<(Config, Option<Users>), OptionsError> {
        let via = self.tunnel.transport()?;
        let (link, is_authenticated) = (via.waits_at(), self.tunnel.is_authenticated());
        let max_per_client = self.ways.max_per_client();
        let (ends, users) = self.ways.into_ends(link, is_authenticated)?;
        let mut config = self.tunnel.into_config(via, ends)?;
        config.limits.max_per_client = max_per_client;
        Ok((config, users))
    }
}

impl ServerOptions {
    /// Turns the command line into the configuration of the server's end.
    ///
    /// # Errors
    ///
    /// Fails if options contradict each other, or if a file cannot be used.
    pub(crate) fn into_config(self) -> Result<Config, OptionsError> {
        let via = self.tunnel.transport()?;
        let (link, is_authenticated) = (via.waits_at(), self.tunnel.is_authenticated());
        let ends = self.targets.into_ends(link, is_authenticated)?;
        self.tunnel.into_config(via, ends)
    }
}
