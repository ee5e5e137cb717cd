//! The loads of the relay, each on a thread of its own and at a bounded rate.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::PoisonError;
use std::time::Duration;

use socket2::Socket;

use crate::load::dial::Dial;
use crate::load::sessions;
use crate::soak::journal::Load;
use crate::soak::metrics::Metrics;
use crate::soak::pace::Pace;
use crate::soak::scene::{Scene, TABLE};
use crate::upstream::tag::{Reading, Tag};
use crate::wait;

/// Opens a connection, sends a byte there and back, closes; a hundred times in a second.
pub(super) fn churn(scene: &Scene) {
    let dial = scene.dial();
    let mut pace = scene.pace(100);
    while pace.tick() {
        let outcome = sessions::open_one(&dial).map(drop);
        scene.outcome(Load::Churn, outcome);
    }
}

/// Ends connections in two other ways than [`churn`].
pub(super) fn resets(scene: &Scene) {
    let dial = scene.dial();
    let mut pace = scene.pace(10);
    while pace.tick() {
        scene.outcome(Load::Resets, reset_with_bytes_under_way(&dial));
        scene.outcome(Load::Resets, half_close(&dial));
    }
}

fn reset_with_bytes_under_way(dial: &Dial) -> io::Result<()> {
    let socket = dial.open()?;
    (&socket).write_all(&[b'?'; 4096])?;
    reset(socket)
}

/// Closes with a reset: `SO_LINGER` in `socket(7)`.
fn reset(socket: Socket) -> io::Result<()> {
    socket.set_linger(Some(Duration::ZERO))?;
    drop(socket);
    Ok(())
}

fn half_close(dial: &Dial) -> io::Result<()> {
    let socket = dial.open()?;
    (&socket).write_all(b"?")?;
    socket.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    (&socket).read_to_end(&mut answer)?;
    match answer.len() {
        1 => Ok(()),
        count => Err(io::Error::other(format!("{count} bytes instead of one"))),
    }
}

/// Bytes that one write of bulk sends.
static PIECE: [u8; 256 * 1024] = [0x5a; 256 * 1024];

/// Sends bulk at some megabytes in a second, and every half minute a transfer as fast as the relay takes it.
pub(super) fn bulk(scene: &Scene) {
    let dial = scene.dial();
    let mut pace = scene.pace(50);
    loop {
        scene.outcome(Load::Transfers, transfer(&dial));
        if !pump(scene, Load::Bulk, &dial, &mut pace) {
            return;
        }
    }
}

/// Sends pieces on one connection after the other, 15 of them; returns false when the soak is over.
pub(super) fn pump(scene: &Scene, load: Load, dial: &Dial, pace: &mut Pace<'_>) -> bool {
    const PIECES_EACH: usize = 100;
    const CONNECTIONS: usize = 15;
    let mut open: Option<Socket> = None;
    for sent in 0..CONNECTIONS * PIECES_EACH {
        if !pace.tick() {
            return false;
        }
        let outcome = match open.take_if(|_| sent % PIECES_EACH != 0) {
            Some(socket) => Ok(socket),
            None => open_sender(dial),
        };
        let outcome = outcome.and_then(|socket| {
            (&socket).write_all(&PIECE)?;
            open = Some(socket);
            Ok(())
        });
        scene.outcome(load, outcome);
    }
    true
}

/// Sends 256 MiB: alone and long enough for the relay to gather.
fn transfer(dial: &Dial) -> io::Result<()> {
    const PIECES: usize = 1024;
    let socket = open_sender(dial)?;
    (0..PIECES).try_for_each(|_| (&socket).write_all(&PIECE))
}

fn open_sender(dial: &Dial) -> io::Result<Socket> {
    let tag = Tag {
        tally: 0,
        reading: Reading::AtOnce,
    };
    let socket = dial.open()?;
    (&socket).write_all(&[tag.byte()])?;
    Ok(socket)
}

/// Sends to readers that never read, until nothing goes through; then one half of the clients resets, and the other
/// closes with bytes unsent.
pub(super) fn stalls(scene: &Scene) {
    const SESSIONS: usize = 2;
    let dial = scene.dial_to_deaf();
    let mut pace = scene.pace(1);
    while pace.tick() {
        let outcome = sessions::open_stalled(&dial, SESSIONS).and_then(|stalled| {
            let mut stalled = stalled.sockets.into_iter();
            scene.journal.done(Load::Stalls, stalled.len() as u64);
            stalled.by_ref().take(SESSIONS / 2).try_for_each(reset)
        });
        if let Err(error) = outcome {
            scene.journal.fault(Load::Stalls, &error);
        }
    }
}

/// Asks for names, one client after the other.
pub(super) fn names(scene: &Scene) {
    ask_for_names(scene, "a");
}

/// The same on another thread, so that some lookups wait at the same time.
pub(super) fn more_names(scene: &Scene) {
    ask_for_names(scene, "b");
}

fn ask_for_names(scene: &Scene, suffix: &str) {
    const MANNERS: [&str; 5] = ["quick", "slow", "quick", "silent", "slow"];
    // More names than a cache keeps for long, fewer than it may hold.
    let numbers = (0..200).cycle();
    let mut pace = scene.pace(10);
    for (number, manner) in numbers.zip(MANNERS.into_iter().cycle()) {
        let Some(dial) = scene.dial_name(&format!("{manner}-{number}{suffix}.soak")) else {
            return;
        };
        if !pace.tick() {
            return;
        }
        match sessions::open_one(&dial) {
            Err(_) if manner == "silent" => {
                scene.journal.caused(Load::Names, "a silent name", 1);
            }
            // The resolver has its own time limit, and says no more than that there was no answer.
            Err(_) if manner == "slow" => scene.journal.late(Load::Names),
            outcome => scene.outcome(Load::Names, outcome.map(drop)),
        }
    }
}

/// Fills the table with clients that say nothing, so that others wait in the accept queue, and leaves.
pub(super) fn full_table(scene: &Scene) {
    let mut pace = scene.pace_of(Duration::from_secs(4));
    while pace.tick() {
        scene.outcome(Load::FullTable, fill_table(scene));
    }
}

fn fill_table(scene: &Scene) -> io::Result<()> {
    const LIMIT: Duration = Duration::from_secs(3);
    const HOLD: Duration = Duration::from_millis(200);
    let dial = scene.dial();
    let connects = (0..TABLE + 8).map(|_| dial.connect());
    let clients = connects.collect::<io::Result<Vec<Socket>>>()?;
    wait::until("a full table", LIMIT, || {
        let metrics = Metrics::read(scene.relay.inspector)?;
        Ok(metrics.value("proxy_sessions_open") >= Some(TABLE))
    })?;
    wait::pass(HOLD)?;
    drop(clients);
    Ok(())
}

/// Sends datagrams on flows that are soon left for new ones: of the old ones, some run out of time and some of room.
pub(super) fn datagrams(scene: &Scene) {
    const FLOWS: usize = 64;
    const PER_SECOND: u32 = 10_000;
    const TIME: Duration = Duration::from_secs(1);
    let mut flows = scene.flows.lock().unwrap_or_else(PoisonError::into_inner);
    let mut pace = scene.pace(1);
    while pace.tick() {
        let renewed = flows.renew(scene.datagram_address(), FLOWS);
        match renewed.and_then(|()| flows.run_at(PER_SECOND, TIME)) {
            Ok(tally) => {
                scene.journal.done(Load::Datagrams, tally.received);
                let lost = tally.sent.saturating_sub(tally.received);
                scene.journal.caused(Load::Datagrams, "lost", lost);
            }
            Err(error) => scene.journal.fault(Load::Datagrams, &error),
        }
    }
}
