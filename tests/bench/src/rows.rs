//! The lines of the table.

mod growth;
mod tunnel;

use std::borrow::Cow;

use crate::better::Better;

pub(crate) use growth::GrowthRow;
pub(crate) use tunnel::TunnelRow;

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    Bulk1,
    Bulk1Cpu,
    Bulk8,
    BulkCpu,
    HttpRate,
    HttpCpu,
    HttpMedian,
    HttpTail,
    HttpLongest,
    RoundTrip,
    ConnectRate,
    ConnectCpu,
    IdleMemory,
    IdleFds,
    IdleCpu,
    StalledMemory,
    StalledBytes,
    StalledCpu,
    EmptyMemory,
    QueueRate,
    QueueCpu,
    QueueMedian,
    QueueTail,
    QueueLongest,
    SocksRate,
    SocksCpu,
    SocksBulk,
    SocksBulkCpu,
    ConnectMethodRate,
    ConnectMethodCpu,
    ForwardRate,
    ForwardCpu,
    ForwardTail,
    ForwardNewRate,
    ForwardNewCpu,
    Chain1Time,
    Chain1Cpu,
    Chain3Time,
    Chain3Cpu,
    Chain5Time,
    Chain5Cpu,
    DatagramRate,
    DatagramRunRate,
    DatagramLoss,
    DatagramCpu,
    FlowMemory,
    FlowFds,
    AssociateRate,
    AssociateLoss,
    AssociateCpu,
    AssociationMemory,
    AssociationFds,
    PreproxyTime,
    PreproxyCpu,
    Growth(GrowthRow),
    Tunnel(TunnelRow),
}

/// The title of a line and how to read it.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// The name for `--only` and for JSON.
    pub(crate) key: Cow<'static, str>,
    pub(crate) title: Cow<'static, str>,
    pub(crate) better: Better,
    /// A difference smaller than this is noise of the instrument, in the unit of the row.
    pub(crate) grain: f64,
}

impl Row {
    /// The lines that have no family of their own, in the order of the table.
    const PLAIN: [Self; 54] = [
        Self::Bulk1,
        Self::Bulk1Cpu,
        Self::Bulk8,
        Self::BulkCpu,
        Self::HttpRate,
        Self::HttpCpu,
        Self::HttpMedian,
        Self::HttpTail,
        Self::HttpLongest,
        Self::RoundTrip,
        Self::ConnectRate,
        Self::ConnectCpu,
        Self::IdleMemory,
        Self::IdleFds,
        Self::IdleCpu,
        Self::StalledMemory,
        Self::StalledBytes,
        Self::StalledCpu,
        Self::EmptyMemory,
        Self::QueueRate,
        Self::QueueCpu,
        Self::QueueMedian,
        Self::QueueTail,
        Self::QueueLongest,
        Self::SocksRate,
        Self::SocksCpu,
        Self::SocksBulk,
        Self::SocksBulkCpu,
        Self::ConnectMethodRate,
        Self::ConnectMethodCpu,
        Self::ForwardRate,
        Self::ForwardCpu,
        Self::ForwardTail,
        Self::ForwardNewRate,
        Self::ForwardNewCpu,
        Self::Chain1Time,
        Self::Chain1Cpu,
        Self::Chain3Time,
        Self::Chain3Cpu,
        Self::Chain5Time,
        Self::Chain5Cpu,
        Self::DatagramRate,
        Self::DatagramRunRate,
        Self::DatagramLoss,
        Self::DatagramCpu,
        Self::FlowMemory,
        Self::FlowFds,
        Self::AssociateRate,
        Self::AssociateLoss,
        Self::AssociateCpu,
        Self::AssociationMemory,
        Self::AssociationFds,
        Self::PreproxyTime,
        Self::PreproxyCpu,
    ];

    /// Returns all lines, in the order of the table.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let growth = GrowthRow::all().map(Self::Growth);
        let tunnel = TunnelRow::ALL.into_iter().map(Self::Tunnel);
        Self::PLAIN.into_iter().chain(growth).chain(tunnel)
    }

    /// Returns the properties of the line.
    #[expect(clippy::too_many_lines, reason = "a table, one entry for each row")]
    pub(crate) fn spec(self) -> Spec {
        match self {
            Self::Bulk1 => more("bulk-1", "bulk, 1 connection, GB/s"),
            Self::Bulk1Cpu => less("bulk-1-cpu", "CPU s per GB, 1 connection", 0.0),
            Self::Bulk8 => more("bulk-8", "bulk, 8 connections, GB/s"),
            Self::BulkCpu => less("bulk-cpu", "CPU s per GB, 8 connections", 0.0),
            Self::HttpRate => more("http-rate", "HTTP keep-alive, 64 connections, req/s"),
            Self::HttpCpu => less("http-cpu", "CPU us per request", 0.0),
            Self::HttpMedian => less("http-p50", "p50 us at 64 connections", 0.0),
            Self::HttpTail => less("http-p99", "p99 us at 64 connections", 0.0),
            Self::HttpLongest => less("http-max", "longest of these requests, us", 0.0),
            Self::RoundTrip => less("trip-p50", "unloaded round trip, p50 us", 0.0),
            Self::ConnectRate => more("connect-rate", "new connections/s, 32 in flight"),
            Self::ConnectCpu => less("connect-cpu", "CPU us per connection", 0.0),
            Self::IdleMemory => less("idle-memory", "memory of an idle session, bytes", 16.0),
            Self::IdleFds => less("idle-fds", "fds of an idle session", 0.01),
            Self::IdleCpu => less("idle-cpu", "CPU with 1,000 idle sessions, ms/s", 0.5),
            Self::StalledMemory => less(
                "stalled-memory",
                "memory of a session whose reader stalls, KiB",
                1.0,
            ),
            Self::StalledBytes => less(
                "stalled-bytes",
                "bytes that such a session has taken in, MB",
                0.1,
            ),
            Self::StalledCpu => less("stalled-cpu", "CPU with 20 stalled sessions, ms/s", 0.5),
            Self::EmptyMemory => less(
                "empty-memory",
                "resident memory of the empty process, MiB",
                0.1,
            ),
            Self::QueueRate => more("queue-rate", "queue: 32 clients, one upstream, req/s"),
            Self::QueueCpu => less("queue-cpu", "queue: CPU us per request", 0.0),
            Self::QueueMedian => less("queue-p50", "queue: p50 us", 0.0),
            Self::QueueTail => less("queue-p99", "queue: p99 us", 0.0),
            Self::QueueLongest => less("queue-max", "queue: longest request, us", 0.0),
            Self::SocksRate => more("socks-rate", "SOCKS5: new connections/s, 32 in flight"),
            Self::SocksCpu => less("socks-cpu", "SOCKS5: CPU us per connection", 0.0),
            Self::SocksBulk => more("socks-bulk", "SOCKS5: bulk, 1 connection, GB/s"),
            Self::SocksBulkCpu => less("socks-bulk-cpu", "SOCKS5: CPU s per GB", 0.0),
            Self::ConnectMethodRate => more(
                "forward-connect-rate",
                "CONNECT: new connections/s, 32 in flight",
            ),
            Self::ConnectMethodCpu => {
                less("forward-connect-cpu", "CONNECT: CPU us per connection", 0.0)
            }
            Self::ForwardRate => more(
                "forward-keep-rate",
                "absolute-form, kept connections, req/s",
            ),
            Self::ForwardCpu => less(
                "forward-keep-cpu",
                "absolute-form, kept connections: CPU us",
                0.0,
            ),
            Self::ForwardTail => less(
                "forward-keep-p99",
                "absolute-form, kept connections: p99 us",
                0.0,
            ),
            Self::ForwardNewRate => {
                more("forward-new-rate", "absolute-form, new connections, req/s")
            }
            Self::ForwardNewCpu => less(
                "forward-new-cpu",
                "absolute-form, new connections: CPU us",
                0.0,
            ),
            Self::Chain1Time => less("chain-1-p50", "1 proxy: p50 us to the first byte", 0.0),
            Self::Chain1Cpu => less("chain-1-cpu", "1 proxy: CPU us per connection", 0.0),
            Self::Chain3Time => less("chain-3-p50", "3 proxies: p50 us to the first byte", 0.0),
            Self::Chain3Cpu => less(
                "chain-3-cpu",
                "3 proxies: CPU us per connection and proxy",
                0.0,
            ),
            Self::Chain5Time => less("chain-5-p50", "5 proxies: p50 us to the first byte", 0.0),
            Self::Chain5Cpu => less(
                "chain-5-cpu",
                "5 proxies: CPU us per connection and proxy",
                0.0,
            ),
            Self::DatagramRate => more("udp-rate", "datagrams on 64 flows, one way, 1/s"),
            Self::DatagramRunRate => more("udp-gso-rate", "the same, sent in runs of 16, 1/s"),
            Self::DatagramLoss => less("udp-loss", "lost at 100,000 datagrams/s, %", 0.01),
            Self::DatagramCpu => less("udp-cpu", "CPU us per datagram at that rate", 0.0),
            Self::FlowMemory => less("udp-flow-memory", "memory of a flow, bytes", 16.0),
            Self::FlowFds => less("udp-flow-fds", "fds of a flow", 0.01),
            Self::AssociateRate => more("associate-rate", "datagrams on 64 associations, 1/s"),
            Self::AssociateLoss => less(
                "associate-loss",
                "associations: lost at 100,000 datagrams/s, %",
                0.01,
            ),
            Self::AssociateCpu => less(
                "associate-cpu",
                "associations: CPU us per datagram at that rate",
                0.0,
            ),
            Self::AssociationMemory => {
                less("associate-memory", "memory of an association, bytes", 16.0)
            }
            Self::AssociationFds => less("associate-fds", "fds of an association", 0.01),
            Self::PreproxyTime => less(
                "preproxy-p50",
                "curl --preproxy: p50 us to the first byte",
                0.0,
            ),
            Self::PreproxyCpu => less("preproxy-cpu", "curl --preproxy: CPU us per proxy", 0.0),
            Self::Growth(row) => row.spec(),
            Self::Tunnel(row) => row.spec(),
        }
    }

    /// Returns whether a word of `--only` means this line: its key or the beginning of it.
    pub(crate) fn is_named_by(self, word: &str) -> bool {
        self.spec().key.starts_with(word)
    }

    /// Returns whether a full load core would hold this figure down.
    pub(crate) fn is_bound_by_load(self) -> bool {
        matches!(
            self,
            Self::Bulk1
                | Self::Bulk8
                | Self::HttpRate
                | Self::ConnectRate
                | Self::QueueRate
                | Self::SocksRate
                | Self::SocksBulk
                | Self::ConnectMethodRate
                | Self::ForwardRate
                | Self::ForwardNewRate
                | Self::DatagramRate
                | Self::DatagramRunRate
                | Self::AssociateRate
        )
    }
}

pub(crate) fn more(key: &'static str, title: &'static str) -> Spec {
    Spec {
        key: key.into(),
        title: title.into(),
        better: Better::More,
        grain: 0.0,
    }
}

pub(crate) fn less(
    key: impl Into<Cow<'static, str>>,
    title: impl Into<Cow<'static, str>>,
    grain: f64,
) -> Spec {
    Spec {
        key: key.into(),
        title: title.into(),
        better: Better::Less,
        grain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_complete_and_in_order_and_keys_are_distinct() {
        let all: Vec<Row> = Row::all().collect();
        assert!(all.is_sorted_by(|first, second| first < second));
        for row in Row::all() {
            let same = Row::all()
                .filter(|other| other.spec().key == row.spec().key)
                .count();
            assert_eq!(same, 1, "{row:?}");
        }
    }

    #[test]
    fn a_word_names_a_row_or_a_family() {
        assert!(Row::Bulk8.is_named_by("bulk"));
        assert!(Row::Bulk8.is_named_by("bulk-8"));
        assert!(!Row::Bulk1.is_named_by("bulk-8"));
    }
}
