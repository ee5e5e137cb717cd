//! The lines of the tunnel: two ends and one link between them.

use crate::rows::{Spec, less, more};

/// One line about a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TunnelRow {
    Bulk1,
    Bulk1Cpu,
    Bulk8,
    Bulk8Cpu,
    Unloaded,
    Under1,
    Under8,
    FastLinkTail,
    FastLinkShare,
    SlowLinkTail,
    SlowLinkShare,
    LongLink,
    Fairness,
    FairnessOfOthers,
    ShareOfOthers,
    OpenRate,
    OpenCpu,
    IdleMemory,
    IdleFds,
}

impl TunnelRow {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 19] = [
        Self::Bulk1,
        Self::Bulk1Cpu,
        Self::Bulk8,
        Self::Bulk8Cpu,
        Self::Unloaded,
        Self::Under1,
        Self::Under8,
        Self::FastLinkTail,
        Self::FastLinkShare,
        Self::SlowLinkTail,
        Self::SlowLinkShare,
        Self::LongLink,
        Self::Fairness,
        Self::FairnessOfOthers,
        Self::ShareOfOthers,
        Self::OpenRate,
        Self::OpenCpu,
        Self::IdleMemory,
        Self::IdleFds,
    ];

    /// Returns the properties of the line.
    pub(crate) fn spec(self) -> Spec {
        match self {
            Self::Bulk1 => more("tunnel-bulk-1", "bulk, 1 stream, GB/s"),
            Self::Bulk1Cpu => less(
                "tunnel-bulk-1-cpu",
                "CPU s per GB of both ends, 1 stream",
                0.0,
            ),
            Self::Bulk8 => more("tunnel-bulk-8", "bulk, 8 streams, GB/s"),
            Self::Bulk8Cpu => less(
                "tunnel-bulk-8-cpu",
                "CPU s per GB of both ends, 8 streams",
                0.0,
            ),
            Self::Unloaded => less("tunnel-latency-0", "64 bytes there and back, p99 us", 0.0),
            Self::Under1 => less("tunnel-latency-1", "the same beside 1 bulk stream", 0.0),
            Self::Under8 => less("tunnel-latency-8", "the same beside 8 bulk streams", 0.0),
            Self::FastLinkTail => less(
                "tunnel-rate-100-p99",
                "100 Mbit/s, 8 bulk streams: 64 bytes, p99 ms",
                0.0,
            ),
            Self::FastLinkShare => {
                more("tunnel-rate-100-share", "their bytes, % of the link's rate")
            }
            Self::SlowLinkTail => less(
                "tunnel-rate-10-p99",
                "10 Mbit/s, 8 bulk streams: 64 bytes, p99 ms",
                0.0,
            ),
            Self::SlowLinkShare => {
                more("tunnel-rate-10-share", "their bytes, % of the link's rate")
            }
            Self::LongLink => more(
                "tunnel-delay",
                "link of 100 ms: 1 stream's 4th second, MB/s",
            ),
            Self::Fairness => more("tunnel-fair", "fairness of 8 bulk streams (Jain)"),
            Self::FairnessOfOthers => more(
                "tunnel-fair-others",
                "beside a slow reader: fairness of the other 7",
            ),
            Self::ShareOfOthers => more(
                "tunnel-fair-share",
                "and their bytes, % of what the 8 carried before",
            ),
            Self::OpenRate => more("tunnel-opens-rate", "new streams/s, 32 in flight"),
            Self::OpenCpu => less("tunnel-opens-cpu", "CPU us of both ends per stream", 0.0),
            Self::IdleMemory => less(
                "tunnel-idle-memory",
                "memory of an idle stream in both ends, bytes",
                16.0,
            ),
            Self::IdleFds => less(
                "tunnel-idle-fds",
                "fds of an idle stream in both ends",
                0.01,
            ),
        }
    }
}
