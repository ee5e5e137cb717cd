//! One of our programs, with its inspector.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::cores::Cores;
use crate::peers::ours;
use crate::process::{Process, Usage};

/// A program that runs.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    process: Process,
    pub(super) address: SocketAddr,
    pub(super) inspector: SocketAddr,
}

impl Program {
    /// Starts a program on a port of its own, and reads both of its addresses.
    pub(super) fn start(
        name: &'static str,
        (path, words): (&Path, &[&str]),
        cores: Cores,
        folder: &Path,
    ) -> io::Result<Self> {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let mut command = Command::new(path);
        command.args(words).args(["--inspect", "127.0.0.1:0"]);
        // The line with the inspector's address, and of the rest the errors only.
        command.env("RUST_LOG", "error,stage4_proxy::control=info");
        let mut process = Process::start(&mut command, cores, false, &folder)?;
        let address = ours::wait_for_address(&mut process)?;
        let errors = process.errors()?;
        let inspector = inspector(&errors)
            .ok_or_else(|| io::Error::other(format!("{name} has no inspector: {errors}")))?;
        Ok(Self {
            name,
            process,
            address,
            inspector,
        })
    }

    /// Returns its memory and fds.
    pub(super) fn usage(&self) -> io::Result<Usage> {
        self.process.usage().map_err(|error| {
            let errors = self.process.errors().unwrap_or_default();
            let last = errors.lines().last().unwrap_or("no message");
            io::Error::other(format!("{} has ended ({error}): {last}", self.name))
        })
    }
}

/// Returns the address in the line `inspector on http://ADDR:PORT/`.
fn inspector(errors: &str) -> Option<SocketAddr> {
    let (_, rest) = errors.split_once("inspector on http://")?;
    rest.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_between_the_scheme_and_the_path() {
        let line = "INFO stage4_proxy::control: inspector on http://127.0.0.1:81/\nmore";
        assert_eq!(inspector(line), "127.0.0.1:81".parse().ok());
        assert_eq!(inspector("inspector off"), None);
    }
}
