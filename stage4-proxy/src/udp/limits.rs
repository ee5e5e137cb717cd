//! The bounds of datagrams.

use std::time::Duration;

use crate::udp::filter::Filter;

/// Descriptors of the socket that clients send to, for each worker: its own, and a copy.
const LISTENER_FDS: u64 = 2;

/// The bounds of the flows of datagrams, and which answers reach a client.
#[derive(Clone, Debug)]
pub struct UdpLimits {
    /// Sockets for datagrams to upstreams, over all workers: a flow has one. A new flow takes the place of the
    /// one that was used the longest time ago. Zero means that there are no datagrams.
    pub max_flows: u32,
    /// How long a flow lives without a datagram; RFC 4787 REQ-5 asks for two minutes at least.
    pub flow_timeout: Duration,
    /// Which senders may answer.
    pub filter: Filter,
}

impl UdpLimits {
    /// Returns how many descriptors the flows need, and the sockets of `workers` workers that clients send to, each with
    /// its copy.
    pub(crate) fn sockets(&self, workers: u64) -> u64 {
        match self.max_flows {
            0 => 0,
            flows => u64::from(flows) + LISTENER_FDS * workers,
        }
    }

    /// Lowers the flows so that they need so many descriptors, together with the sockets of `workers` workers.
    pub(crate) fn bound_sockets(&mut self, sockets: u64, workers: u64) {
        let flows = sockets.saturating_sub(LISTENER_FDS * workers);
        self.max_flows = u32::try_from(flows).unwrap_or(self.max_flows);
    }
}

impl Default for UdpLimits {
    fn default() -> Self {
        Self {
            max_flows: 4096,
            flow_timeout: Duration::from_secs(120),
            filter: Filter::Address,
        }
    }
}
