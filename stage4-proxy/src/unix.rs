//! Unix sockets: a stream between two programs of one machine, found by a path (`unix(7)`).
//!
//! The path is a file that bind(2) creates and that no close(2) removes. So a proxy that was killed leaves it behind,
//! and the next bind(2) says "address already in use" although no program listens. Only connect(2) can tell:
//!
//! ```text
//!   bind ─▶ EADDRINUSE ─▶ connect ─▶ connected, or EAGAIN    a program listens: address already in use
//!                                 └▶ ECONNREFUSED             stale: remove the file, and bind again
//! ```
//!
//! The permissions of the file say which users may connect: write permission is needed, and the umask decides
//! which of them bind(2) gives.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::address::unix_text;

/// As many as the machine allows: the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// The file of a socket that listens; removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Option<Identity>,
}

/// What tells our file from one that another program has put there since.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// Because the number of an inode is soon used again; `None` where the file system does not know it.
    created: Option<SystemTime>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // It fails only if the file has gone meanwhile, or the folder may not be changed any more.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates a non-blocking socket that listens at `path`, in place of a stale one.
///
/// # Errors
///
/// Fails with one sentence that names the path and the reason: address already in use, permission denied, or the
/// kernel's own.
pub fn listen(path: &Path) -> io::Result<(Socket, SocketFile)> {
    try_listen(path).map_err(|error| explain(path, &error))
}

fn try_listen(path: &Path) -> io::Result<(Socket, SocketFile)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    let address = SockAddr::unix(path)?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse || !is_stale(path)? {
            return Err(error);
        }
        fs::remove_file(path)?;
        socket.bind(&address)?;
    }
    socket.listen(BACKLOG)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(path),
    };
    Ok((socket, file))
}

/// Returns whether the file is a socket that no program listens at.
fn is_stale(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        // connect(2) would refuse here, too, and the file would be lost.
        return Err(io::Error::other(
            "the file there is no socket, so it is not replaced",
        ));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    let answer = probe.connect(&SockAddr::unix(path)?);
    Ok(answer.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

fn identity(path: &Path) -> Option<Identity> {
    let file = fs::symlink_metadata(path).ok()?;
    Some(Identity {
        device: file.dev(),
        inode: file.ino(),
        created: file.created().ok(),
    })
}

/// Connects to the socket at `path`; the socket is non-blocking, and connected at once, because there is no network.
///
/// # Errors
///
/// Fails as connect(2) does: with `ECONNREFUSED` if no program listens, `ENOENT` without a file, `EACCES`
/// without permission, and with a sentence if the accept queue is full.
pub fn connect(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(socket),
        // Where a TCP socket would go on trying, this one is not even in the accept queue.
        Err(error) if error.raw_os_error() == Some(Errno::EAGAIN as i32) => {
            Err(io::Error::other("the accept queue of the upstream is full"))
        }
        Err(error) => Err(error),
    }
}

fn explain(path: &Path, error: &io::Error) -> io::Error {
    let kind = error.kind();
    let reason = if kind == io::ErrorKind::AddrInUse {
        "address already in use (another program listens there)".to_owned()
    } else if kind == io::ErrorKind::PermissionDenied {
        "permission denied (the folder must be writable)".to_owned()
    } else if kind == io::ErrorKind::NotFound {
        "its folder does not exist".to_owned()
    } else {
        error.to_string()
    };
    io::Error::new(
        kind,
        format!("cannot listen on {}: {reason}", unix_text(path)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_stale_file_is_replaced_and_a_live_one_is_not() {
        let folder = folder();
        let path = folder.path().join("socket");
        let (first, file) = listen(&path).unwrap();
        let error = listen(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(
            error.to_string().contains("address already in use"),
            "{error}"
        );
        drop(first);
        let (_second, successor) = listen(&path).unwrap();
        drop(file);
        assert!(path.exists(), "the file is the successor's");
        connect(&path).unwrap();
        drop(successor);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let folder = folder();
        let path = folder.path().join("letter");
        fs::write(&path, "dear reader").unwrap();
        let error = listen(&path).unwrap_err();
        assert!(error.to_string().contains("no socket"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"dear reader");
        let error = listen(&folder.path().join("missing/socket")).unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
    }

    #[test]
    fn each_way_to_miss_a_socket_is_told_apart() {
        let folder = folder();
        let path = folder.path().join("socket");
        assert_eq!(connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        assert_eq!(
            connect(&path).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        socket.listen(1).unwrap();
        let waiting: Vec<_> = (0..8).map_while(|_| connect(&path).ok()).collect();
        assert!((1..8).contains(&waiting.len()));
        assert!(
            connect(&path)
                .unwrap_err()
                .to_string()
                .contains("accept queue")
        );
    }
}
