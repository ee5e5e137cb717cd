//! Link to transport: the link is read, filled and lost.

use std::fmt::Display;
use std::io::{self, IoSlice};
use std::time::Instant;

use crate::tunnel::event::LinkError;
use crate::tunnel::hops::Device;
use crate::tunnel::link::{Newcomer, State, Up};
use crate::tunnel::locals::Locals;
use crate::tunnel::secret;
use crate::tunnel::session::State as SessionState;
use crate::tunnel::wire::Wire;
use crate::tunnel::worker::Worker;

/// Reads from the link in one turn of the loop. A turn is short, because a small request that comes meanwhile waits
/// for its end: one read brings up to 256 KiB.
const READS_PER_TURN: usize = 1;
/// Writes to the link in one turn of the loop.
const WRITES_PER_TURN: usize = 2;

/// Why a link is of no use if the other end has a secret.
const DEMANDED: &str =
    "permission denied: the peer wants to see that this end knows a secret: give it --secret-file";

/// Pieces of one writev(2); the kernel takes 1024 (`IOV_MAX`).
const MAX_SLICES: usize = 256;

impl<W: Wire + Copy> Worker<W> {
    /// Acts on the deadline of the link, whatever its state is.
    pub(super) fn expire_link(&mut self, now: Instant) {
        let deadline = self.linker.link.deadline();
        if deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.linker.session() {
            Some(session) => match session.handle_timeout(now) {
                Ok(()) => self.expire_up(now),
                Err(error) => self.lose_link(&error, now),
            },
            None => {
                let step = self.linker.expire(now);
                self.follow(step, now);
            }
        }
    }

    /// Ends a stream that holds up all others, and the doubt whether the old link or a new one is alive.
    fn expire_up(&mut self, now: Instant) {
        if let Some(key) = self.linker.link.take_stall(now)
            && let Some(up) = self.linker.link.up()
        {
            self.bridge.end_stalled(key, &mut up.session);
        }
        let is_late = |newcomer: &mut Newcomer| now >= newcomer.until;
        if let Some(newcomer) = self.linker.link.newcomer.take_if(is_late) {
            if W::HAS_PINGS {
                self.linker.link.newcomer = Some(newcomer);
                let reason = "timed out: it has given no sign of life, and another link waits";
                self.lose_link(&reason, now);
            } else {
                // The kernel has found its peer, or has not given up yet.
                self.linker.keep(&newcomer);
            }
        }
    }

    /// Acts on a step on the way to the link, which may have been the last of its attempt.
    pub(super) fn follow(&mut self, step: Result<(), String>, now: Instant) {
        if let Err(reason) = step {
            self.lose_link(&reason, now);
        }
    }

    /// Reads the link and acts on what has arrived, within bounds.
    pub(super) fn receive(&mut self, now: Instant) {
        let proved = self.linker.prove(now);
        self.follow(proved, now);
        self.read_link(now);
        if let Some(up) = self.linker.link.up() {
            up.note_stall(now);
        }
    }

    fn read_link(&mut self, now: Instant) {
        for _ in 0..READS_PER_TURN {
            let Some(up) = self.linker.link.up() else {
                return;
            };
            if up.session.stalled_by().is_some() {
                return;
            }
            up.stall = None;
            if !up.carry.is_empty() {
                let carry = std::mem::take(&mut up.carry);
                if let Err(error) = self.take_input(&carry, now) {
                    return self.lose_link(&error, now);
                }
                continue;
            }
            match up.carrier.read(&mut self.scratch) {
                Ok(None) => return,
                Ok(Some(0)) => return self.end_link("the peer has closed it", now),
                Ok(Some(count)) => {
                    if !std::mem::replace(&mut up.was_heard, true)
                        && secret::is_hello(&self.scratch[..count])
                    {
                        return self.lose_link(&DEMANDED, now);
                    }
                    if let Some(newcomer) = self.linker.link.was_of_use() {
                        self.linker.keep(&newcomer);
                    }
                    if Device::is_logged() {
                        self.bridge.locals.device().log_received(count);
                    }
                    let scratch = std::mem::take(&mut self.scratch);
                    let result = self.take_input(&scratch[..count], now);
                    self.scratch = scratch;
                    if let Err(error) = result {
                        return self.lose_link(&error, now);
                    }
                }
                Err(error) => return self.lose_link(&error, now),
            }
        }
    }

    fn take_input(&mut self, bytes: &[u8], now: Instant) -> Result<(), LinkError> {
        let mut rest = bytes;
        while let Some(up) = self.linker.link.up() {
            match up.session.handle_input(&mut rest, now)? {
                Some(event) => self.bridge.on_event(event, &mut up.session, now),
                None => {
                    up.carry = rest.to_vec();
                    break;
                }
            }
        }
        Ok(())
    }

    /// Fills the link from the local sides, within bounds.
    pub(super) fn transmit(&mut self, now: Instant) {
        for _ in 0..WRITES_PER_TURN {
            let Some(up) = self.linker.link.up() else {
                return;
            };
            if !up.carrier.is_writable() || !up.session.wants_transmit() {
                break;
            }
            let written = write_once(up, &mut self.bridge.locals, now);
            self.bridge.settle_changed(&mut up.session, now);
            if let Err(error) = written {
                return self.lose_link(&error, now);
            }
        }
        // A drain that waits for the last frame looks here, too.
        if let Some(up) = self.linker.link.up()
            && up.session.is_over()
            && self.ends_at.is_none()
        {
            self.end_link("the peer leaves", now);
        }
    }

    /// Acts on the orderly end of the link.
    fn end_link(&mut self, reason: &str, now: Instant) {
        self.close_link(&reason, now);
        self.end_with_link(now);
    }

    /// Gives the link up because it is broken, or was never made.
    fn lose_link(&mut self, reason: &dyn Display, now: Instant) {
        self.linker.note_fault(reason);
        self.close_link(reason, now);
        self.end_with_link(now);
    }

    /// Ends the tunnel if there is no other link; local sides still get the bytes that have arrived for them.
    fn end_with_link(&mut self, now: Instant) {
        if self.linker.has_one_link() && self.ends_at.is_none() {
            self.drain(now);
        }
    }

    /// Closes the link, tells every stream, and plans the next attempt.
    fn close_link(&mut self, reason: &dyn Display, now: Instant) {
        if let State::Up(mut up) = self.linker.take_down(reason, now) {
            if up.session.state() == SessionState::Failed {
                // The peer is told why, as far as the link takes it at once.
                let _ = write_once(&mut up, &mut self.bridge.locals, now);
            }
            let fates = up.session.handle_lost_link();
            self.bridge.end_streams(&fates, now);
        }
        if let Some(newcomer) = self.linker.link.newcomer.take() {
            self.linker.start(newcomer.endpoint, now);
        }
    }
}

/// Plans one write and makes it.
fn write_once<W: Wire>(up: &mut Up<W>, locals: &mut Locals, now: Instant) -> io::Result<()> {
    let bound = up.session.unsent_bound();
    if bound != up.unsent_bound {
        up.carrier.bound_unsent(bound);
        up.unsent_bound = bound;
    }
    if !up.session.poll_transmit(locals) {
        return Ok(());
    }
    let slices = up.session.slices().take(MAX_SLICES).map(IoSlice::new);
    let slices: Vec<_> = slices.collect();
    let written = up.carrier.write(&slices)?;
    if written > 0 && Device::is_logged() {
        locals.device().log_written(written);
    }
    up.session.handle_written(written, now);
    Ok(())
}
