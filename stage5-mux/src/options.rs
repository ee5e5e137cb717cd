//! The command line of stage5-mux.

mod ways;

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use stage2_client::{Prefer, Target, parse_time, parse_time_limit};
use stage4_proxy::access::{Users, read_private_file};
use stage4_proxy::flags::{OptionalKeepalive, OptionalTime, parse_listen};
use stage4_proxy::inspect::{capacity, parse_address};
use stage4_proxy::raise_fd_limit;
use stage4_proxy::resolve::Lookup;
use stage5_mux::queue::{Config, FramingName, Limits};
use stage5_mux::tunnel::limits::{SessionLimits, TunnelLimits};
use stage5_mux::tunnel::secret::Secret;
use stage5_mux::tunnel::service::{self, Ends, WireName};
use stage5_mux::tunnel::transport::Transport;
use stage5_mux::tunnel::transport::peers::{Link, Peers};

pub(crate) use ways::OptionsError;
use ways::{TargetFlags, WayFlags};

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

/// The options of `stage5-mux queue`.
#[derive(Debug, Args)]
pub(crate) struct QueueOptions {
    /// Address to accept clients on, or a name; :PORT is every IPv4 address of this machine, [::]:PORT
    /// every IPv6 address, and port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", value_parser = parse_listen)]
    listen: SocketAddr,

    /// The upstream of all clients: NAME:PORT, IPV4:PORT, [IPV6]:PORT or [IPV6%ZONE]:PORT
    #[arg(long, value_name = "TARGET", default_value = "localhost:3000")]
    upstream: Target,

    /// Protocol that tells where requests and responses end
    #[arg(long, value_enum, default_value_t = FramingName::Http1)]
    framing: FramingName,

    /// Which addresses of a name to try first
    #[arg(long, value_enum, default_value_t = Prefer::Ipv6)]
    prefer: Prefer,

    /// Requests in the queue; further ones are refused with 503
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..))]
    max_queue: u32,

    /// Bytes of a request's head, or of a line; a head has at most 128 fields, too
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    max_head: Size,

    /// Bytes of a request's body that are held; a larger body streams once the upstream is free
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    max_body: Size,

    /// Bytes of a response that are held for a client that reads slowly
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    max_buffered: Size,

    /// Time for a client to send a request, to send the next one, and to make progress while the
    /// upstream waits for it
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time_limit)]
    client_timeout: Duration,

    /// Time of an exchange without a byte to the upstream, or from it to the client; then 504.
    /// After a quarter of it (at least 1 s) without a byte over a kept connection, a request that may
    /// be repeated is sent once more
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time_limit)]
    upstream_timeout: Duration,

    /// Time for each address of the upstream, and for resolving its name
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time_limit)]
    connect_timeout: Duration,

    /// Clients at the same time; further ones wait in the listen backlog
    /// [default: what the limit of open files allows, at most 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    max_connections: Option<u32>,

    /// Silence after which a client or the upstream is probed, or off: one that answers nothing for twice as long, or
    /// reads nothing, has vanished
    #[arg(long, value_name = "TIME", default_value = "60s")]
    keepalive: OptionalKeepalive,

    /// Time that clients get to end after SIGTERM, SIGINT or SIGHUP; 0s resets them at once
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    drain_timeout: Duration,

    /// Serve a live page of all clients, /routes.json and /metrics here; a port alone means
    /// 127.0.0.1
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = parse_address)]
    inspect: Option<SocketAddr>,
}

impl QueueOptions {
    /// Turns the command line into the configuration of a queue.
    pub(crate) fn into_config(self) -> Config {
        let defaults = Limits::default();
        let limits = Limits {
            max_connections: self.max_connections.unwrap_or(defaults.max_connections),
            max_queue: self.max_queue as usize,
            max_head: self.max_head.0,
            max_body: self.max_body.0,
            max_buffered: self.max_buffered.0,
            client_timeout: self.client_timeout,
            upstream_timeout: self.upstream_timeout,
            connect_timeout: self.connect_timeout,
            drain_timeout: self.drain_timeout,
            keepalive: self.keepalive.0,
            ..defaults
        };
        Config {
            listen: self.listen,
            upstream: self.upstream,
            lookup: Lookup::system(self.prefer),
            framing: self.framing,
            limits: limits.within_fds(raise_fd_limit()),
            inspect: self.inspect,
        }
    }
}

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

    /// Serve a live page of the link and its streams, /routes.json and /metrics here; a port alone means 127.0.0.1
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
    fn into_config(self, via: Transport, ends: Ends) -> Result<service::Config, OptionsError> {
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
        Ok(service::Config {
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
    pub(crate) fn into_config(self) -> Result<(service::Config, Option<Users>), OptionsError> {
        let via = self.tunnel.transport()?;
        let (link, is_authenticated) = (via.waits_at(), self.tunnel.is_authenticated());
        let (ends, users) = self.ways.into_ends(link, is_authenticated)?;
        Ok((self.tunnel.into_config(via, ends)?, users))
    }
}

impl ServerOptions {
    /// Turns the command line into the configuration of the server's end.
    ///
    /// # Errors
    ///
    /// Fails if options contradict each other, or if a file cannot be used.
    pub(crate) fn into_config(self) -> Result<service::Config, OptionsError> {
        let via = self.tunnel.transport()?;
        let (link, is_authenticated) = (via.waits_at(), self.tunnel.is_authenticated());
        let ends = self.targets.into_ends(link, is_authenticated)?;
        self.tunnel.into_config(via, ends)
    }
}

/// A number of bytes such as `64KiB` or `1MiB`, above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let split = text.find(|letter: char| !letter.is_ascii_digit());
        let (number, unit) = text.split_at(split.unwrap_or(text.len()));
        let unit = match unit.trim_start() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            other => {
                return Err(format!(
                    "unknown unit {other:?} (write it like 64KiB or 1MiB)"
                ));
            }
        };
        let number: usize = number
            .parse()
            .map_err(|_| "expected a number of bytes such as 64KiB or 1MiB".to_owned())?;
        match number.checked_mul(unit) {
            Some(0) => Err("a size must be above zero".to_owned()),
            Some(size) => Ok(Self(size)),
            None => Err("the size does not fit into the address space".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let table = [
            ("1", 1),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1 MiB", 1 << 20),
            ("3GiB", 3 << 30),
        ];
        for (text, size) in table {
            assert_eq!(text.parse(), Ok(Size(size)));
        }
        for text in [
            "",
            "0",
            "0KiB",
            "KiB",
            "1kb",
            "-1",
            "99999999999999999999",
            "99999999999GiB",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }
}
