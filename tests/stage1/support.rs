//! Shared by the tests of stage 1: the program under test.

use std::path::PathBuf;
use std::time::Duration;

use harness::Server;

pub(crate) const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];
/// A window in which a waiting program uses no CPU.
pub(crate) const HALF_A_SECOND: Duration = Duration::from_millis(500);

pub(crate) fn program() -> PathBuf {
    harness::bin!("stage1-server")
}

pub(crate) fn server() -> Server {
    Server::start(program(), &ANY_PORT)
}
