//! `stdio`: the link is standard input and standard output, for example of a program that ssh(1) has started.
//!
//! | what it is | how it is made non-blocking |
//! |---|---|
//! | a pipe, a FIFO, a terminal | opened once more over `/proc/self/fd` (`proc(5)`): a description of our own |
//! | the same, where that is not allowed | with `O_NONBLOCK`, which is taken away again at the end |
//! | a socket | each call says that it does not wait (`MSG_DONTWAIT`) |
//! | a file, a folder | refused: it has an end, but no peer |

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

use nix::fcntl::OFlag;

use crate::tunnel::transport::pipes::{Channel, Pipes};

/// Opens the link over standard input and standard output. A terminal is in raw mode until the link is dropped.
///
/// # Errors
///
/// Fails with one sentence if one of the two cannot carry a link.
pub(super) fn open() -> io::Result<Pipes> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let mut input = channel(&stdin, "standard input", OpenOptions::new().read(true))?;
    let mut output = channel(&stdout, "standard output", OpenOptions::new().write(true))?;
    // Both may be the same terminal, and then its usual mode must be remembered once.
    if stdin.is_terminal() {
        input.make_raw()?;
    } else if stdout.is_terminal() {
        output.make_raw()?;
    }
    Ok(Pipes::new(input, output, "stdio".to_owned()))
}

fn channel(stream: &impl AsFd, name: &str, access: &mut OpenOptions) -> io::Result<Channel> {
    let file = File::from(stream.as_fd().try_clone_to_owned()?);
    let kind = file.metadata()?.file_type();
    if kind.is_socket() {
        return Ok(Channel::socket(file.into()));
    }
    if !kind.is_fifo() && !kind.is_char_device() {
        let error = format!("{name} cannot carry a link: it is no pipe, socket or terminal");
        return Err(io::Error::other(error));
    }
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let access = access.custom_flags(flags.bits());
    match access.open(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        Ok(own) => Ok(Channel::own(own)),
        // For example a pipe that another user has made.
        Err(_) => Channel::shared(file),
    }
}
