//! Streams that are held.

use std::io;

use crate::limits::idle_streams;
use crate::load::sessions;
use crate::rows::{Row, TunnelRow};
use crate::scenario::{Bench, Outcome};
use crate::wait;

impl Bench<'_> {
    /// Measures memory and fds of idle streams, in both ends together.
    pub(super) fn tunnel_idle(&self) -> io::Result<Outcome> {
        const WARM_UP_STREAMS: usize = 8;
        let arrangement = self.arrange_tunnel_on_loopback()?;
        let dial = arrangement.dial();
        drop(sessions::open_idle(dial, WARM_UP_STREAMS)?);
        arrangement.wait_for_ends()?;
        // The ends free the memory of starting and closing a little later.
        wait::pass(self.warm_up())?;
        let before = arrangement.usage()?;
        // 10,000 in half a second of a measure, so that a short run is short here as well.
        let in_time = usize::try_from(self.time.as_millis() * 20).unwrap_or(usize::MAX);
        let count = idle_streams()
            .min(in_time)
            .min(self.subject.session_limit());
        let held = sessions::open_idle(dial, count)?;
        wait::pass(self.warm_up())?;
        let after = arrangement.usage()?;
        let bytes = after.private_bytes.saturating_sub(before.private_bytes);
        let fds = after.fds.saturating_sub(before.fds);
        let each = |total: f64| total / held.len() as f64;
        let figures = vec![
            (Row::Tunnel(TunnelRow::IdleMemory), each(bytes as f64)),
            (Row::Tunnel(TunnelRow::IdleFds), each(fds as f64)),
        ];
        Ok(Outcome {
            figures,
            spent: None,
        })
    }
}
