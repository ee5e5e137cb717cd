//! The file of users: the only I/O of the access rules, at the start and at SIGHUP, and never in a worker.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// The most bytes of a file of users: 16,000 users with long passwords.
const MAX_FILE: u64 = 1024 * 1024;
/// The permissions of all others than the owner (`inode(7)`).
const OTHERS: u32 = 0o077;

/// Why a file of users is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The kernel does not open it, or not read it.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It is a folder, a pipe or a device, which could not be read again.
    #[error("it is not a regular file")]
    NotRegular,
    /// It has passwords, and others may read them or put in their own.
    #[error(
        "its permissions {0:04o} are too open: only its owner may read and write a file of passwords (chmod 600)"
    )]
    Exposed(u32),
    /// It is no list of users.
    #[error("it has more than 1 MiB")]
    TooLarge,
}

/// Reads a file that only its owner may open: it has passwords, or another secret.
///
/// # Errors
///
/// Fails if it cannot be read, is no regular file, is open to others, or is larger than 1 MiB.
pub fn read_private_file(path: &Path) -> Result<Vec<u8>, FileError> {
    // Non-blocking, because the open(2) of a FIFO would wait for a writer, perhaps forever (`fifo(7)`).
    let options = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path);
    let file = options?;
    // Of the open file and not of its path, which may lead to another file by now.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular);
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(FileError::Exposed(mode));
    }
    let mut text = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(FileError::TooLarge);
    }
    Ok(text)
}
