//! Shared by the tests of stage 2: the program under test, a connection of the library, addresses.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use harness::{Process, Program, in_time};
use socket2::Socket;

/// A window in which a waiting program uses no CPU.
pub(crate) const HALF_A_SECOND: Duration = Duration::from_millis(500);
/// Short enough to wait for, long enough for every loopback connect.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

pub(crate) fn program() -> PathBuf {
    harness::bin!("stage2-client")
}

/// Starts the client with a pipe as its input.
pub(crate) fn client(target: SocketAddr) -> Process {
    Program::new(program())
        .arg(target.to_string())
        .with_stdin()
        .spawn()
}

/// Calls the function under test; a wrong one may hang for minutes.
pub(crate) fn connect(addresses: &[SocketAddr], timeout: Duration) -> io::Result<Socket> {
    let addresses = addresses.to_vec();
    in_time("connect", move || {
        stage2_client::connect(&addresses, timeout)
    })
}
