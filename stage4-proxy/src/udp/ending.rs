//! How flows end: in time, by force, or with the worker.

use std::time::{Duration, Instant};

use crate::udp::Udp;
use crate::udp::counts::Dropped;
use crate::udp::flow_table::FlowId;

/// How long a flow lives without a datagram once the worker drains: most answers come within it, and a call or a game
/// sends more often.
const QUIET: Duration = Duration::from_secs(2);

impl Udp {
    /// Lets no client's flow begin any more; those that there are go on, until nothing has passed for a short time.
    ///
    /// The flows of an association end with its TCP connection, and so it may still begin some.
    pub(crate) fn drain(&mut self, now: Instant) {
        self.is_draining = true;
        self.limits.flow_timeout = self.limits.flow_timeout.min(QUIET);
        let flows: Vec<FlowId> = self.flows.iter().map(|(id, _, _)| id).collect();
        for flow in flows {
            self.flows.touch(flow, now + self.limits.flow_timeout);
        }
    }

    /// Returns the number of flows.
    pub(crate) fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Ends the flows whose time is over.
    pub(crate) fn expire(&mut self, now: Instant) {
        // Most proxies have none, and this is asked in every turn.
        if self.flows.is_empty() {
            return;
        }
        while let Some((key, _)) = self.flows.expire(now) {
            let unsent = self.waiting.take(&key).len();
            self.share.counts.lose(Dropped::Unresolved, unsent);
            self.share.counts.end(1);
        }
    }

    /// Returns when [`Udp::expire`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.flows.next_deadline()
    }

    /// Makes room for a new flow, if the table is full.
    pub(super) fn make_room(&mut self) {
        if let Some((evicted, _)) = self.flows.evict() {
            self.share.counts.evict();
            self.share.counts.end(1);
            let unsent = self.waiting.take(&evicted).len();
            self.share.counts.lose(Dropped::Limit, unsent);
        }
    }

    /// Ends a flow.
    pub(super) fn end(&mut self, id: FlowId) {
        let ended = self.flows.remove(id);
        self.share.counts.end(usize::from(ended.is_some()));
    }
}
