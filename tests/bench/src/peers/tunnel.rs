//! The tunnels: two programs, and one link between them.

mod penguin;
mod relays;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers::listening::wait_for_listener;
use crate::peers::{Job, Kind, Launch, Programs, Subject, ours, ssh};
use crate::process::Process;
use crate::site::Sites;

/// The programs that are tunnels and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TunnelPeer {
    Ssh,
    Penguin,
    Yamux,
    TokioYamux,
}

impl TunnelPeer {
    pub(super) fn find(self) -> Result<(), String> {
        match self {
            Self::Ssh => ssh::find(),
            Self::Penguin => penguin::find(),
            Self::Yamux | Self::TokioYamux => relays::find(),
        }
    }

    pub(super) fn version(self) -> Option<String> {
        match self {
            Self::Ssh => ssh::version(),
            Self::Penguin => penguin::version(),
            Self::Yamux => relays::version("yamux"),
            Self::TokioYamux => relays::version("tokio-yamux"),
        }
    }

    /// Returns the largest sensible number of streams: ssh looks at all of its channels in every turn of its loop.
    pub(super) fn stream_limit(self) -> usize {
        match self {
            Self::Ssh => 1_000,
            Self::Penguin | Self::Yamux | Self::TokioYamux => usize::MAX,
        }
    }
}

/// The program of both ends.
#[derive(Clone, Copy, Debug)]
enum Program<'a> {
    Peer(TunnelPeer),
    Ours(&'a Programs),
}

/// The names of the folders of both ends, side by side.
const SERVER_FOLDER: &str = "server";
const CLIENT_FOLDER: &str = "client";

/// The addresses of an end, and its folder.
#[derive(Debug)]
pub(super) struct EndPlace<'a> {
    /// Where the server's end waits for the link, or where the client's end finds it.
    link: SocketAddr,
    folder: &'a Path,
}

impl Subject {
    /// Builds what a tunnel needs and the bench brings along; the error says why it cannot be measured.
    pub(crate) fn prepare(&self) -> Result<(), String> {
        match self.program() {
            Some(Program::Peer(TunnelPeer::Yamux | TunnelPeer::TokioYamux)) => relays::build(),
            Some(Program::Peer(TunnelPeer::Ssh | TunnelPeer::Penguin) | Program::Ours(_))
            | None => Ok(()),
        }
    }

    /// Returns the program of both ends, if it is a tunnel.
    fn program(&self) -> Option<Program<'_>> {
        match &self.kind {
            Kind::Tunnel(peer) => Some(Program::Peer(*peer)),
            Kind::Ours(programs) | Kind::Beside(programs) => Some(Program::Ours(programs)),
            Kind::Direct
            | Kind::Minimal(_)
            | Kind::HaproxyCopy
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
            | Kind::Preproxy
            | Kind::Shadowsocks
            | Kind::Fixed(_)
            | Kind::Early(_)
            | Kind::Custom(_) => None,
        }
    }

    /// Starts the far end of a tunnel in front of `upstream`; returns it with the address that its link goes to.
    pub(crate) fn start_server(
        &self,
        upstream: SocketAddr,
        sites: &Sites,
        folder: &Path,
    ) -> io::Result<(Process, SocketAddr)> {
        let ip = sites.far_ip();
        let folder = &make_folder(folder, SERVER_FOLDER)?;
        sites.at_far(|cores| {
            let place = EndPlace {
                link: self.address_to_listen_on(ip)?,
                folder,
            };
            let mut launch = self.launch_server(&place, upstream)?;
            let mut process = Process::start(&mut launch.command, cores, launch.forks, folder)?;
            let link = self.wait_for_listener(&mut process, place.link)?;
            Ok((process, link))
        })
    }

    /// Starts the near end of a tunnel, which finds its link at `link`; returns it with the address for clients.
    pub(crate) fn start_client(
        &self,
        (link, upstream): (SocketAddr, SocketAddr),
        sites: &Sites,
        folder: &Path,
    ) -> io::Result<(Process, SocketAddr)> {
        let folder = &make_folder(folder, CLIENT_FOLDER)?;
        let listen = self.address_to_listen_on(Ipv4Addr::LOCALHOST)?;
        let place = EndPlace { link, folder };
        let mut launch = self.launch_client(&place, listen, upstream)?;
        let cores = sites.near_cores();
        let mut process = Process::start(&mut launch.command, cores, launch.forks, folder)?;
        let address = self.wait_for_listener(&mut process, listen)?;
        Ok((process, address))
    }

    fn launch_server(&self, place: &EndPlace<'_>, upstream: SocketAddr) -> io::Result<Launch> {
        match self.program().ok_or_else(no_tunnel)? {
            Program::Peer(TunnelPeer::Ssh) => ssh::server(place.link, place.folder),
            Program::Peer(TunnelPeer::Penguin) => Ok(penguin::server(place)),
            Program::Peer(TunnelPeer::Yamux) => Ok(relays::server("yamux", place, upstream)),
            Program::Peer(TunnelPeer::TokioYamux) => {
                Ok(relays::server("tokio-yamux", place, upstream))
            }
            Program::Ours(programs) => our_server(programs, place, upstream),
        }
    }

    fn launch_client(
        &self,
        place: &EndPlace<'_>,
        listen: SocketAddr,
        upstream: SocketAddr,
    ) -> io::Result<Launch> {
        match self.program().ok_or_else(no_tunnel)? {
            Program::Peer(TunnelPeer::Ssh) => {
                let forward = ssh::Forward::Local { listen, upstream };
                ssh::client(&[place.link], forward, place.folder)
            }
            Program::Peer(TunnelPeer::Penguin) => Ok(penguin::client(place, listen, upstream)),
            Program::Peer(TunnelPeer::Yamux) => Ok(relays::client("yamux", place, listen)),
            Program::Peer(TunnelPeer::TokioYamux) => {
                Ok(relays::client("tokio-yamux", place, listen))
            }
            Program::Ours(programs) => our_client(programs, place, listen),
        }
    }

    /// Returns whether both ends print `listening on ADDR:PORT`.
    fn announces(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Tunnel(TunnelPeer::Ssh | TunnelPeer::Penguin)
        )
    }

    fn address_to_listen_on(&self, ip: Ipv4Addr) -> io::Result<SocketAddr> {
        let any_port = SocketAddr::from((ip, 0));
        if self.announces() {
            return Ok(any_port);
        }
        TcpListener::bind(any_port)?.local_addr()
    }

    /// Waits until a process accepts at an address, and returns that address with its port.
    fn wait_for_listener(
        &self,
        process: &mut Process,
        listen: SocketAddr,
    ) -> io::Result<SocketAddr> {
        if self.announces() {
            return ours::wait_for_address(process);
        }
        wait_for_listener(process, listen)?;
        Ok(listen)
    }
}

fn make_folder(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = parent.join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn no_tunnel() -> io::Error {
    io::Error::other("this column is no tunnel")
}

fn our_server(
    programs: &Programs,
    place: &EndPlace<'_>,
    upstream: SocketAddr,
) -> io::Result<Launch> {
    let mut command = our_program(programs)?;
    command.args(["server", "--via", &format!("tcp-listen:{}", place.link)]);
    command.args(["--upstream", &upstream.to_string()]);
    Ok(Launch {
        command,
        forks: false,
    })
}

fn our_client(programs: &Programs, place: &EndPlace<'_>, listen: SocketAddr) -> io::Result<Launch> {
    let mut command = our_program(programs)?;
    command.args(["client", "--via", &format!("tcp:{}", place.link)]);
    command.args(["--listen", &listen.to_string()]);
    Ok(Launch {
        command,
        forks: false,
    })
}

fn our_program(programs: &Programs) -> io::Result<Command> {
    let path = programs.path(Job::Tunnel);
    let path = path.ok_or_else(|| io::Error::other("this column has no program for a tunnel"))?;
    let mut command = Command::new(path);
    command.env("RUST_LOG", "error");
    Ok(command)
}
