//! The place of a proxy in a measurement, and the command that puts it there.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::growth::Growth;
use crate::limits::session_capacity;
use crate::peers::Job;

/// The addresses and the folder of a proxy.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(super) job: Job,
    /// The address to listen on; port 0 for a proxy that announces its port.
    pub(super) listen: SocketAddr,
    pub(super) upstream: SocketAddr,
    /// For its configuration.
    pub(super) folder: &'a Path,
}

impl Place<'_> {
    /// Returns for how many sessions a proxy has to be configured.
    pub(super) fn session_capacity(&self) -> usize {
        let growth = self.job.growth();
        growth.map_or_else(session_capacity, Growth::capacity)
    }

    /// Returns how many event loops it has to have.
    pub(super) fn threads(&self) -> u8 {
        let growth = self.job.growth();
        growth.map_or(1, |growth| growth.manner.threads())
    }
}

/// A proxy that runs in the foreground, ready to be started.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(super) command: Command,
    pub(super) forks: bool,
}
