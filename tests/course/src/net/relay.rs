//! The relay in the middle: it carries frames from one interface to the other, as the cable says.
//!
//! ```text
//!   network left      middle                                        network right
//!   wire ◀──veth──▶ left ◀─ packet socket ─▶ Line ×2 ◀─ packet socket ─▶ right ◀──veth──▶ wire
//! ```
//!
//! The kernel has a queueing discipline for this (netem), but not every kernel was built with it. Frames that pass through our
//! own hands are delayed and lost everywhere in the same way, and TCP at both ends sees it as it would see a long cable.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::net::cable::{Cable, Counts, Line};
use crate::net::frame::complete_checksum;
use crate::net::packet::Port;

/// The most frames that are read in a row before those that are due are sent.
const FRAMES_PER_TURN: usize = 64;
/// The largest frame: segments are cut by the sending kernel (`gso_max_segs`), so that none is longer than this.
const FRAME_BYTES: usize = 64 * 1024;

/// What the relay shares with the commands: the cable, and what has become of the frames of each direction.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

/// The contents of [`Shared`].
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) cable: Cable,
    /// From left to right, and from right to left.
    pub(super) counts: [Counts; 2],
}

impl Shared {
    /// Shares a cable.
    pub(super) fn new(cable: Cable) -> Self {
        let counts = [Counts::default(); 2];
        Self(Mutex::new(State { cable, counts }))
    }

    /// Locks the state for a moment.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries frames until an interface is gone.
///
/// # Errors
///
/// Fails if it is gone.
pub(super) fn run(ports: &[Port; 2], shared: &Shared, seed: u64) -> io::Result<()> {
    let mut lines = [Line::new(seed), Line::new(!seed)];
    let mut buffer = vec![0; FRAME_BYTES];
    loop {
        wait(ports, &lines)?;
        let cable = shared.lock().cable;
        for (port, line) in ports.iter().zip(&mut lines) {
            read(port, line, &cable, &mut buffer)?;
            if cable.is_pulled {
                line.cut();
            }
        }
        for (port, line) in ports.iter().rev().zip(&mut lines) {
            while let Some(frame) = line.take(Instant::now()) {
                port.send(&frame);
            }
        }
        shared.lock().counts = [lines[0].counts, lines[1].counts];
    }
}

/// Waits until a frame has come or is due.
fn wait(ports: &[Port; 2], lines: &[Line; 2]) -> io::Result<()> {
    let next = lines.iter().filter_map(Line::next_arrival).min();
    let timeout = next.map(|next| next.saturating_duration_since(Instant::now()));
    let mut ready = [0, 1].map(|side| PollFd::new(ports[side].as_fd(), PollFlags::POLLIN));
    match ppoll(&mut ready, timeout.map(TimeSpec::from_duration), None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Puts the frames that have come in onto the line.
fn read(port: &Port, line: &mut Line, cable: &Cable, buffer: &mut [u8]) -> io::Result<()> {
    for _ in 0..FRAMES_PER_TURN {
        let Some(count) = port.receive(buffer)? else {
            break;
        };
        let frame = &mut buffer[..count];
        complete_checksum(frame);
        line.put(frame, cable, Instant::now());
    }
    Ok(())
}
