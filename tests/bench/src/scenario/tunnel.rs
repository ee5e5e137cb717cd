//! Measurements of tunnels: two ends, a core each, and one link.

mod bulk;
mod fair;
mod links;
mod rest;

use std::io;
use std::net::SocketAddr;

use crate::arrangement::Arrangement;
use crate::peers::Subject;
use crate::rows::{Row, TunnelRow};
use crate::scenario::{Bench, Outcome};
use crate::site::{Cable, Sites};
use crate::upstream::{Service, Upstream};

/// One measurement of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TunnelScenario {
    Bulk1,
    Bulk8,
    Latency,
    FastLink,
    SlowLink,
    LongLink,
    Fair,
    Opens,
    Idle,
}

impl TunnelScenario {
    /// All of them, in the order in which they run.
    pub(super) const ALL: [Self; 9] = [
        Self::Bulk1,
        Self::Bulk8,
        Self::Latency,
        Self::FastLink,
        Self::SlowLink,
        Self::LongLink,
        Self::Fair,
        Self::Opens,
        Self::Idle,
    ];

    /// Returns the rows that it measures.
    pub(super) fn rows(self) -> &'static [TunnelRow] {
        match self {
            Self::Bulk1 => &[TunnelRow::Bulk1, TunnelRow::Bulk1Cpu],
            Self::Bulk8 => &[TunnelRow::Bulk8, TunnelRow::Bulk8Cpu],
            Self::Latency => &[TunnelRow::Unloaded, TunnelRow::Under1, TunnelRow::Under8],
            Self::FastLink => &[TunnelRow::FastLinkTail, TunnelRow::FastLinkShare],
            Self::SlowLink => &[TunnelRow::SlowLinkTail, TunnelRow::SlowLinkShare],
            Self::LongLink => &[TunnelRow::LongLink],
            Self::Fair => &[
                TunnelRow::Fairness,
                TunnelRow::FairnessOfOthers,
                TunnelRow::ShareOfOthers,
            ],
            Self::Opens => &[TunnelRow::OpenRate, TunnelRow::OpenCpu],
            Self::Idle => &[TunnelRow::IdleMemory, TunnelRow::IdleFds],
        }
    }

    /// Returns whether it says anything about a subject that can be a tunnel.
    pub(super) fn suits(self, subject: &Subject) -> bool {
        match self {
            Self::Idle => !subject.is_direct(),
            Self::Bulk1
            | Self::Bulk8
            | Self::Latency
            | Self::FastLink
            | Self::SlowLink
            | Self::LongLink
            | Self::Fair
            | Self::Opens => true,
        }
    }

    /// Measures.
    pub(super) fn run(self, bench: &Bench<'_>) -> io::Result<Outcome> {
        match self {
            Self::Bulk1 => bench.tunnel_bulk(1, [TunnelRow::Bulk1, TunnelRow::Bulk1Cpu]),
            Self::Bulk8 => bench.tunnel_bulk(8, [TunnelRow::Bulk8, TunnelRow::Bulk8Cpu]),
            Self::Latency => bench.tunnel_latency(),
            Self::FastLink => bench.tunnel_over_cable(
                Cable { megabits: 100 },
                [TunnelRow::FastLinkTail, TunnelRow::FastLinkShare],
            ),
            Self::SlowLink => bench.tunnel_over_cable(
                Cable { megabits: 10 },
                [TunnelRow::SlowLinkTail, TunnelRow::SlowLinkShare],
            ),
            Self::LongLink => bench.tunnel_over_distance(),
            Self::Fair => bench.tunnel_fairness(),
            Self::Opens => {
                let [rate, cpu] = [TunnelRow::OpenRate, TunnelRow::OpenCpu].map(Row::Tunnel);
                bench.connect(crate::peers::Job::Tunnel, [rate, cpu])
            }
            Self::Idle => bench.tunnel_idle(),
        }
    }
}

impl Bench<'_> {
    /// Starts an upstream on the far machine and a tunnel to it.
    fn arrange_tunnel(&self, sites: &Sites) -> io::Result<Arrangement> {
        self.arrange_tunnel_through(sites, Ok)
    }

    /// Starts an upstream on the far machine and a tunnel to it, whose link finds the far end, or without a tunnel the
    /// upstream, where `detour` says.
    fn arrange_tunnel_through(
        &self,
        sites: &Sites,
        detour: impl FnOnce(SocketAddr) -> io::Result<SocketAddr>,
    ) -> io::Result<Arrangement> {
        let far_ip = sites.far_ip();
        let upstream = sites.at_far(|_| Upstream::start_at(far_ip, Service::Tagged))?;
        let behind = upstream.address();
        if self.subject.is_direct() {
            let address = detour(behind)?;
            return Ok(Arrangement::of_tunnel(
                Vec::new(),
                address,
                upstream,
                self.cores,
            ));
        }
        let (server, link) = self.subject.start_server(behind, sites, self.folder)?;
        let route = (detour(link)?, behind);
        let (client, address) = self.subject.start_client(route, sites, self.folder)?;
        Ok(Arrangement::of_tunnel(
            vec![client, server],
            address,
            upstream,
            self.cores,
        ))
    }

    /// Starts a tunnel on loopback, and sees that it passes connections on.
    pub(super) fn arrange_tunnel_on_loopback(&self) -> io::Result<Arrangement> {
        let arrangement = self.arrange_tunnel(&Sites::on_loopback(self.cores))?;
        arrangement.prove_by_echo()?;
        Ok(arrangement)
    }
}
