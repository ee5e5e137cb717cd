//! The socket through which commands talk to a network that runs: one request and one answer for a connection, in JSON.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::RawFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::getuid;
use serde::{Deserialize, Serialize};

use crate::net::cable::{Cable, Change, Counts};

/// The variable that names the socket, for the commands that run in a network.
pub(super) const VARIABLE: &str = "COURSE_NET";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request to a network.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) enum Request {
    Pull,
    Plug,
    Change(Change),
    Status,
    Stop,
}

/// A network's answer.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Answer {
    pub(super) cable: Cable,
    pub(super) counts: [Counts; 2],
    /// The descriptors of the network's process that hold its sides.
    pub(super) sides: [RawFd; 2],
}

/// Returns the place of a network's socket: in a folder that only we can write to.
///
/// # Errors
///
/// Fails if there is no such folder.
pub(super) fn path_of(name: Option<&str>) -> Result<PathBuf> {
    if let (None, Some(path)) = (name, env::var_os(VARIABLE)) {
        return Ok(path.into());
    }
    let base = env::var_os("XDG_RUNTIME_DIR").map_or_else(env::temp_dir, PathBuf::from);
    let folder = base.join(format!("course-net-{}", getuid()));
    let made = DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&folder);
    made.with_context(|| format!("cannot create {}", folder.display()))?;
    let owner = fs::metadata(&folder)?.uid();
    ensure!(
        owner == getuid().as_raw(),
        "{} belongs to another user",
        folder.display()
    );
    Ok(folder.join(name.unwrap_or("net")))
}

/// Sends a request and returns the answer, with the number of the network's process.
///
/// # Errors
///
/// Fails if no network listens there.
pub(super) fn ask(path: &Path, request: Request) -> Result<(Answer, i32)> {
    let mut stream = UnixStream::connect(path)
        .context("no such network runs: cargo course net --keep starts one")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let process = getsockopt(&stream, sockopt::PeerCredentials)?.pid();
    let text = serde_json::to_string(&request)?;
    writeln!(stream, "{text}").context("the network takes no request")?;
    let answer = serde_json::from_reader(&stream).context("the network does not answer")?;
    Ok((answer, process))
}

/// Listens at a path, where nothing else may listen.
///
/// # Errors
///
/// Fails if the socket cannot be created.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    // Left behind by a network that was killed.
    let _ = fs::remove_file(path);
    UnixListener::bind(path)
}

/// Answers requests as long as there are clients.
pub(super) fn serve(listener: &UnixListener, mut reply: impl FnMut(Request) -> Answer) {
    for stream in listener.incoming().flatten() {
        // A client that fails harms itself only.
        let _ = answer(&stream, &mut reply);
    }
}

fn answer(mut stream: &UnixStream, reply: &mut impl FnMut(Request) -> Answer) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let answer = reply(serde_json::from_str(&line)?);
    stream.write_all(serde_json::to_string(&answer)?.as_bytes())
}
