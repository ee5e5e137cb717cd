//! The subjects: direct, other proxies, ours, and how each is started.

mod custom;
mod haproxy;
mod nginx;
pub(crate) mod ours;
mod program;
mod socat;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cores::Cores;
use crate::process::Process;
use crate::stop;
use crate::wait;

pub(crate) use ours::Programs;

/// The work of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Pass bytes on, one upstream connection for each client.
    Relay,
    /// Pass HTTP requests on, one at a time, over one upstream connection for all clients.
    Queue,
}

/// One column of the table.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Direct,
    HaproxyCopy,
    HaproxySplice,
    NginxDefault,
    NginxLarge,
    Socat,
    Ours(Programs),
    Beside(Programs),
    Custom(Vec<String>),
}

/// The addresses and the folder of a proxy.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    job: Job,
    /// The address to listen on; port 0 for a proxy that announces its port.
    listen: SocketAddr,
    upstream: SocketAddr,
    /// For its configuration.
    folder: &'a Path,
}

/// A proxy that runs in the foreground, ready to be started.
#[derive(Debug)]
pub(crate) struct Launch {
    command: Command,
    forks: bool,
}

impl Subject {
    /// Creates the column without a proxy: the load connects to the upstream itself.
    pub(crate) fn direct() -> Self {
        Self {
            name: "direct".into(),
            kind: Kind::Direct,
        }
    }

    /// Creates the column of our programs.
    pub(crate) fn ours(programs: Programs) -> Self {
        Self {
            name: "ours".into(),
            kind: Kind::Ours(programs),
        }
    }

    /// Creates the column of an older build of ours.
    pub(crate) fn beside(programs: Programs) -> Self {
        Self {
            name: "beside".into(),
            kind: Kind::Beside(programs),
        }
    }

    /// Creates the column of any other proxy, from a command with `{listen}`, or `{port}` alone, and `{upstream}` in it.
    pub(crate) fn custom(name: &str, command: &str) -> Self {
        let words = command.split_whitespace().map(String::from).collect();
        Self {
            name: name.into(),
            kind: Kind::Custom(words),
        }
    }

    /// Returns the peers that this program knows, in the order of the table.
    pub(crate) fn peers() -> Vec<Self> {
        let peer = |name: &str, kind| Self {
            name: name.into(),
            kind,
        };
        vec![
            peer("haproxy", Kind::HaproxyCopy),
            peer("haproxy-splice", Kind::HaproxySplice),
            peer("nginx", Kind::NginxDefault),
            peer("nginx-64k", Kind::NginxLarge),
            peer("socat", Kind::Socat),
        ]
    }

    pub(crate) fn is_direct(&self) -> bool {
        matches!(self.kind, Kind::Direct)
    }

    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::Ours(_))
    }

    /// Returns whether it can do a job.
    pub(crate) fn can(&self, job: Job) -> bool {
        match &self.kind {
            Kind::HaproxyCopy | Kind::Ours(_) => true,
            Kind::Beside(programs) => programs.path(job).is_some(),
            Kind::Direct
            | Kind::HaproxySplice
            | Kind::NginxDefault
            | Kind::NginxLarge
            | Kind::Socat
            | Kind::Custom(_) => job == Job::Relay,
        }
    }

    /// Returns whether it prints the address that it listens on, so that it can choose the port itself.
    fn announces_its_address(&self) -> bool {
        matches!(self.kind, Kind::Ours(_) | Kind::Beside(_))
    }

    /// Checks that its program is installed; the error says how to install it.
    pub(crate) fn find(&self) -> Result<(), String> {
        match &self.kind {
            Kind::HaproxyCopy | Kind::HaproxySplice => program::find("haproxy", "haproxy"),
            Kind::NginxDefault | Kind::NginxLarge => {
                program::find("nginx", "nginx libnginx-mod-stream")
            }
            Kind::Socat => program::find("socat", "socat"),
            Kind::Direct | Kind::Ours(_) | Kind::Beside(_) | Kind::Custom(_) => Ok(()),
        }
    }

    /// Returns the version that its program reports.
    pub(crate) fn version(&self) -> Option<String> {
        match &self.kind {
            Kind::HaproxyCopy | Kind::HaproxySplice => program::version("haproxy", "-v"),
            Kind::NginxDefault | Kind::NginxLarge => program::version("nginx", "-v"),
            Kind::Socat => program::version("socat", "-V"),
            Kind::Ours(programs) | Kind::Beside(programs) => programs.version(),
            Kind::Direct | Kind::Custom(_) => None,
        }
    }

    /// Returns the largest sensible number of sessions, because a process for each is expensive.
    pub(crate) fn session_limit(&self) -> usize {
        if matches!(self.kind, Kind::Socat) {
            200
        } else {
            usize::MAX
        }
    }

    /// Starts it in front of `upstream` and waits until it accepts; nothing for direct.
    pub(crate) fn start(
        &self,
        job: Job,
        upstream: SocketAddr,
        cores: Cores,
        folder: &Path,
    ) -> io::Result<Option<(Process, SocketAddr)>> {
        const ATTEMPTS: usize = 3;
        if self.is_direct() {
            return Ok(None);
        }
        let mut outcome = self.start_once(job, upstream, cores, folder);
        for _ in 1..ATTEMPTS {
            // Another process may have taken the port between our check and the proxy's bind.
            if outcome.is_ok() || stop::requested() {
                break;
            }
            outcome = self.start_once(job, upstream, cores, folder);
        }
        outcome.map(Some)
    }

    fn start_once(
        &self,
        job: Job,
        upstream: SocketAddr,
        cores: Cores,
        folder: &Path,
    ) -> io::Result<(Process, SocketAddr)> {
        let listen = if self.announces_its_address() {
            any_port()
        } else {
            free_port()?
        };
        let mut launch = self.launch(&Place {
            job,
            listen,
            upstream,
            folder,
        })?;
        let mut process = Process::start(&mut launch.command, cores, launch.forks, folder)?;
        let address = if self.announces_its_address() {
            ours::wait_for_address(&mut process)?
        } else {
            wait_for_connect(&mut process, listen)?;
            listen
        };
        Ok((process, address))
    }

    fn launch(&self, place: &Place<'_>) -> io::Result<Launch> {
        match &self.kind {
            Kind::Direct => Err(io::Error::other("direct has no process")),
            Kind::HaproxyCopy => haproxy::launch(place, haproxy::Mode::Copy),
            Kind::HaproxySplice => haproxy::launch(place, haproxy::Mode::Splice),
            Kind::NginxDefault => nginx::launch(place, "16k"),
            Kind::NginxLarge => nginx::launch(place, "64k"),
            Kind::Socat => Ok(socat::launch(place)),
            Kind::Ours(programs) | Kind::Beside(programs) => ours::launch(place, programs),
            Kind::Custom(words) => custom::launch(place, words),
        }
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Returns a port that is free at this moment.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind(any_port())?.local_addr()
}

/// Waits until the proxy accepts, for those that do not announce it.
fn wait_for_connect(process: &mut Process, address: SocketAddr) -> io::Result<()> {
    const LIMIT: Duration = Duration::from_secs(10);
    const ATTEMPT: Duration = Duration::from_secs(1);
    wait::until("the proxy to accept", LIMIT, || {
        process.check_alive()?;
        Ok(TcpStream::connect_timeout(&address, ATTEMPT).is_ok())
    })
}
