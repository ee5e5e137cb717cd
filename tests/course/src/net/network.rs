//! A network namespace (`network_namespaces(7)`), held by a descriptor: it lives as long as that, or a process in it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};

use crate::net::side::Side;

/// The network of the calling thread.
const OURS: &str = "/proc/thread-self/ns/net";
/// How often an interface of the calling thread's network asks for a router (`sysctl net.ipv6.conf`).
const ROUTER_SOLICITATIONS: &str = "/proc/sys/net/ipv6/conf/default/router_solicitations";
/// The time between two looks at the sockets of a network.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// The network of a side.
#[derive(Debug)]
pub(super) struct Network {
    namespace: File,
}

impl Network {
    /// Creates the network of a side, with one end of its cable in ours.
    ///
    /// # Errors
    ///
    /// Fails if the kernel allows no further network, or no pair of interfaces (`veth(4)`).
    pub(super) fn create(side: Side) -> Result<Self> {
        // In a thread of its own, because a network belongs to a thread, and ours stays where it is.
        let namespace = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open(OURS)
        })
        .context("the kernel allows no further network namespace")?;
        let network = Self { namespace };
        network
            .inside(|| {
                // There is no router, and asking for one would use up numbers of the losses. Without the setting, it asks.
                let _ = fs::write(ROUTER_SOLICITATIONS, "0");
                ip(&side.setup(std::process::id()))
            })
            .with_context(|| format!("cannot set up the network {side}"))??;
        ip(&format!("link set {side} up\n"))?;
        Ok(network)
    }

    /// Returns the number of the descriptor that holds it.
    pub(super) fn descriptor(&self) -> RawFd {
        self.namespace.as_raw_fd()
    }

    /// Does something in this network; processes that it starts stay there.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not let us in.
    pub(super) fn inside<T: Send>(&self, does: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_a_thread(|| {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET)?;
            Ok(does())
        })
    }

    /// Waits until a socket listens in this network, `is_over` says so, or the deadline has passed.
    ///
    /// # Errors
    ///
    /// Fails if the kernel does not let us in.
    pub(super) fn wait_for_listener(
        &self,
        deadline: Instant,
        mut is_over: impl FnMut() -> bool + Send,
    ) -> io::Result<()> {
        self.inside(|| {
            while Instant::now() < deadline && !is_over() && !has_listener() {
                thread::sleep(LOOK_INTERVAL);
            }
        })
    }
}

fn on_a_thread<T: Send>(does: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let ended = thread::scope(|scope| scope.spawn(does).join());
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Returns whether a TCP socket of this thread's network listens, or a UDP socket has an address (`proc_pid_net(5)`).
fn has_listener() -> bool {
    const LISTEN: &str = "0A";
    ["tcp", "tcp6", "udp", "udp6"].iter().any(|protocol| {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{protocol}"));
        text.unwrap_or_default().lines().skip(1).any(|line| {
            let state = line.split_whitespace().nth(3);
            protocol.starts_with("udp") || state == Some(LISTEN)
        })
    })
}

/// Runs commands of `ip` in this thread's network (`ip(8)`, `-batch`).
fn ip(commands: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("there is no program ip: install iproute2")?;
    if let Some(mut stdin) = child.stdin.take() {
        // It fails if the program has ended already, and then its message says why.
        let _ = stdin.write_all(commands.as_bytes());
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let message = message.trim();
    if message.contains("Unknown device type") || message.contains("not supported") {
        bail!("the kernel has no pairs of interfaces (veth): {message}");
    }
    bail!("ip: {message}");
}
