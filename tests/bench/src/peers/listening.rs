//! Processes that are told a port: which one is free, and when they accept there.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::cores::Cores;
use crate::peers::{Job, Launch};
use crate::process::Process;
use crate::stop;
use crate::wait;

/// The running proxies of a job.
#[derive(Debug, Default)]
pub(crate) struct Started {
    /// The first one is next to the client.
    pub(crate) processes: Vec<Process>,
    /// The addresses that the load dials or names, in their order; none without a proxy.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// Starts a process that is told its port, and waits until it accepts there.
pub(super) fn start_at_free_port(
    job: Job,
    cores: Cores,
    folder: &Path,
    launch: impl Fn(SocketAddr) -> io::Result<Launch>,
) -> io::Result<(Process, SocketAddr)> {
    const ATTEMPTS: usize = 3;
    let start_once = || {
        let listen = free_port(job)?;
        let mut launch = launch(listen)?;
        let mut process = Process::start(&mut launch.command, cores, launch.forks, folder)?;
        wait_for_connect(job, &mut process, listen)?;
        Ok((process, listen))
    };
    // Another process may have taken the port between our check and the proxy's bind; then the proxy ends.
    let may_try_again =
        |error: &io::Error| error.kind() != io::ErrorKind::TimedOut && !stop::requested();
    let mut outcome = start_once();
    for _ in 1..ATTEMPTS {
        if !outcome.as_ref().is_err_and(may_try_again) {
            break;
        }
        outcome = start_once();
    }
    outcome
}

/// The ports of proxies that cannot choose one themselves: below those that the kernel gives to connections
/// (`ip_local_port_range`, from 32768), of which a row with many connections leaves none.
const PORTS: Range<u16> = 20_000..32_000;

/// Returns a port that is free at this moment, and another one each time.
fn free_port(job: Job) -> io::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    // Two runs at the same time begin at different ports.
    let first = u16::try_from(std::process::id() % u32::from(count)).unwrap_or(0);
    let mut error = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..count {
        let place = (first + NEXT.fetch_add(1, Ordering::Relaxed) % count) % count;
        match bind_once(job, (Ipv4Addr::LOCALHOST, PORTS.start + place).into()) {
            Ok(address) => return Ok(address),
            Err(why) => error = why,
        }
    }
    Err(error)
}

/// Checks that an address can be bound.
fn bind_once(job: Job, address: SocketAddr) -> io::Result<SocketAddr> {
    if job == Job::Datagrams {
        UdpSocket::bind(address)?.local_addr()
    } else {
        TcpListener::bind(address)?.local_addr()
    }
}

/// Waits until the proxy accepts, for those that do not announce it; a socket for datagrams shows nothing.
fn wait_for_connect(job: Job, process: &mut Process, address: SocketAddr) -> io::Result<()> {
    if job == Job::Datagrams {
        return process.check_alive();
    }
    wait_for_listener(process, address)
}

/// Waits until a process accepts at an address.
pub(super) fn wait_for_listener(process: &mut Process, address: SocketAddr) -> io::Result<()> {
    // The last login of `ssh -J` through four servers takes seconds on a busy core.
    const LIMIT: Duration = Duration::from_secs(30);
    const ATTEMPT: Duration = Duration::from_secs(1);
    wait::until("the proxy to accept", LIMIT, || {
        process.check_alive()?;
        Ok(TcpStream::connect_timeout(&address, ATTEMPT).is_ok())
    })
}
