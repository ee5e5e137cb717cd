//! `cargo demo`: the proxy at its main job, in front of Python's file server.
//!
//! ```text
//!   browser, curl ──▶ stage4-proxy ──▶ python3 -m http.server ──▶ a temporary folder
//!                          │
//!                      inspector ◀── browser
//! ```

mod check;
mod fetch;
mod program;
mod routes;
mod site;

use std::env;
use std::io::{self, IsTerminal};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

use program::{Program, Voice};

/// Where the proxy of the demonstration listens, if nobody else does.
const PORT: u16 = 8080;

/// Run the proxy in front of a small web site, with its live inspector
///
/// Starts python3 -m http.server on a folder of its own and stage4-proxy in front of it, until Ctrl-C.
/// COURSE_BIN=PROGRAM takes another proxy with the same command line.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Fetch every file through the proxy and directly, compare, print the route table, exit
    #[arg(long)]
    check: bool,
}

/// The programs of the demonstration and where they listen; dropping it ends them.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) proxy: SocketAddr,
    pub(crate) upstream: SocketAddr,
    pub(crate) inspector: SocketAddr,
    // Fields are dropped in this order: the proxy first, its upstream and the folder after it.
    proxy_program: Program,
    upstream_program: Program,
    _folder: TempDir,
}

/// Runs the demonstration.
///
/// # Errors
/// When a program cannot be built or started, ends by itself, or the check finds a difference.
pub(crate) fn run(options: &Options) -> Result<()> {
    // From here on signals are ours, so that nothing stays behind whenever one arrives.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCHLD])?;
    let binary = proxy_binary()?;
    if options.check {
        let mut stage = Stage::set(&binary, 0, Voice::Silent)?;
        check::run(&stage, &mut signals)?;
        stage.strike()?;
        println!(
            "\nEverything that came through the proxy equals the direct answer, byte for byte."
        );
        return Ok(());
    }
    let mut stage = Stage::set(&binary, free_port(), Voice::Shown)?;
    stage.explain();
    stage.wait(&mut signals)?;
    stage.strike()?;
    println!("Both programs have ended.");
    Ok(())
}

impl Stage {
    /// Starts the upstream, then the proxy, and learns their addresses.
    fn set(binary: &Path, port: u16, voice: Voice) -> Result<Self> {
        let folder = site::create()?;
        let (upstream_program, upstream) = start_upstream(folder.path(), voice)?;
        let mut command = Command::new(binary);
        command
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--upstream", &upstream.to_string()])
            .args(["--inspect", "127.0.0.1:0"])
            // A browser keeps connections open; whoever types Ctrl-C does not want to wait for it.
            .args(["--drain-timeout", "1s"]);
        if !io::stderr().is_terminal() {
            command.env("NO_COLOR", "1");
        }
        let mut proxy_program = Program::start("proxy", &mut command, voice)?;
        let proxy = proxy_program.find("where it listens", listening_address)?;
        let inspector = proxy_program
            .find("where its inspector is", inspector_address)
            .context("is RUST_LOG set to less than info?")?;
        Ok(Self {
            proxy,
            upstream,
            inspector,
            proxy_program,
            upstream_program,
            _folder: folder,
        })
    }

    fn explain(&self) {
        let Self {
            proxy,
            upstream,
            inspector,
            ..
        } = self;
        println!(
            "
  through the proxy   http://{proxy}/
  the upstream alone  http://{upstream}/
  the inspector       http://{inspector}/     (also /routes.json and /metrics)

Try this:
  open http://{proxy}/welcome.html in a browser, and the inspector beside it
  curl http://{proxy}/notes.txt
  curl -o /dev/null --limit-rate 50k http://{proxy}/bytes.bin     and watch its row
  curl http://{inspector}/routes.json

Ctrl-C ends it all.
"
        );
    }

    /// Waits for a signal that asks us to end; a program that ends before is an error.
    fn wait(&mut self, signals: &mut Signals) -> Result<()> {
        for signal in signals.forever() {
            if signal != SIGCHLD {
                return Ok(());
            }
            if let Some(status) = self.proxy_program.ended() {
                bail!("the proxy ended by itself: {status}");
            }
            if let Some(status) = self.upstream_program.ended() {
                bail!("the upstream ended by itself: {status}");
            }
        }
        Ok(())
    }

    /// Ends both programs; the proxy must end as it promises.
    fn strike(&mut self) -> Result<()> {
        let status = self.proxy_program.stop()?;
        self.upstream_program.stop()?;
        ensure!(status.success(), "the proxy did not end cleanly: {status}");
        Ok(())
    }
}

/// Returns the proxy to show: ours, freshly built, or the one that `COURSE_BIN` names.
fn proxy_binary() -> Result<PathBuf> {
    if let Some(binary) = env::var_os("COURSE_BIN") {
        println!("Using {} (COURSE_BIN).", Path::new(&binary).display());
        return Ok(binary.into());
    }
    println!("Building stage4-proxy ...");
    crate::workspace::build("stage4-proxy")
}

fn start_upstream(folder: &Path, voice: Voice) -> Result<(Program, SocketAddr)> {
    let mut command = Command::new("python3");
    // -u: the line with the port would otherwise wait in a buffer.
    command
        .args([
            "-u",
            "-m",
            "http.server",
            "0",
            "--bind",
            "127.0.0.1",
            "--directory",
        ])
        .arg(folder);
    let mut program = Program::start("upstream", &mut command, voice)
        .context("the demonstration needs Python 3")?;
    let address = program.find("where it listens", python_address)?;
    Ok((program, address))
}

/// Returns the usual port, or 0 with a sentence when it is taken.
fn free_port() -> u16 {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)) {
        Ok(_) => PORT,
        Err(error) => {
            println!("Port {PORT} cannot be used ({error}), so the proxy takes a free one.");
            0
        }
    }
}

/// Reads `listening on 127.0.0.1:8080`.
fn listening_address(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("listening on ")?.trim_end().parse().ok()
}

/// Reads `... inspector on http://127.0.0.1:40713/ ...`, the rest of the line is the log's affair.
fn inspector_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("inspector on http://")?;
    rest.split_once('/')?.0.parse().ok()
}

/// Reads `Serving HTTP on 127.0.0.1 port 43241 (http://127.0.0.1:43241/) ...`.
fn python_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("(http://")?;
    rest.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_lines_of_the_programs() {
        let address = Some("127.0.0.1:4321".parse().unwrap());
        assert_eq!(listening_address("listening on 127.0.0.1:4321"), address);
        assert_eq!(
            inspector_address(
                "\u{1b}[2mINFO\u{1b}[0m x: inspector on http://127.0.0.1:4321/\u{1b}[0m"
            ),
            address
        );
        assert_eq!(
            python_address("Serving HTTP on 127.0.0.1 port 4321 (http://127.0.0.1:4321/) ..."),
            address
        );
    }

    #[test]
    fn other_lines_hold_no_address() {
        for line in [
            "",
            "listening on nothing",
            "inspector on http://",
            "Serving HTTP on (http://x/)",
        ] {
            let found = [
                listening_address(line),
                inspector_address(line),
                python_address(line),
            ];
            assert_eq!(found, [None; 3], "{line}");
        }
    }
}
