//! Looks for peers that have vanished while bytes for them are unacknowledged: at all sessions of a worker, now and
//! then.
//!
//! A timer for each session would cost memory and work in each of them. A look at all sessions costs two system calls
//! for each, four times in one interval of the keepalive: with 65,000 sessions and the default of a minute, about 3 ms
//! of each second.

use std::time::{Duration, Instant};

use stage1_server::Keepalive;

use crate::route_table::RouteTable;
use crate::session::vanishing::{give_up, look_for_vanished};
use crate::session::{Next, Session};

/// The rows that are looked at in one turn of the loop: about a third of a millisecond.
const ROWS_PER_TURN: u32 = 512;

/// When to look at the sessions, and how far the look has come.
///
/// ```text
///   rest ── a client ──▶ due in a quarter of the interval ──▶ looking, some rows in each turn ──▶ rest, if the
///                             ▲                                      │                         table is empty
///                             └──────────────────────────────────────┘
/// ```
#[derive(Debug)]
pub(super) struct VanishedPeers {
    /// The time between two looks; `None` if there are none.
    interval: Option<Duration>,
    due: Option<Instant>,
    /// The row that is looked at next; 0 before a look has begun.
    next: u32,
    /// When the look before this one began, and this one.
    began: [Instant; 2],
}

impl VanishedPeers {
    /// Creates the looks that belong to `keepalive`; without one there are none.
    pub(super) fn new(keepalive: Option<Keepalive>, now: Instant) -> Self {
        Self {
            interval: keepalive.map(Keepalive::look_interval),
            due: None,
            next: 0,
            began: [now; 2],
        }
    }

    /// Returns when [`VanishedPeers::look`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Notes that there is a session.
    pub(super) fn session_begins(&mut self, now: Instant) {
        if let Some(interval) = self.interval
            && self.due.is_none()
        {
            self.due = Some(now + interval);
            self.began = [now; 2];
        }
    }

    /// Looks through some rows if it is time, and returns what becomes of the sessions in them of which a
    /// peer has vanished.
    pub(super) fn look(
        &mut self,
        table: &mut RouteTable<Session>,
        now: Instant,
    ) -> Vec<(u32, Next)> {
        let (Some(interval), true) = (self.interval, self.due.is_some_and(|due| due <= now)) else {
            return Vec::new();
        };
        if self.next == 0 {
            self.began = [self.began[1], now];
        }
        let since_last_look = now - self.began[0];
        let end = table.height().min(self.next.saturating_add(ROWS_PER_TURN));
        let mut vanished = Vec::new();
        for row in self.next..end {
            let Some(session) = table.row_mut(row) else {
                continue;
            };
            if let Some(side) = look_for_vanished(session, since_last_look) {
                vanished.push((row, give_up(session, side, now)));
            }
        }
        self.next = end;
        if end >= table.height() {
            self.next = 0;
            self.due = (!table.is_empty()).then(|| now + interval);
        }
        vanished
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::endpoint::Endpoint;

    fn session(now: Instant) -> Session {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Session::new(Endpoint::accepted(socket, anywhere), None, now)
    }

    #[test]
    fn a_look_takes_some_turns_and_comes_again_while_there_are_sessions() {
        let (mut now, mut table) = (Instant::now(), RouteTable::new(1000));
        let keepalive = Keepalive::default();
        let mut looks = VanishedPeers::new(Some(keepalive), now);
        assert_eq!(looks.due(), None, "no session yet");
        for _ in 0..=ROWS_PER_TURN {
            table.insert(session(now)).unwrap();
            looks.session_begins(now);
        }
        now += keepalive.look_interval();
        assert_eq!(looks.due(), Some(now));
        assert!(looks.look(&mut table, now).is_empty());
        assert_eq!(looks.due(), Some(now), "one row is left");
        assert!(looks.look(&mut table, now).is_empty());
        now += keepalive.look_interval();
        assert_eq!(looks.due(), Some(now));

        for row in 0..=ROWS_PER_TURN {
            table.remove(row).unwrap();
        }
        for _ in 0..2 {
            looks.look(&mut table, now);
        }
        assert_eq!(looks.due(), None);
    }

    #[test]
    fn without_keepalive_nothing_is_ever_due() {
        let now = Instant::now();
        let mut looks = VanishedPeers::new(None, now);
        looks.session_begins(now);
        assert_eq!(looks.due(), None);
    }
}
