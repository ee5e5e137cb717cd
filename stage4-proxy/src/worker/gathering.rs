//! One direction of a worker may gather: wait until much has come, instead of taking each piece at once.
//!
//! A proxy that splices is faster than a sender on the same machine: it takes 64 KiB, finds the source empty, sleeps, and is
//! woken for the next 64 KiB. Waking costs more than splicing. So a transfer that is alone in its worker may
//! have the kernel wait for more before it wakes the worker.
//!
//! The last bytes may be too few, and then no event comes for them. So a timer looks at the direction, and ends the
//! waiting if nothing has come since its last look. This delays the last bytes a little, and so only transfers are worth it whose
//! receiver only listens: whoever asks and gets answers would wait at the end of each of them.
//!
//! ```text
//!            bulk waits                  GATHER_AFTER bytes
//!   Idle ───────────────▶ Watching ─────────────────────────▶ Looking ──┐ a look: bytes have come
//!    ▲                     │  ▲                                 │  ▲    │
//!    │                     └──┘ its receiver speaks,            │  └────┘
//!    │                          or another direction has bulk   │
//!    └──────────────────────────────────────────────────────────┘
//!          a look: nothing has come, or the session has ended
//! ```

use std::io;
use std::mem;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use stage3_epoll::{Interest, Poll};

use crate::endpoint::Endpoint;
use crate::relay::Flow;
use crate::route_table::RouteTable;
use crate::session::Session;
use crate::session::gathering::{direction_from, read_from, source_of_bulk};
use crate::token::{Side, Token};

/// Bytes after which a transfer gathers: the delay of its last bytes is little beside the time that so many took.
const GATHER_AFTER: u64 = 64 * 1024 * 1024;

/// The time between two looks. The last bytes wait no longer than twice that.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Whether a direction of the worker gathers.
#[derive(Debug, Default)]
pub(super) enum Gathering {
    /// No direction has carried bulk since the last one that gathered.
    #[default]
    Idle,
    /// One may gather soon.
    Watching(Transfer),
    /// One does.
    Looking(Transfer, Timer),
}

/// The direction that carries bulk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// The socket that it reads.
    source: Token,
    /// The side of that socket.
    side: Side,
    /// The bytes that it had read when the watch began, or at the last look.
    read: u64,
    /// The bytes that its receiver had sent then.
    answered: u64,
}

/// Its events say when to look; closing it ends them.
///
/// A timeout of epoll_wait(2) would say it as well, but is set and cancelled around each sleep. In a virtual machine, setting
/// the hardware's timer costs more than gathering saves.
#[derive(Debug)]
pub(super) struct Timer(TimerFd);

impl Gathering {
    /// Notes that the session of a row waits for events. If bulk is what it waits for, and has been for long enough, its direction
    /// gathers.
    pub(super) fn session_waits(&mut self, table: &mut RouteTable<Session>, row: u32, poll: &Poll) {
        let Some(session) = table.row_mut(row) else {
            return;
        };
        let Some(side) = source_of_bulk(session) else {
            return;
        };
        let (read, answered) = (read_from(session, side), read_from(session, side.other()));
        let Some(source) = table.token(row, side) else {
            return;
        };
        let transfer = Transfer {
            source,
            side,
            read,
            answered,
        };
        match self {
            Self::Looking(..) => {}
            Self::Watching(since) if since.source == source && since.answered == answered => {
                if read - since.read >= GATHER_AFTER {
                    *self = Self::begin(transfer, table, poll);
                }
            }
            Self::Idle | Self::Watching(_) => *self = Self::Watching(transfer),
        }
    }

    /// Begins to gather. Without a descriptor for the timer, bulk is carried as before.
    fn begin(transfer: Transfer, table: &mut RouteTable<Session>, poll: &Poll) -> Self {
        match (transfer.direction(table), Timer::start(poll)) {
            (Some((flow, endpoint)), Ok(timer)) => {
                flow.gather(endpoint);
                Self::Looking(transfer, timer)
            }
            _ => Self::Idle,
        }
    }

    /// Looks at the direction that gathers. If nothing has come since the last look, this was the last one: returns
    /// the row of its session, which takes what there is when it advances.
    pub(super) fn look(&mut self, table: &mut RouteTable<Session>) -> Option<u32> {
        let Self::Looking(transfer, timer) = self else {
            return None;
        };
        timer.go_on();
        let row = transfer.source.row();
        let direction = transfer.direction(table);
        if let Some((flow, _)) = &direction
            && mem::replace(&mut transfer.read, flow.half.read()) != flow.half.read()
        {
            return None;
        }
        *self = Self::Idle;
        let (flow, endpoint) = direction?;
        flow.end_gathering(endpoint);
        Some(row)
    }
}

impl Transfer {
    /// Returns the direction and its source, if they are still there.
    fn direction<'a>(
        &self,
        table: &'a mut RouteTable<Session>,
    ) -> Option<(&'a mut Flow, &'a mut Endpoint)> {
        direction_from(table.get_mut(self.source)?, self.side)
    }
}

impl Timer {
    /// Starts a timer with an event for each [`LOOK_INTERVAL`] (`timerfd_create(2)`).
    fn start(poll: &Poll) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let interval = Expiration::Interval(TimeSpec::from_duration(LOOK_INTERVAL));
        timer.set(interval, TimerSetTimeFlags::empty())?;
        let token = stage3_epoll::Token(Token::GATHERING.pack());
        poll.register(&timer, token, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Waits for the next event: without a read after each, there is only one.
    fn go_on(&self) {
        // Its event came in this turn, so that this neither waits nor fails.
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests;
