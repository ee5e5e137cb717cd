//! Our own programs: built, started, and asked for their address.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::growth::Manner;
use crate::peers::{Job, Launch, Place, program};
use crate::process::Process;
use crate::wait;

/// The paths of our programs; one that is not measured may be missing. `queue` is stage5-mux, which is the tunnel, too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs {
    pub(crate) relay: Option<PathBuf>,
    pub(crate) queue: Option<PathBuf>,
}

impl Programs {
    pub(super) fn path(&self, job: Job) -> Option<&Path> {
        match package(job) {
            Package::Proxy => self.relay.as_deref(),
            Package::Mux => self.queue.as_deref(),
        }
    }

    /// Returns the versions that they report.
    pub(super) fn version(&self) -> Option<String> {
        let paths = [&self.relay, &self.queue].into_iter().flatten();
        let versions: Vec<String> = paths
            .filter_map(|path| program::version_at(path, "--version"))
            .collect();
        (!versions.is_empty()).then(|| versions.join("; "))
    }
}

/// Starts our program for a job; `fixed` makes it a plain relay whatever the job is.
pub(super) fn launch(
    place: &Place<'_>,
    programs: &Programs,
    ingress: Ingress,
) -> io::Result<Launch> {
    let path = programs.path(place.job);
    let path = path.ok_or_else(|| io::Error::other("this column has no program for this job"))?;
    let (listen, upstream) = (place.listen.to_string(), upstream(place));
    let mut command = Command::new(path);
    command.args(match ingress {
        Ingress::Fixed => &[][..],
        Ingress::AsTheJobWants => arguments(place.job),
    });
    command.args(["--listen", &listen, "--upstream", &upstream]);
    command.env("RUST_LOG", "error");
    Ok(Launch {
        command,
        forks: false,
    })
}

/// Returns the upstream as the command line has it: for one job by its name, which has to be looked up.
fn upstream(place: &Place<'_>) -> String {
    let growth = place.job.growth();
    if growth.is_some_and(|growth| growth.manner == Manner::ByName) {
        format!("localhost:{}", place.upstream.port())
    } else {
        place.upstream.to_string()
    }
}

/// How the targets of clients are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ingress {
    AsTheJobWants,
    /// Every client goes to the one upstream, as the measure of what a choice costs.
    Fixed,
}

/// Returns the arguments that make our program do a job.
fn arguments(job: Job) -> &'static [&'static str] {
    match job {
        Job::Relay => &[],
        Job::Grow(growth) => match growth.manner {
            Manner::OneThread => &[],
            Manner::TwoThreads => &["--threads", "2"],
            // The upstream listens on 127.0.0.1 alone, and localhost may be ::1 as well.
            Manner::ByName => &["--prefer", "ipv4"],
        },
        Job::Queue => &["queue", "--framing", "http1"],
        Job::Socks5 | Job::Associate => &["--ingress", "socks5"],
        Job::Connect | Job::Forward | Job::Preproxy => &["--ingress", "http"],
        Job::Chain(_) => &["--ingress", "hop"],
        Job::Datagrams => &["--udp"],
        Job::Tunnel => &["client"],
    }
}

/// Our two packages; each has the name of its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    Proxy,
    Mux,
}

impl Package {
    fn name(self) -> &'static str {
        match self {
            Self::Proxy => "stage4-proxy",
            Self::Mux => "stage5-mux",
        }
    }
}

/// Returns the package that does a job.
pub(crate) fn package(job: Job) -> Package {
    if matches!(job, Job::Queue | Job::Tunnel) {
        Package::Mux
    } else {
        Package::Proxy
    }
}

/// Reads the one line `listening on ADDR:PORT`.
pub(crate) fn wait_for_address(process: &mut Process) -> io::Result<SocketAddr> {
    const LIMIT: Duration = Duration::from_secs(10);
    let mut address = None;
    wait::until("the line `listening on ADDR:PORT`", LIMIT, || {
        process.check_alive()?;
        let output = process.output()?;
        // Only a whole line: the file may hold the beginning of it.
        let line = output.split_once('\n').map_or("", |(line, _)| line);
        address = line
            .strip_prefix("listening on ")
            .and_then(|text| text.parse().ok());
        Ok(address.is_some())
    })?;
    address.ok_or_else(|| io::Error::other("no address"))
}

/// Builds a program of ours in release through the cargo that runs us, and returns its path.
pub(crate) fn build(package: Package) -> io::Result<PathBuf> {
    let package = package.name();
    eprintln!("relay-bench: building {package} in release ...");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", package, "--bin", package])
        .args(["--quiet", "--message-format", "json-render-diagnostics"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        let sentence =
            format!("{package} does not build; `--ours` or `--ours-queue` names another");
        return Err(io::Error::other(sentence));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut lines = messages.lines().rev();
    let path = lines.find_map(|line| executable(line, package));
    path.ok_or_else(|| io::Error::other(format!("cargo did not say where {package} is")))
}

/// Returns the path in cargo's message about a finished binary.
fn executable(message: &str, package: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_ours = message["target"]["name"] == package;
    message["executable"]
        .as_str()
        .filter(|_| is_ours)
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_taken_from_the_right_message() {
        let ours = r#"{"target":{"name":"stage4-proxy"},"executable":"/x/stage4-proxy"}"#;
        let library = r#"{"target":{"name":"stage4_proxy"},"executable":null}"#;
        let package = Package::Proxy.name();
        let path = PathBuf::from("/x/stage4-proxy");
        assert_eq!(executable(ours, package), Some(path));
        assert_eq!(executable(library, package), None);
        assert_eq!(executable("not json", package), None);
    }
}
