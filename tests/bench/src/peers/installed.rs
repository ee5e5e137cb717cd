//! Whether the program of a subject is installed, how to install it, and which version it is.

use crate::peers::{Kind, Subject, preproxy, program, shadowsocks, socket_proxyd};

impl Subject {
    /// Checks that its program is installed; the error says how to install it.
    pub(crate) fn find(&self) -> Result<(), String> {
        match &self.kind {
            Kind::HaproxyCopy | Kind::HaproxySplice => program::find("haproxy", "haproxy"),
            Kind::NginxDefault | Kind::NginxLarge => {
                program::find("nginx", "nginx libnginx-mod-stream")
            }
            Kind::SocketProxyd => socket_proxyd::find(),
            Kind::Socat => program::find("socat", "socat"),
            Kind::Dante => program::find("danted", "dante-server"),
            Kind::Microsocks => program::find("microsocks", "microsocks"),
            Kind::Vproxy => program::find_or("vproxy", "cargo install vproxy"),
            Kind::Tinyproxy => program::find("tinyproxy", "tinyproxy"),
            Kind::Squid => program::find("squid", "squid"),
            Kind::Apache => program::find("apache2", "apache2"),
            Kind::TrafficServer => program::find("traffic_server", "trafficserver"),
            Kind::Shadowsocks => shadowsocks::find(),
            Kind::Preproxy => preproxy::find(),
            Kind::Tunnel(peer) => peer.find(),
            Kind::Direct
            | Kind::Minimal(_)
            | Kind::Fixed(_)
            | Kind::Early(_)
            | Kind::Ours(_)
            | Kind::Beside(_)
            | Kind::Custom(_) => Ok(()),
        }
    }

    /// Returns the version that its program reports.
    pub(crate) fn version(&self) -> Option<String> {
        match &self.kind {
            Kind::HaproxyCopy | Kind::HaproxySplice => program::version("haproxy", "-v"),
            Kind::NginxDefault | Kind::NginxLarge => program::version("nginx", "-v"),
            Kind::Socat => program::version("socat", "-V"),
            Kind::SocketProxyd => socket_proxyd::version(),
            Kind::Dante => program::version("danted", "-v"),
            Kind::Microsocks => program::package_version("microsocks"),
            Kind::Vproxy => program::version("vproxy", "--version"),
            Kind::Tinyproxy => program::version("tinyproxy", "-v"),
            Kind::Squid => program::version("squid", "-v"),
            Kind::Apache => program::version("apache2", "-v"),
            Kind::TrafficServer => program::package_version("trafficserver"),
            Kind::Shadowsocks => shadowsocks::version(),
            Kind::Preproxy => preproxy::version(),
            Kind::Tunnel(peer) => peer.version(),
            Kind::Ours(programs) | Kind::Beside(programs) => programs.version(),
            Kind::Direct | Kind::Minimal(_) | Kind::Fixed(_) | Kind::Early(_) | Kind::Custom(_) => {
                None
            }
        }
    }
}
