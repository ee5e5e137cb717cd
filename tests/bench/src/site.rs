//! The two machines of a tunnel: one core each, and on request one network each, with a cable of a given rate.
//!
//! ```text
//!      near: core "load"                              far: core "proxy"
//!   ┌──────────────────────────────┐               ┌──────────────────────────────┐
//!   │ load ──▶ client's end ───────┼── the link ──▶│ server's end ──▶ upstream    │
//!   └──────────────────────────────┘               └──────────────────────────────┘
//!      127.0.0.1, 127.210.0.1 ─── veth, tbf(8) at both ends ─── 127.210.0.2, 127.0.0.1
//! ```
//!
//! Without a cable, both are on this machine's loopback. With one, each has a network namespace of its own
//! (`network_namespaces(7)`), which ends with the thread and the processes in it. The addresses of the cable are
//! loopback addresses all the same, because our server accepts a link without authentication nowhere else.

use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::cores::{Cores, pin_this_thread};

const NEAR_IP: Ipv4Addr = Ipv4Addr::new(127, 210, 0, 1);
const FAR_IP: Ipv4Addr = Ipv4Addr::new(127, 210, 0, 2);

/// The two machines; the thread that creates it is on the near one.
#[derive(Debug)]
pub(crate) struct Sites {
    cores: Cores,
    networks: Option<Networks>,
}

#[derive(Debug)]
struct Networks {
    near: File,
    far: File,
}

/// The rate of a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cable {
    pub(crate) megabits: u32,
}

impl Cable {
    /// Returns how many bytes of payload it carries in a second: full segments, with their headers of Ethernet, IPv4,
    /// and TCP with timestamps.
    pub(crate) fn payload_bytes(self) -> f64 {
        const PAYLOAD: f64 = 1448.0;
        const SEGMENT: f64 = 1514.0;
        f64::from(self.megabits) * 1e6 / 8.0 * PAYLOAD / SEGMENT
    }
}

impl Sites {
    /// Creates two machines on the loopback of this one.
    pub(crate) fn on_loopback(cores: Cores) -> Self {
        Self {
            cores,
            networks: None,
        }
    }

    /// Creates two machines with networks of their own and a cable between them. The calling thread is moved to the
    /// near one for the rest of its life.
    pub(crate) fn with_cable(cores: Cores, cable: Cable) -> io::Result<Self> {
        let far = thread::spawn(new_network).join();
        let far =
            far.map_err(|_| io::Error::other("the thread of the far network has panicked"))??;
        let near = new_network()?;
        let sites = Self {
            cores,
            networks: Some(Networks { near, far }),
        };
        sites.connect(cable)?;
        Ok(sites)
    }

    /// Returns the address on which the far machine is reached.
    pub(crate) fn far_ip(&self) -> Ipv4Addr {
        match self.networks {
            None => Ipv4Addr::LOCALHOST,
            Some(_) => FAR_IP,
        }
    }

    /// Returns the cores for a process on the near machine.
    pub(crate) fn near_cores(&self) -> Cores {
        one_core(self.cores.load)
    }

    /// Does something on the far machine: what is started there, processes and threads, stays there.
    pub(crate) fn at_far<T>(&self, action: impl FnOnce(Cores) -> io::Result<T>) -> io::Result<T> {
        self.enter_far()?;
        let outcome = action(one_core(self.cores.proxy));
        self.enter_near()?;
        outcome
    }

    fn enter_far(&self) -> io::Result<()> {
        if let Some(networks) = &self.networks {
            setns(&networks.far, CloneFlags::CLONE_NEWNET)?;
        }
        pin_this_thread(self.cores.proxy)
    }

    fn enter_near(&self) -> io::Result<()> {
        if let Some(networks) = &self.networks {
            setns(&networks.near, CloneFlags::CLONE_NEWNET)?;
        }
        pin_this_thread(self.cores.load)
    }

    fn connect(&self, cable: Cable) -> io::Result<()> {
        let Some(networks) = &self.networks else {
            return Ok(());
        };
        let far = format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            networks.far.as_raw_fd()
        );
        run(
            "ip",
            &[
                "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", &far,
            ],
        )?;
        plug_in("near", NEAR_IP, cable)?;
        self.at_far(|_| plug_in("far", FAR_IP, cable))
    }
}

fn one_core(core: usize) -> Cores {
    Cores {
        proxy: core,
        load: core,
    }
}

/// Does something on a thread in a network of its own, whose loopback has more than twice as many local ports as usual.
///
/// # Errors
///
/// Fails without the right to create a network, and if `action` fails.
pub(crate) fn in_own_network<T: Send>(
    action: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let on_thread = || {
        new_network()?;
        run("ip", &["link", "set", "lo", "up"])?;
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "1500 65500")?;
        action()
    };
    let outcome = thread::scope(|scope| scope.spawn(on_thread).join());
    outcome.map_err(|_| io::Error::other("the thread with its own network has panicked"))?
}

/// Checks that [`in_own_network`] is possible here; the error says why not.
pub(crate) fn check_own_network() -> Result<(), String> {
    in_own_network(|| Ok(())).map_err(|error| error.to_string())
}

/// Moves the calling thread into a network of its own, which has nothing but a loopback that is down.
fn new_network() -> io::Result<File> {
    let sentence = |error: nix::Error| {
        io::Error::other(format!(
            "a network namespace: {}: run this as root, or in `unshare --user --map-root-user --net sh -c 'ip link set lo up; ..'`",
            error.desc()
        ))
    };
    unshare(CloneFlags::CLONE_NEWNET).map_err(sentence)?;
    File::open("/proc/thread-self/ns/net")
}

/// Gives an end of the cable its address and its rate.
fn plug_in(name: &str, ip: Ipv4Addr, cable: Cable) -> io::Result<()> {
    run("ip", &["link", "set", "lo", "up"])?;
    // Otherwise all of 127.0.0.0/8 would be this machine.
    run("ip", &["address", "delete", "127.0.0.1/8", "dev", "lo"])?;
    run("ip", &["address", "add", "127.0.0.1/32", "dev", "lo"])?;
    fs::write(
        format!("/proc/sys/net/ipv4/conf/{name}/route_localnet"),
        "1",
    )?;
    run("ip", &["address", "add", &format!("{ip}/24"), "dev", name])?;
    run("ip", &["link", "set", name, "up"])?;
    let rate = format!("{}mbit", cable.megabits);
    let shape = [
        "root", "tbf", "rate", &rate, "burst", "32kb", "latency", "50ms",
    ];
    run("tc", &[&["qdisc", "add", "dev", name][..], &shape].concat())
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let missing =
        |error| io::Error::other(format!("{program}: {error}: `apt-get install iproute2`"));
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(missing)?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let line = format!("{program} {}: {}", arguments.join(" "), words.trim());
    Err(io::Error::other(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_carries_headers_too() {
        let bytes = Cable { megabits: 100 }.payload_bytes();
        assert!((11.9e6..12.0e6).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_network_of_its_own_has_more_ports_and_a_loopback_that_works() {
        let path = "/proc/sys/net/ipv4/ip_local_port_range";
        let before = fs::read_to_string(path).unwrap();
        let outcome = in_own_network(|| {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            std::net::TcpStream::connect(listener.local_addr()?)?;
            fs::read_to_string(path)
        });
        match outcome {
            Ok(inside) => assert_eq!(inside.split_whitespace().next(), Some("1500")),
            Err(error) => println!("skipped: {error}"),
        }
        assert_eq!(fs::read_to_string(path).unwrap(), before);
    }

    #[test]
    fn the_far_machine_has_its_own_core_and_the_thread_comes_back() {
        let cores = Cores::choose().unwrap();
        let sites = Sites::on_loopback(cores);
        let there = sites.at_far(|cores| Ok(cores.proxy)).unwrap();
        assert_eq!(there, cores.proxy);
        let failed = sites
            .at_far(|_| Err::<(), _>(io::Error::other("far")))
            .unwrap_err();
        assert_eq!(failed.to_string(), "far");
        assert_eq!(Cores::choose().unwrap().proxy, cores.load);
    }
}
