//! A proxy between the load and an upstream, fresh for one measurement.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use crate::cores::Cores;
use crate::load::dial::{Dial, Way};
use crate::peers::Started;
use crate::process::{Process, Usage};
use crate::upstream::Upstream;
use crate::wait;
use crate::window::Window;

/// The processes and threads of one measurement. Dropping it ends the proxies first.
#[derive(Debug)]
pub(crate) struct Arrangement {
    proxies: Vec<Process>,
    dial: Dial,
    upstream: Upstream,
    cores: Cores,
}

impl Arrangement {
    /// Creates it from its parts; without a proxy the load goes to the upstream itself.
    pub(crate) fn new(proxies: Started, way: Way, upstream: Upstream, cores: Cores) -> Self {
        let dial = Dial::new(way, &proxies.addresses, upstream.address());
        Self {
            proxies: proxies.processes,
            dial,
            upstream,
            cores,
        }
    }

    /// Creates it from the ends of a tunnel, and the address at which the load begins.
    pub(crate) fn of_tunnel(
        ends: Vec<Process>,
        address: SocketAddr,
        upstream: Upstream,
        cores: Cores,
    ) -> Self {
        let dial = Dial::new(Way::Plain, &[], address);
        Self {
            proxies: ends,
            dial,
            upstream,
            cores,
        }
    }

    /// Returns the way that the load takes.
    pub(crate) fn dial(&self) -> &Dial {
        &self.dial
    }

    /// Returns the upstream.
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Begins a timed stretch.
    pub(crate) fn window(&self) -> io::Result<Window<'_>> {
        Window::open(&self.proxies, self.cores)
    }

    /// Returns the resources that the proxies use; none without a proxy.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        self.proxies.iter().map(Process::usage).sum()
    }

    /// Sends one empty session through.
    ///
    /// A port that accepts proves little: the kernel does that while the proxy still sets itself up.
    pub(crate) fn prove(&self) -> io::Result<()> {
        let arrived = self.upstream.accepted();
        let socket = self.dial.open()?;
        self.wait_for_arrivals(arrived + 1)?;
        drop(socket);
        self.wait_for_ends()
    }

    /// Sends one byte there and back.
    ///
    /// Some tunnels tell their other end of a stream only with its first byte.
    pub(crate) fn prove_by_echo(&self) -> io::Result<()> {
        let socket = self.dial.open()?;
        (&socket).write_all(b"?")?;
        let sentence = |error| io::Error::other(format!("no echo through the tunnel: {error}"));
        (&socket).read_exact(&mut [0]).map_err(sentence)?;
        drop(socket);
        self.wait_for_ends()
    }

    /// Waits until `count` connections have arrived at the upstream in all.
    pub(crate) fn wait_for_arrivals(&self, count: u64) -> io::Result<()> {
        const LIMIT: Duration = Duration::from_secs(10);
        wait::until("connections at the upstream", LIMIT, || {
            Ok(self.upstream.accepted() >= count)
        })
    }

    /// Waits until the upstream has seen the end of every connection.
    pub(crate) fn wait_for_ends(&self) -> io::Result<()> {
        const LIMIT: Duration = Duration::from_secs(10);
        wait::until("the last ends at the upstream", LIMIT, || {
            Ok(self.upstream.open() == 0)
        })
    }
}
