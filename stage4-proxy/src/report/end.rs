//! The log line of a session's end.
//!
//! ```text
//! DEBUG stage4_proxy::sessions: socks5[127.0.0.1:50312 -> example:80]: finished dialled=ipv4[192.0.2.1:80]
//!     bytes_up=78 bytes_down=1256 handshake_us=310 resolve_us=1190 connect_us=8420 relay_us=20110
//! ```
//!
//! (In one line.) A client of HTTP that sends several requests has a line for each. The description has the ingress, the client and the target as asked. `RUST_LOG=info,stage4_proxy::sessions=debug` shows each session, and no other detail.

use std::fmt;
use std::time::{Duration, Instant};

use stage2_client::Target;

use crate::inspect::Carried;
use crate::report::description::{Chain, Description, dialled};
use crate::report::view::carried;
use crate::session::{Reason, Session};

/// The target of the lines, by which `RUST_LOG` can choose them.
const TARGET: &str = "stage4_proxy::sessions";

/// A session that ends, and what its line tells beside it.
pub(super) struct End<'a> {
    pub(super) ingress: &'static str,
    pub(super) hops: &'a [Target],
    pub(super) session: &'a Session,
    pub(super) reason: &'a Reason,
    pub(super) now: Instant,
}

/// Writes the line at a level, which the macros of `tracing` need as a constant. They check the filter before
/// they look at a field, so that a line that is off costs one comparison.
macro_rules! write_line {
    ($level:ident, $end:expr, $suppressed:expr) => {{
        let End {
            ingress,
            hops,
            session,
            reason,
            now,
        } = *$end;
        tracing::$level!(
            target: TARGET,
            suppressed = $suppressed,
            dialled = dialled(session).map(display),
            hops = (!hops.is_empty()).then(|| display(Listed(hops))),
            bytes_up = $end.carried().up,
            bytes_down = $end.carried().down,
            handshake_us = $end.lengths_us(now)[0],
            resolve_us = $end.lengths_us(now)[1],
            connect_us = $end.lengths_us(now)[2],
            relay_us = $end.lengths_us(now)[3],
            "{}: {}",
            Description(ingress, session),
            Chain(reason),
        );
    }};
}

impl End<'_> {
    /// Logs an end that is in the order of things.
    pub(super) fn debug(&self) {
        write_line!(debug, self, None::<u64>);
    }

    /// Logs an end that an operator can act upon; so many of them were not logged before it.
    pub(super) fn warn(&self, suppressed: Option<u64>) {
        write_line!(warn, self, suppressed);
    }

    /// Returns the bytes of the request that ends; without requests, those of the session.
    fn carried(&self) -> Carried {
        let (all, before) = (carried(self.session), self.session.facts.carried_before());
        Carried {
            up: all.up - before.up,
            down: all.down - before.down,
        }
    }

    /// Returns the lengths of the four phases in microseconds.
    fn lengths_us(&self, now: Instant) -> [Option<u64>; 4] {
        let age = now.saturating_duration_since(self.session.opened);
        let lengths = self.session.facts.lengths(age);
        let micros = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        [
            Some(lengths.handshake),
            lengths.resolve,
            lengths.connect,
            lengths.relay,
        ]
        .map(|length| length.map(micros))
    }
}

/// Writes the hops of a chain with commas between them.
struct Listed<'a>(&'a [Target]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, hop) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(formatter, "{comma}{hop}")?;
        }
        Ok(())
    }
}
