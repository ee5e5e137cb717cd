//! The keepalive of upstream sockets: set for all new ones of a worker together, now and then.
//!
//! A client's socket has inherited its keepalive from the listener, but a socket that connects inherits
//! nothing. Its five system calls would be 4 % of a session that lasts a millisecond, and a timer for
//! each session would need memory. So the worker looks through its table some seconds after a connect,
//! when the short sessions have gone already.

use std::time::{Duration, Instant};

use stage1_server::Keepalive;

use crate::route_table::RouteTable;
use crate::session::Session;

/// The time from the first connect to the look that finds its socket.
const DELAY: Duration = Duration::from_secs(5);
/// The rows that are looked at in one turn of the loop.
const ROWS_PER_TURN: u32 = 4096;
/// The sockets whose options are set in one turn: about a quarter of a millisecond.
const SOCKETS_PER_TURN: usize = 128;

/// When to look for sockets without keepalive, and how far the look has come.
///
/// ```text
///   rest ── a connect ──▶ due in 5 s ──▶ looking, some rows in each turn ──▶ rest
///                             ▲                     │ a connect meanwhile
///                             └─────────────────────┘
/// ```
#[derive(Debug)]
pub(super) struct Prober {
    keepalive: Option<Keepalive>,
    due: Option<Instant>,
    /// The row that is looked at next; 0 before a look has begun.
    next: u32,
    /// A socket was connected during the look, perhaps in a row that it has passed.
    again: bool,
}

impl Prober {
    /// Creates a prober that sets `keepalive`, or does nothing without one.
    pub(super) fn new(keepalive: Option<Keepalive>) -> Self {
        Self {
            keepalive,
            due: None,
            next: 0,
            again: false,
        }
    }

    /// Returns when [`Prober::look`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Notes that a socket was connected.
    pub(super) fn connected(&mut self, now: Instant) {
        if self.keepalive.is_none() {
            return;
        }
        self.due.get_or_insert(now + DELAY);
        self.again |= self.next > 0;
    }

    /// Looks through some rows if it is time, and has the kernel probe the upstreams in them.
    pub(super) fn look(&mut self, table: &mut RouteTable<Session>, now: Instant) {
        let (Some(keepalive), true) = (self.keepalive, self.due.is_some_and(|due| due <= now))
        else {
            return;
        };
        let mut sockets = 0;
        for _ in 0..ROWS_PER_TURN {
            if self.next >= table.height() {
                self.next = 0;
                self.due = std::mem::take(&mut self.again).then(|| now + DELAY);
                return;
            }
            let session = table.row_mut(self.next);
            self.next += 1;
            let upstream = session.and_then(|session| session.upstream.as_mut());
            if upstream.is_some_and(|upstream| upstream.start_probes(keepalive)) {
                sockets += 1;
            }
            if sockets == SOCKETS_PER_TURN {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::endpoint::Endpoint;

    /// A session whose upstream is not probed yet.
    fn session(now: Instant) -> Session {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let mut session = Session::new(Endpoint::accepted(socket(), anywhere), None, now);
        session.upstream = Some(Endpoint::connecting(socket(), anywhere));
        session
    }

    fn probed(table: &RouteTable<Session>) -> Vec<bool> {
        let upstreams = table.iter().filter_map(|(_, it)| it.upstream.as_ref());
        upstreams
            .map(|it| it.socket().keepalive().unwrap())
            .collect()
    }

    #[test]
    fn a_look_finds_all_sockets_and_another_one_those_that_come_meanwhile() {
        let (mut now, mut table) = (Instant::now(), RouteTable::new(1000));
        let mut prober = Prober::new(Some(Keepalive::default()));
        for _ in 0..SOCKETS_PER_TURN + 2 {
            table.insert(session(now)).unwrap();
            prober.connected(now);
        }
        prober.look(&mut table, now);
        assert!(probed(&table).iter().all(|it| !it), "before its time");

        now = prober.due().unwrap();
        prober.look(&mut table, now);
        assert_eq!(
            probed(&table).iter().filter(|it| **it).count(),
            SOCKETS_PER_TURN
        );
        // A client takes a row that was passed already.
        table.remove(0).unwrap();
        table.insert(session(now)).unwrap();
        prober.connected(now);
        prober.look(&mut table, now);
        assert_eq!(probed(&table).iter().filter(|it| !**it).count(), 1);

        now = prober.due().unwrap();
        prober.look(&mut table, now);
        assert!(probed(&table).iter().all(|it| *it));
        assert_eq!(prober.due(), None, "and then it rests");
    }

    #[test]
    fn without_keepalive_nothing_is_ever_due() {
        let mut prober = Prober::new(None);
        prober.connected(Instant::now());
        assert_eq!(prober.due(), None);
    }
}
