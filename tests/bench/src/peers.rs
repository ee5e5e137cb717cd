//! The subjects: direct, other proxies, ours, and how each is started.

mod apache;
mod custom;
mod dante;
mod haproxy;
mod installed;
mod job;
mod jumps;
mod listening;
mod microsocks;
mod minimal;
mod nginx;
pub(crate) mod ours;
mod place;
mod preproxy;
mod program;
mod shadowsocks;
mod socat;
mod socket_proxyd;
mod squid;
mod ssh;
mod start;
mod tinyproxy;
mod traffic_server;
pub(crate) mod tunnel;
mod vproxy;

use std::io;

use crate::growth::Manner;
use crate::limits::sessions_of;
use crate::load::dial::Way;

pub(crate) use job::Job;
pub(crate) use listening::Started;
use ours::Ingress;
pub(crate) use ours::Programs;
pub(crate) use place::{Launch, Place};
pub(crate) use preproxy::find_curl;
use tunnel::TunnelPeer;

/// One column of the table.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Direct,
    Minimal(minimal::Means),
    HaproxyCopy,
    HaproxySplice,
    NginxDefault,
    NginxLarge,
    SocketProxyd,
    Socat,
    Dante,
    Microsocks,
    Vproxy,
    Tinyproxy,
    Squid,
    Apache,
    TrafficServer,
    Shadowsocks,
    /// The two of curl's `--preproxy`.
    Preproxy,
    /// A tunnel; ssh is a SOCKS5 server and a chain, too.
    Tunnel(TunnelPeer),
    /// Ours as a plain relay, where others are told their targets.
    Fixed(Programs),
    /// Ours in a chain whose clients send before its answers come.
    Early(Programs),
    Ours(Programs),
    Beside(Programs),
    Custom(Vec<String>),
}

/// The part of a column in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// No proxy: the limit of the load.
    Direct,
    /// A bare relay: the limit of one thread.
    Limit,
    /// Ours without a handshake, in the rows of those with one.
    Fixed,
    /// Ours, but its clients do not wait for the answers of a chain.
    Early,
    Peer,
    Ours,
}

impl Subject {
    fn new(name: &str, kind: Kind) -> Self {
        let name = name.into();
        Self { name, kind }
    }

    /// Creates the column without a proxy: the load connects to the upstream itself.
    pub(crate) fn direct() -> Self {
        Self::new("direct", Kind::Direct)
    }

    /// Creates the column of our programs.
    pub(crate) fn ours(programs: Programs) -> Self {
        Self::new("ours", Kind::Ours(programs))
    }

    /// Creates the column of our proxy as a plain relay, beside itself with a handshake.
    pub(crate) fn fixed(programs: Programs) -> Self {
        Self::new("fixed", Kind::Fixed(programs))
    }

    /// Creates the column of our chain whose clients send their first bytes right behind the headers.
    pub(crate) fn early(programs: Programs) -> Self {
        Self::new("early", Kind::Early(programs))
    }

    /// Creates the column of an older build of ours.
    pub(crate) fn beside(programs: Programs) -> Self {
        Self::new("beside", Kind::Beside(programs))
    }

    /// Creates the column of any other proxy, from a command with `{listen}`, or `{port}` alone, and `{upstream}` in it.
    pub(crate) fn custom(name: &str, command: &str) -> Self {
        let words = command.split_whitespace().map(String::from).collect();
        Self::new(name, Kind::Custom(words))
    }

    /// Creates the columns of the two bare relays.
    pub(crate) fn limits() -> Vec<Self> {
        let limit = |name, means| Self::new(name, Kind::Minimal(means));
        vec![
            limit("minimal-copy", minimal::Means::Copy),
            limit("minimal-splice", minimal::Means::Splice),
        ]
    }

    /// Returns the peers that this program knows, in the order of the table.
    pub(crate) fn peers() -> Vec<Self> {
        let peer = Self::new;
        vec![
            peer("haproxy", Kind::HaproxyCopy),
            peer("haproxy-splice", Kind::HaproxySplice),
            peer("nginx", Kind::NginxDefault),
            peer("nginx-64k", Kind::NginxLarge),
            peer("socket-proxyd", Kind::SocketProxyd),
            peer("socat", Kind::Socat),
            peer("dante", Kind::Dante),
            peer("microsocks", Kind::Microsocks),
            peer("vproxy", Kind::Vproxy),
            peer("tinyproxy", Kind::Tinyproxy),
            peer("squid", Kind::Squid),
            peer("apache", Kind::Apache),
            peer("trafficserver", Kind::TrafficServer),
            peer("shadowsocks", Kind::Shadowsocks),
            peer("microsocks+tinyproxy", Kind::Preproxy),
            peer("ssh", Kind::Tunnel(TunnelPeer::Ssh)),
            peer("penguin", Kind::Tunnel(TunnelPeer::Penguin)),
            peer("yamux", Kind::Tunnel(TunnelPeer::Yamux)),
            peer("tokio-yamux", Kind::Tunnel(TunnelPeer::TokioYamux)),
        ]
    }

    pub(crate) fn is_direct(&self) -> bool {
        matches!(self.kind, Kind::Direct)
    }

    /// Returns whether it is a column of the programs that [`Subject::build`] is given.
    pub(crate) fn is_built(&self) -> bool {
        matches!(self.kind, Kind::Ours(_) | Kind::Fixed(_) | Kind::Early(_))
    }

    /// Gives it our programs, if it runs them.
    pub(crate) fn build(&mut self, built: &Programs) {
        if let Kind::Ours(programs) | Kind::Fixed(programs) | Kind::Early(programs) = &mut self.kind
        {
            programs.clone_from(built);
        }
    }

    /// Returns whether a client has nothing to say to it.
    fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Direct | Kind::Fixed(_))
    }

    /// Returns its part in the comparison.
    pub(crate) fn role(&self) -> Role {
        match &self.kind {
            Kind::Direct => Role::Direct,
            Kind::Minimal(_) => Role::Limit,
            Kind::Fixed(_) => Role::Fixed,
            Kind::Early(_) => Role::Early,
            Kind::Ours(_) => Role::Ours,
            Kind::HaproxyCopy
            | Kind::HaproxySplice
            | Kind::NginxDefault
            | Kind::NginxLarge
            | Kind::SocketProxyd
            | Kind::Socat
            | Kind::Dante
            | Kind::Microsocks
            | Kind::Vproxy
            | Kind::Tinyproxy
            | Kind::Squid
            | Kind::Apache
            | Kind::TrafficServer
            | Kind::Shadowsocks
            | Kind::Preproxy
            | Kind::Tunnel(_)
            | Kind::Beside(_)
            | Kind::Custom(_) => Role::Peer,
        }
    }

    /// Returns whether it can do a job.
    pub(crate) fn can(&self, job: Job) -> bool {
        match &self.kind {
            Kind::Direct => job != Job::Queue,
            Kind::Ours(_) => true,
            Kind::Beside(programs) => programs.path(job).is_some(),
            Kind::Fixed(_) => matches!(job, Job::Socks5 | Job::Connect | Job::Chain(_)),
            Kind::Early(_) => matches!(job, Job::Chain(_)),
            // It looks a name up once, when it starts.
            Kind::HaproxyCopy => {
                matches!(job, Job::Relay | Job::Queue)
                    || matches!(job, Job::Grow(growth) if growth.manner != Manner::ByName)
            }
            // With more than one worker, it would be several processes.
            Kind::NginxDefault => {
                matches!(job, Job::Relay | Job::Datagrams)
                    || matches!(job, Job::Grow(growth) if growth.manner == Manner::OneThread)
            }
            Kind::Socat => matches!(job, Job::Relay | Job::Datagrams),
            Kind::Minimal(_)
            | Kind::HaproxySplice
            | Kind::NginxLarge
            | Kind::SocketProxyd
            | Kind::Custom(_) => job == Job::Relay,
            Kind::Dante => matches!(job, Job::Socks5 | Job::Associate),
            Kind::Preproxy => job == Job::Preproxy,
            Kind::Microsocks => matches!(job, Job::Socks5 | Job::Chain(_)),
            Kind::Vproxy => matches!(
                job,
                Job::Socks5
                    | Job::Connect
                    | Job::Forward
                    | Job::Chain(_)
                    | Job::Associate
                    | Job::Preproxy
            ),
            Kind::Shadowsocks => matches!(
                job,
                Job::Socks5 | Job::Chain(_) | Job::Datagrams | Job::Associate
            ),
            Kind::Tunnel(TunnelPeer::Ssh) => {
                matches!(job, Job::Socks5 | Job::Chain(_) | Job::Tunnel)
            }
            Kind::Tunnel(_) => job == Job::Tunnel,
            Kind::Tinyproxy | Kind::Squid | Kind::Apache | Kind::TrafficServer => {
                matches!(job, Job::Connect | Job::Forward)
            }
        }
    }

    /// Returns how a client tells it of the target.
    pub(crate) fn way(&self, job: Job) -> Way {
        match job {
            _ if self.is_plain() => Way::Plain,
            Job::Socks5 => Way::Socks5,
            Job::Connect => Way::Connect,
            Job::Chain(_) => self.way_through_chain(),
            Job::Relay
            | Job::Grow(_)
            | Job::Queue
            | Job::Forward
            | Job::Datagrams
            | Job::Associate
            | Job::Preproxy
            | Job::Tunnel => Way::Plain,
        }
    }

    /// Returns how a client tells the proxies of a chain where to go.
    fn way_through_chain(&self) -> Way {
        if matches!(self.kind, Kind::Ours(_) | Kind::Beside(_)) {
            Way::Hops
        } else if matches!(self.kind, Kind::Early(_)) {
            Way::HopsUnawaited
        } else if matches!(self.kind, Kind::Shadowsocks) {
            Way::Addresses
        } else if matches!(self.kind, Kind::Tunnel(_)) {
            // Its client's end knows the way.
            Way::Plain
        } else {
            Way::Socks5
        }
    }

    /// Returns whether it prints the address that it listens on, so that it can choose the port itself.
    fn announces_its_address(&self) -> bool {
        matches!(
            self.kind,
            Kind::Minimal(_) | Kind::Ours(_) | Kind::Beside(_) | Kind::Fixed(_) | Kind::Early(_)
        )
    }

    /// Returns whether its rate of bytes means anything: microsocks 1.0.3 relays one KiB at a time.
    pub(crate) fn is_meant_for_bulk(&self) -> bool {
        !matches!(self.kind, Kind::Microsocks)
    }

    /// Returns how many new flows it can keep apart at the same time: socat forks for one, and what
    /// comes meanwhile is taken for the same client's.
    pub(crate) fn flows_at_once(&self) -> usize {
        if matches!(self.kind, Kind::Socat) {
            1
        } else {
            50
        }
    }

    /// Returns the largest sensible number of sessions, because a process or two pipes for each are expensive.
    pub(crate) fn session_limit(&self) -> usize {
        /// Two sockets and two pipes.
        const SPLICING: u64 = 6;
        match self.kind {
            Kind::Socat => 200,
            Kind::SocketProxyd => sessions_of(SPLICING),
            Kind::Tunnel(peer) => peer.stream_limit(),
            Kind::Direct
            | Kind::Minimal(_)
            | Kind::HaproxyCopy
            | Kind::HaproxySplice
            | Kind::NginxDefault
            | Kind::NginxLarge
            | Kind::Dante
            | Kind::Microsocks
            | Kind::Vproxy
            | Kind::Tinyproxy
            | Kind::Squid
            | Kind::Apache
            | Kind::TrafficServer
            | Kind::Shadowsocks
            | Kind::Preproxy
            | Kind::Fixed(_)
            | Kind::Early(_)
            | Kind::Ours(_)
            | Kind::Beside(_)
            | Kind::Custom(_) => usize::MAX,
        }
    }

    fn launch(&self, place: &Place<'_>) -> io::Result<Launch> {
        match &self.kind {
            Kind::Direct => Err(io::Error::other("direct has no process")),
            Kind::Minimal(means) => minimal::launch(place, *means),
            Kind::HaproxyCopy => haproxy::launch(place, haproxy::Mode::Copy),
            Kind::HaproxySplice => haproxy::launch(place, haproxy::Mode::Splice),
            Kind::NginxDefault => nginx::launch(place, "16k"),
            Kind::NginxLarge => nginx::launch(place, "64k"),
            Kind::SocketProxyd => Ok(socket_proxyd::launch(place)),
            Kind::Socat => Ok(socat::launch(place)),
            Kind::Dante => dante::launch(place),
            Kind::Microsocks => Ok(microsocks::launch(place)),
            Kind::Vproxy => Ok(vproxy::launch(place)),
            Kind::Tinyproxy => tinyproxy::launch(place),
            Kind::Squid => squid::launch(place),
            Kind::Apache => apache::launch(place),
            Kind::TrafficServer => traffic_server::launch(place),
            Kind::Shadowsocks => Ok(shadowsocks::launch(place)),
            Kind::Preproxy => preproxy::launch(place),
            Kind::Tunnel(_) => Err(io::Error::other("a tunnel has two ends")),
            Kind::Fixed(programs) => ours::launch(place, programs, Ingress::Fixed),
            Kind::Ours(programs) | Kind::Early(programs) | Kind::Beside(programs) => {
                ours::launch(place, programs, Ingress::AsTheJobWants)
            }
            Kind::Custom(words) => custom::launch(place, words),
        }
    }
}
