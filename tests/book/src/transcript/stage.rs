//! The place where sessions are played: the course's programs, and a network for each.

use std::env;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::programs;
use crate::transcript::format::Transcript;
use crate::transcript::session::Report;

/// The packages whose programs the commands may use.
const PACKAGES: [&str; 6] = [
    "course",
    "stage1-server",
    "stage2-client",
    "stage3-epoll",
    "stage4-proxy",
    "stage5-mux",
];
/// Programs that need not be installed everywhere: a transcript that uses one of them needs it.
const MAY_BE_MISSING: [&str; 12] = [
    "curl", "ss", "strace", "python3", "socat", "nc", "tcpdump", "nghttpx", "nghttp", "h2load",
    "haproxy", "openssl",
];

/// What a transcript types for the course's own commands, in a folder that has no workspace.
const CARGO: &str = "#!/bin/sh\nshift\nexec course \"$@\"\n";
/// The word in a command that asks for two networks and a cable.
const NET: &str = "net";

/// The programs and the network for all sessions.
pub(super) struct Stage {
    /// A folder with links to the course's programs, and nothing else.
    programs: tempfile::TempDir,
    /// Whether the kernel gives every session a network of its own.
    own_network: bool,
    /// The reason why `cargo course net` makes no networks here.
    no_cable: Option<String>,
}

impl Stage {
    /// Builds the programs and finds out what the kernel allows.
    ///
    /// # Errors
    ///
    /// Fails if a program does not compile.
    pub(super) fn build() -> Result<Self> {
        let programs = tempfile::tempdir().context("cannot create a temporary folder")?;
        for program in programs::build(&PACKAGES)? {
            let name = program.file_name().context("a program without a name")?;
            symlink(&program, programs.path().join(name))?;
        }
        let cargo = programs.path().join("cargo");
        fs::write(&cargo, CARGO)?;
        fs::set_permissions(&cargo, Permissions::from_mode(0o755))?;
        // Tried in a process of its own, because a process cannot leave a network namespace again.
        let mut probe = Command::new(env::current_exe().context("cannot find ourselves")?);
        probe.args(["transcript", "--own-network"]);
        let own_network = probe
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !own_network {
            println!(
                "The kernel allows no network of its own: transcripts use the ports of this machine."
            );
        }
        let no_cable = no_cable(programs.path())?;
        Ok(Self {
            programs,
            own_network,
            no_cable,
        })
    }

    /// Returns whether sessions share no port with each other, so that they may be played side by side.
    pub(super) fn separates_ports(&self) -> bool {
        self.own_network
    }

    /// Returns the reason why a transcript cannot be run on this machine.
    pub(super) fn cannot_run(&self, transcript: &Transcript) -> Option<String> {
        let words = transcript.words();
        let known = MAY_BE_MISSING
            .iter()
            .filter(|name| words.contains(**name))
            .copied();
        let mut needed = known.chain(transcript.needs.iter().map(String::as_str));
        if let Some(name) = needed.find(|name| !is_installed(name)) {
            return Some(format!("{name} is not installed"));
        }
        if let (true, Some(reason)) = (words.contains(NET), &self.no_cable) {
            return Some(reason.clone());
        }
        let mut ports = transcript.ports().into_iter();
        let taken = ports
            .find(|port| !self.own_network && TcpListener::bind(("127.0.0.1", *port)).is_err())?;
        Some(format!(
            "port {taken} is in use, and the kernel allows no network of its own"
        ))
    }

    /// Plays one session in a process of its own, which kills everything that the session leaves behind.
    ///
    /// # Errors
    ///
    /// Fails if the session is not played to its end.
    pub(super) fn play(&self, path: &Path, record: bool) -> Result<Report> {
        let ourselves = env::current_exe().context("cannot find ourselves")?;
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let mut command = Command::new(&ourselves);
        command.arg("transcript").arg(path);
        if self.own_network {
            command.arg("--own-network");
        }
        if record {
            command.arg("--record");
        }
        command.current_dir(folder.path()).env("PATH", self.path()?);
        for (name, _) in env::vars_os() {
            // Removed, because they change the programs' output or the address that they connect to.
            let text = name.to_string_lossy().to_lowercase();
            if text.starts_with("rust_")
                || text.starts_with("course_")
                || text.ends_with("_proxy")
                || text.starts_with("lc_")
            {
                command.env_remove(&name);
            }
        }
        // Without $SHELL bash asks the user database for it, and strace(1) shows how it does.
        command
            .env("SHELL", "/bin/bash")
            // Sessions side by side do not meet each other's networks.
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("LC_ALL", "C")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1")
            .env("PYTHONUNBUFFERED", "1");
        let output = command
            // A signal that kills us with our group spares the session, which then ends its programs.
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start the session")?;
        let name = path.display();
        ensure!(
            output.status.success(),
            "{name}: the session was not played to its end ({})",
            output.status
        );
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{name}: the session has no report"))
    }

    fn path(&self) -> Result<std::ffi::OsString> {
        let old = env::var_os("PATH").unwrap_or_default();
        let places = std::iter::once(self.programs.path().to_owned()).chain(env::split_paths(&old));
        env::join_paths(places).context("the PATH cannot be extended")
    }
}

/// Tries two networks with a cable, and returns the reason if there can be none.
fn no_cable(programs: &Path) -> Result<Option<String>> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let output = Command::new(programs.join("course"))
        .args(["net", "--", "left", "true"])
        .env("XDG_RUNTIME_DIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .context("cannot start the program of cargo course")?;
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((!output.status.success()).then_some(reason))
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
