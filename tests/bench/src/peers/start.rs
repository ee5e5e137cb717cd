//! Starts the proxies of a subject, and waits until they accept.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::cores::Cores;
use crate::peers::listening::{Started, start_at_free_port};
use crate::peers::tunnel::TunnelPeer;
use crate::peers::{Job, Kind, Place, Subject, jumps, ours};
use crate::process::Process;

impl Subject {
    /// Starts all proxies of a job, the first one before the client and the last one in front of
    /// `upstream`, and waits until they accept; none for direct.
    pub(crate) fn start(
        &self,
        job: Job,
        upstream: SocketAddr,
        cores: Cores,
        folder: &Path,
    ) -> io::Result<Started> {
        if self.is_direct() {
            Ok(Started::default())
        } else if matches!(self.kind, Kind::Tunnel(TunnelPeer::Ssh)) {
            jumps::start(job, upstream, cores, folder)
        } else {
            self.start_each(job, upstream, cores, folder)
        }
    }

    fn start_each(
        &self,
        job: Job,
        upstream: SocketAddr,
        cores: Cores,
        folder: &Path,
    ) -> io::Result<Started> {
        let mut started: Vec<(Process, SocketAddr)> = Vec::with_capacity(job.proxy_count());
        for number in 0..job.proxy_count() {
            let folder = folder.join(number.to_string());
            fs::create_dir_all(&folder)?;
            // From the last one on, so that a plain relay can be told of the one behind it.
            let next = started.last().map_or(upstream, |(_, address)| *address);
            started.push(self.start_one(job.part(number), next, cores, &folder)?);
        }
        let (processes, addresses) = started.into_iter().rev().unzip();
        Ok(Started {
            processes,
            addresses,
        })
    }

    fn start_one(
        &self,
        job: Job,
        upstream: SocketAddr,
        cores: Cores,
        folder: &Path,
    ) -> io::Result<(Process, SocketAddr)> {
        let launch = |listen| {
            self.launch(&Place {
                job,
                listen,
                upstream,
                folder,
            })
        };
        if self.announces_its_address() {
            let mut launch = launch(any_port())?;
            let mut process = Process::start(&mut launch.command, cores, launch.forks, folder)?;
            let address = ours::wait_for_address(&mut process)?;
            return Ok((process, address));
        }
        start_at_free_port(job, cores, folder, launch)
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
