//! The two bare relays of this program.

use std::env;
use std::io;
use std::process::Command;

use crate::peers::{Launch, Place};

/// How such a relay moves bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Copy,
    Splice,
}

pub(super) fn launch(place: &Place<'_>, means: Means) -> io::Result<Launch> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("minimal");
    if means == Means::Splice {
        command.arg("--splice");
    }
    command.args([place.listen, place.upstream].map(|address| address.to_string()));
    Ok(Launch {
        command,
        forks: false,
    })
}
