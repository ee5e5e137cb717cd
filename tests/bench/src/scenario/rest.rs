//! Measurements at rest: sessions that are held, and the empty process.

use std::io;

use crate::limits::idle_sessions;
use crate::load::sessions;
use crate::peers::Job;
use crate::rows::Row;
use crate::scenario::{Bench, Outcome};
use crate::upstream::Service;
use crate::wait;
use crate::window::Spent;

impl Bench<'_> {
    /// Measures memory and fds of idle sessions, and the CPU time that they cost.
    pub(super) fn idle(&self) -> io::Result<Outcome> {
        const WATCHED: usize = 1_000;
        const WARM_UP_SESSIONS: usize = 8;
        let arrangement = self.arrange(Job::Relay, Service::Echo)?;
        let dial = arrangement.dial();
        drop(sessions::open_idle(dial, WARM_UP_SESSIONS)?);
        arrangement.wait_for_ends()?;
        // The proxy frees the memory of starting and closing a little later.
        wait::pass(self.warm_up())?;
        let before = arrangement.usage()?;

        let total = idle_sessions().min(self.subject.session_limit());
        let watched = total.min(WATCHED);
        let mut held = sessions::open_idle(dial, watched)?;
        wait::pass(self.warm_up())?;
        let window = arrangement.window()?;
        wait::pass(self.time)?;
        let spent = window.close()?;

        held.extend(sessions::open_idle(dial, total - watched)?);
        wait::pass(self.warm_up())?;
        let after = arrangement.usage()?;
        let bytes = after.private_bytes.saturating_sub(before.private_bytes);
        let fds = after.fds.saturating_sub(before.fds);
        let figures = vec![
            (Row::IdleMemory, bytes as f64 / held.len() as f64),
            (Row::IdleFds, fds as f64 / held.len() as f64),
            (Row::IdleCpu, milliseconds_per_second(&spent)),
        ];
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures the memory of sessions with a stalled reader, and the CPU time that they cost.
    pub(super) fn stalled(&self) -> io::Result<Outcome> {
        const SESSIONS: usize = 20;
        const WARM_UP_SESSIONS: usize = 4;
        let arrangement = self.arrange(Job::Relay, Service::Ignore)?;
        let dial = arrangement.dial();
        // These stay open, so that one-time allocations of the proxy are not counted for the twenty.
        let first = sessions::open_stalled(dial, WARM_UP_SESSIONS)?;
        let before = arrangement.usage()?;
        let held = sessions::open_stalled(dial, SESSIONS)?;
        arrangement.wait_for_arrivals((first.sockets.len() + held.sockets.len()) as u64)?;
        let after = arrangement.usage()?;
        let window = arrangement.window()?;
        wait::pass(self.time)?;
        let spent = window.close()?;
        let bytes = after.private_bytes.saturating_sub(before.private_bytes);
        let sessions = held.sockets.len() as f64;
        let figures = vec![
            (Row::StalledMemory, bytes as f64 / 1024.0 / sessions),
            (Row::StalledBytes, held.bytes as f64 / 1e6 / sessions),
            (Row::StalledCpu, milliseconds_per_second(&spent)),
        ];
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures the memory of the process before it has work.
    pub(super) fn empty(&self) -> io::Result<Outcome> {
        const MIB: f64 = 1024.0 * 1024.0;
        let usage = self.arrange(Job::Relay, Service::Echo)?.usage()?;
        let figures = vec![(Row::EmptyMemory, usage.resident_bytes as f64 / MIB)];
        Ok(Outcome {
            figures,
            spent: None,
        })
    }
}

fn milliseconds_per_second(spent: &Spent) -> f64 {
    let cpu = spent.proxy_cpu.unwrap_or_default();
    cpu.div_duration_f64(spent.time) * 1000.0
}
