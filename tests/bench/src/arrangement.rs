//! A proxy between the load and an upstream, fresh for one measurement.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::cores::Cores;
use crate::load;
use crate::process::{Process, Usage};
use crate::upstream::Upstream;
use crate::wait;
use crate::window::Window;

/// The processes and threads of one measurement. Dropping it ends the proxy first.
#[derive(Debug)]
pub(crate) struct Arrangement {
    proxy: Option<Process>,
    address: SocketAddr,
    upstream: Upstream,
    cores: Cores,
}

impl Arrangement {
    /// Creates it from its parts; without a proxy the load goes to the upstream itself.
    pub(crate) fn new(
        proxy: Option<(Process, SocketAddr)>,
        upstream: Upstream,
        cores: Cores,
    ) -> Self {
        let (proxy, address) = proxy.unzip();
        let address = address.unwrap_or(upstream.address());
        Self {
            proxy,
            address,
            upstream,
            cores,
        }
    }

    /// Returns the address that the load connects to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the upstream.
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Begins a timed stretch.
    pub(crate) fn window(&self) -> io::Result<Window<'_>> {
        Window::open(self.proxy.as_ref(), self.cores)
    }

    /// Returns the resources that the proxy uses; none without a proxy.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        self.proxy
            .as_ref()
            .map_or(Ok(Usage::default()), Process::usage)
    }

    /// Sends one empty session through.
    ///
    /// A port that accepts proves little: the kernel does that while the proxy still sets itself up.
    pub(crate) fn prove(&self) -> io::Result<()> {
        let arrived = self.upstream.accepted();
        let socket = load::connect(self.address)?;
        self.wait_for_arrivals(arrived + 1)?;
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
