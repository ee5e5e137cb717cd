//! The command line of stage4-proxy.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use stage2_client::{Prefer, Target, parse_time, parse_time_limit};
use stage4_proxy::access::{AccessFlags, PolicyError, UserFlags, Users, UsersError};
use stage4_proxy::address::ListenAddress;
use stage4_proxy::flags::{OptionalKeepalive, OptionalTime, Upstream, parse_listen_address};
use stage4_proxy::ingress::{Fixed, Hop, Http, Ingress, Redirect, Socks5};
use stage4_proxy::inspect::parse_address;
use stage4_proxy::proxy_protocol::ProxyProtocolFlags;
use stage4_proxy::resolve::Lookup;
use stage4_proxy::udp::{Filter, UdpLimits};
use stage4_proxy::{Config, Limits, raise_fd_limit};

/// A TCP proxy: relays every client to an upstream of its own, both ways, until both have ended.
///
/// Prints `listening on ADDR:PORT` once it accepts. The first SIGTERM, SIGINT or SIGHUP lets open
/// sessions end (see --drain-timeout), the second ends them at once. With --user-file, SIGHUP reads that
/// file again instead.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Address to accept clients on, or a name; :PORT is every IPv4 address of this machine, [::]:PORT
    /// every IPv6 address, and port 0 takes a free one. unix:PATH is a Unix socket: the permissions of the file, which
    /// follow from the umask, say which users may connect, and they count as clients at 127.0.0.1
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", value_parser = parse_listen_address)]
    listen: ListenAddress,

    /// How the target of a client is determined
    #[arg(long, value_enum, default_value_t = IngressName::Fixed)]
    ingress: IngressName,

    /// Target of the fixed ingress: NAME:PORT, IPV4:PORT, [IPV6]:PORT, [IPV6%ZONE]:PORT or unix:PATH
    #[arg(long, value_name = "TARGET", default_value = "localhost:3000")]
    upstream: Upstream,

    /// Hops on the way to every target, in their order: proxies with --ingress hop
    #[arg(long, value_name = "HOP,...", value_delimiter = ',')]
    chain: Vec<Target>,

    /// Take datagrams as well, at the address and port of --listen: with the fixed ingress for --upstream, with hop
    /// for the target that each datagram names
    #[arg(long)]
    udp: bool,

    /// Which addresses of a name to try first
    #[arg(long, value_enum, default_value_t = Prefer::Ipv6)]
    prefer: Prefer,

    /// Event loops, each on a thread of its own
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,

    /// Sessions at the same time, over all threads; further clients wait in the accept queue
    /// [default: what the limit of open files allows, at most 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    max_connections: Option<u32>,

    /// Sessions of one client's address at the same time, over all threads; a further client is closed at once
    /// [default: no limit]
    ///
    /// All addresses of an IPv6 /64 count as one client, because one machine may have them all, and so do all programs at a
    /// Unix socket, as 127.0.0.1. A client's flows of datagrams are counted apart from its sessions, with the same bound:
    /// the datagrams that would begin a further one are dropped. There is no default,
    /// because behind one address there may be one machine, or a whole office with its router.
    #[arg(long, value_name = "N")]
    max_per_client: Option<NonZeroU32>,

    /// Time for each address of the upstream, and for resolving its name
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time_limit)]
    connect_timeout: Duration,

    /// Time for a client to finish its handshake, and to begin a further request on a kept connection
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time_limit)]
    handshake_timeout: Duration,

    /// Time without a byte that comes or leaves, after which a session is reset, or off
    #[arg(long, value_name = "TIME", default_value = "off")]
    idle_timeout: OptionalTime,

    /// Idle limit after one side has sent FIN, because the other may never answer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time_limit)]
    half_close_timeout: Duration,

    /// Silence after which a client or an upstream is probed, or off: one that acknowledges nothing for twice as long
    /// has vanished, also while bytes for it are unsent; a reader that only pauses stays
    #[arg(long, value_name = "TIME", default_value = "60s")]
    keepalive: OptionalKeepalive,

    /// Time that open sessions, and flows of datagrams, get to end after SIGTERM, SIGINT or SIGHUP; 0s resets them at once.
    /// A flow ends sooner, when nothing has passed for 2s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    drain_timeout: Duration,

    /// Flows of datagrams at the same time, over all threads: one for each client, and for each of its targets. A
    /// new one takes the place of the one that was used the longest time ago
    #[arg(long, value_name = "N", default_value = "4096", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    max_flows: u32,

    /// Time without a datagram after which a flow ends; to port 53, 10s after an answer
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_time_limit)]
    flow_timeout: Duration,

    /// Which senders may answer a client that has sent a datagram to a target
    #[arg(long, value_enum, default_value_t = Filter::Address)]
    udp_filter: Filter,

    #[command(flatten)]
    access: AccessFlags,

    #[command(flatten)]
    proxy_protocol: ProxyProtocolFlags,

    #[command(flatten)]
    users: UserFlags,

    /// Serve a live page of all sessions and of the kernel's queues at both ends of each, /routes.json and /metrics here;
    /// a port alone means 127.0.0.1
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = parse_address)]
    inspect: Option<SocketAddr>,
}

/// Why the command line makes no proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    /// The access rules do not fit the ingress.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// There is no list of users.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// The header of the chain has a host and a port.
    #[error(
        "--upstream unix:PATH is a socket of this machine, and with --chain it is the last hop that connects: it needs HOST:PORT"
    )]
    UnixBehindHops,
    /// Every session would open another one.
    #[error("--upstream is the socket of --listen: the proxy would connect to itself")]
    OwnSocket,
    /// Nothing is redirected to a path.
    #[error(
        "--ingress redirect is for connections that the kernel redirects, and it redirects none to a Unix socket"
    )]
    UnixRedirect,
    /// A Unix socket has no port.
    #[error("--udp is for addresses with a port, and a Unix socket has none")]
    UnixDatagrams,
    /// The ingress does not say where a datagram goes.
    #[error(
        "--udp is for --ingress fixed and --ingress hop: {0} has no datagrams, or its clients ask for them themselves"
    )]
    NoDatagrams(&'static str),
}

/// The ingresses that the command line can name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum IngressName {
    /// Every client goes to --upstream
    Fixed,
    /// The client names its target with SOCKS5 (RFC 1928): CONNECT, or UDP ASSOCIATE for datagrams
    Socks5,
    /// The client names its target as to an HTTP proxy: CONNECT, or a whole URL
    Http,
    /// The client is a proxy with --chain, and names the next hop or the target
    Hop,
    /// The kernel has redirected the client to us (nft redirect), and knows where it wanted to go (SO_ORIGINAL_DST)
    Redirect,
}

impl Options {
    /// Turns the command line into the configuration of a proxy, and its users, if it has any.
    ///
    /// # Errors
    ///
    /// Fails if the flags of the access rules make no policy, or if those of the users do not fit the ingress or
    /// name a file that cannot be read, if the ingress has no datagrams and there is --udp, or if a Unix socket is
    /// where it cannot be.
    pub(crate) fn into_config(self) -> Result<(Config, Option<Users>), OptionsError> {
        self.check_unix()?;
        let users = match self.ingress {
            IngressName::Socks5 | IngressName::Http => self.users.read()?,
            IngressName::Fixed | IngressName::Hop | IngressName::Redirect => {
                self.users.never_asked()?;
                None
            }
        };
        let choosing = || match self.chain[..] {
            [] => self.access.for_choosing(self.listen.socket_addr()),
            [_, ..] => self.access.for_chain(),
        };
        let (ingress, access): (Arc<dyn Ingress>, _) = match self.ingress {
            IngressName::Fixed => (
                Arc::new(match self.upstream {
                    Upstream::Target(target) => Fixed::new(target),
                    Upstream::Unix(path) => Fixed::unix(&path),
                }),
                self.access.for_fixed()?,
            ),
            IngressName::Socks5 => (Arc::new(Socks5::new(users.clone())), choosing()?),
            IngressName::Http => (
                Arc::new(Http::new(users.clone()).keeping_targets()),
                choosing()?,
            ),
            IngressName::Hop => (Arc::new(Hop), choosing()?),
            IngressName::Redirect => (Arc::new(Redirect::new()), choosing()?),
        };
        if self.udp && ingress.datagrams().is_none() {
            return Err(OptionsError::NoDatagrams(ingress.name()));
        }
        let threads = usize::from(self.threads);
        let defaults = Limits::default();
        // SOCKS5 clients ask for datagrams themselves; the others need no descriptors for them.
        let is_socks5 = matches!(self.ingress, IngressName::Socks5);
        let max_flows = if self.udp || is_socks5 {
            self.max_flows
        } else {
            0
        };
        let udp = UdpLimits {
            max_flows,
            flow_timeout: self.flow_timeout,
            filter: self.udp_filter,
        };
        let limits = Limits {
            max_connections: self.max_connections.unwrap_or(defaults.max_connections),
            max_per_client: self.max_per_client,
            connect_timeout: self.connect_timeout,
            handshake_timeout: self.handshake_timeout,
            idle_timeout: self.idle_timeout.0,
            half_close_timeout: self.half_close_timeout,
            drain_timeout: self.drain_timeout,
            keepalive: self.keepalive.0,
            udp,
            ..defaults
        };
        let config = Config {
            listen: self.listen,
            ingress,
            access,
            proxy_protocol: self.proxy_protocol.into(),
            chain: self.chain,
            lookup: Lookup::system(self.prefer),
            threads,
            udp: self.udp,
            limits: limits.within_fds(raise_fd_limit(), threads),
            inspect: self.inspect,
        };
        Ok((config, users))
    }

    fn check_unix(&self) -> Result<(), OptionsError> {
        let listen = match &self.listen {
            ListenAddress::Unix(path) => Some(path),
            ListenAddress::Internet(_) => None,
        };
        let upstream = match (&self.ingress, &self.upstream) {
            (IngressName::Fixed, Upstream::Unix(path)) => Some(path),
            // The others have no use for --upstream.
            (
                IngressName::Socks5 | IngressName::Http | IngressName::Hop | IngressName::Redirect,
                Upstream::Unix(_),
            )
            | (_, Upstream::Target(_)) => None,
        };
        if upstream.is_some() && !self.chain.is_empty() {
            return Err(OptionsError::UnixBehindHops);
        }
        if upstream.is_some() && upstream == listen {
            return Err(OptionsError::OwnSocket);
        }
        if listen.is_some() && matches!(self.ingress, IngressName::Redirect) {
            return Err(OptionsError::UnixRedirect);
        }
        if self.udp && (upstream.is_some() || listen.is_some()) {
            return Err(OptionsError::UnixDatagrams);
        }
        Ok(())
    }
}
