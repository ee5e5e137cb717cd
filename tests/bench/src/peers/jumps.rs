//! `ssh -D` and `ssh -J` in the rows of one machine: a client's end, and one sshd for each proxy of the job.
//!
//! ```text
//!   load ──▶ ssh ──▶ sshd ──▶ upstream                    SOCKS5: -D
//!   load ──▶ ssh ──▶ sshd ──▶ sshd ──▶ sshd ──▶ upstream  chain of 3: -L, and -J over the first two
//!             └── one session each, made before the clock runs
//! ```

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::cores::Cores;
use crate::peers::listening::{Started, start_at_free_port};
use crate::peers::{Job, ssh};

/// The folder of the client's end, beside those of the servers.
const CLIENT_FOLDER: &str = "client";

/// Starts the servers and then the client's end, at whose address the load begins.
pub(super) fn start(
    job: Job,
    upstream: SocketAddr,
    cores: Cores,
    folder: &Path,
) -> io::Result<Started> {
    let (mut servers, mut addresses) = (Vec::new(), Vec::new());
    for number in 0..job.proxy_count() {
        let folder = folder.join(number.to_string());
        fs::create_dir_all(&folder)?;
        let launch = |listen| ssh::server(listen, &folder);
        let (server, address) = start_at_free_port(job, cores, &folder, launch)?;
        servers.push(server);
        addresses.push(address);
    }
    let folder = folder.join(CLIENT_FOLDER);
    fs::create_dir_all(&folder)?;
    let launch = |listen| ssh::client(&addresses, forward(job, listen, upstream), &folder);
    let (client, entrance) = start_at_free_port(job, cores, &folder, launch)?;
    // The client's end ends first, so that no server reports a lost session.
    servers.insert(0, client);
    Ok(Started {
        processes: servers,
        addresses: vec![entrance],
    })
}

/// Returns the flag of the client's end: only in the SOCKS5 rows do clients name their targets.
fn forward(job: Job, listen: SocketAddr, upstream: SocketAddr) -> ssh::Forward {
    if job == Job::Socks5 {
        ssh::Forward::Dynamic { listen }
    } else {
        ssh::Forward::Local { listen, upstream }
    }
}
