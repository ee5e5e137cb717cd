//! Shared by the tests of stage 2: the program under test, a connection of the library, addresses.

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use harness::{
    Deadline, PATIENCE, Peer, Process, Program, Scripted, eventually, in_time, proc, sockets,
};
use socket2::Socket;
use stage2_client::converse;

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

/// Connects to a scripted server and converses with it in this process.
pub(crate) fn converse_with(server: &Scripted, input: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
    let socket = connect(&[server.addr()], PATIENCE).expect("the scripted server answers");
    in_time("converse", move || {
        let mut output = Vec::new();
        let result = converse(&socket, Cursor::new(input), &mut output);
        (result, output)
    })
}

/// Waits until the program `pid` sends no more, because its bytes are not read, and not for want of a processor; returns how
/// many bytes wait in its socket.
#[track_caller]
pub(crate) fn wait_until_sender_waits(peer: &Peer, pid: u32) -> u64 {
    let (mut before, mut quiet) = (0, Deadline::exactly(HALF_A_SECOND));
    eventually("the client waits for room to send", PATIENCE, || {
        let row = sockets::find(peer.remote(), peer.local());
        let (unsent, timer) = row.map_or((0, 0), |row| (row.unsent, row.timer));
        // A lost segment also stops the sender, until it is sent again: only a zero window is for long.
        let is_full = timer == sockets::ZERO_WINDOW_PROBE;
        if unsent != before || !is_full || !proc::is_asleep(pid) {
            (before, quiet) = (unsent, Deadline::exactly(HALF_A_SECOND));
        }
        quiet.passed()
    });
    before
}
