//! The demonstration: the upstream, the proxy in front of it, and the folder that is served.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::Signals;
use tempfile::TempDir;

use crate::program::{Program, Voice};
use crate::site;

/// Both programs and the addresses that they listen on; dropping it stops them.
#[derive(Debug)]
pub(crate) struct Demonstration {
    pub(crate) proxy: SocketAddr,
    pub(crate) upstream: SocketAddr,
    pub(crate) inspector: SocketAddr,
    // Fields are dropped in this order: the proxy first, its upstream and the folder after it.
    proxy_program: Program,
    upstream_program: Program,
    _folder: TempDir,
}

impl Demonstration {
    /// Starts the upstream, then the proxy, and reads their addresses from their output.
    ///
    /// # Errors
    ///
    /// Fails if one of them cannot be started, or does not print its address in time.
    pub(crate) fn start(binary: &Path, port: u16, voice: Voice) -> Result<Self> {
        let folder = site::create()?;
        let (upstream_program, upstream) = start_upstream(folder.path(), voice)?;
        let mut command = Command::new(binary);
        command
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--upstream", &upstream.to_string()])
            .args(["--inspect", "127.0.0.1:0"])
            // Short, because a browser keeps connections open and Ctrl-C should not wait for them.
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

    /// Prints the addresses, and what to try.
    pub(crate) fn explain(&self) {
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

    /// Waits for a signal that asks us to end.
    ///
    /// # Errors
    ///
    /// Fails if one of the programs ends before that.
    pub(crate) fn wait(&mut self, signals: &mut Signals) -> Result<()> {
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

    /// Stops both programs.
    ///
    /// # Errors
    ///
    /// Fails if the proxy does not end with exit status 0, as it must after SIGTERM.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let status = self.proxy_program.stop()?;
        self.upstream_program.stop()?;
        ensure!(status.success(), "the proxy did not end cleanly: {status}");
        Ok(())
    }
}

fn start_upstream(folder: &Path, voice: Voice) -> Result<(Program, SocketAddr)> {
    let mut command = Command::new("python3");
    // -u, because the line with the port would otherwise stay in Python's buffer.
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

/// Reads `listening on 127.0.0.1:8080`.
fn listening_address(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("listening on ")?.trim_end().parse().ok()
}

/// Reads `... inspector on http://127.0.0.1:40713/ ...`, in a line of the log.
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
