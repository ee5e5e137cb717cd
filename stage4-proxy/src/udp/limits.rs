//! The bounds of datagrams.

use std::time::Duration;

use crate::udp::filter::Filter;

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
    /// Returns how many descriptors the flows need, and the sockets of `workers` workers that clients send to.
    pub(crate) fn sockets(&self, workers: u64) -> u64 {
        match self.max_flows {
            0 => 0,
            flows => u64::from(flows) + workers,
        }
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
