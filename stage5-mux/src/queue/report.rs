//! The queue's report on its clients: the inspector's snapshot.

use std::fmt::Write as _;
use std::time::Instant;

use stage2_client::Target;
use stage4_proxy::inspect::{
    Collector, Described, EndpointView, Protocol, SessionView, Snapshot, Totals,
};
use stage4_proxy::resolve::Resolver;
use stage4_proxy::route_table::RouteTable;

use crate::queue::client::{Client, Phase};
use crate::queue::flight::Flight;
use crate::queue::framing::Framing;
use crate::queue::request_queue::RequestQueue;
use crate::queue::section::{InFlight, QueueView};

/// The state that all clients share.
pub(super) struct SharedView<'a, F: Framing> {
    pub(super) target: &'a Target,
    pub(super) resolver: &'a Resolver,
    pub(super) endpoint: Option<EndpointView>,
    pub(super) queue: &'a RequestQueue,
    /// The counters; the rest of it is filled in here.
    pub(super) counters: &'a QueueView,
    pub(super) flight: Option<&'a Flight<F>>,
}

/// Copies out some more of the clients, if the inspector has asked: one row for each, every row with the
/// one upstream. The totals and the queue's section come with the last.
pub(super) fn copy_out<F: Framing>(
    collector: &mut Collector,
    table: &RouteTable<Client<F>>,
    shared: &SharedView<'_, F>,
    totals: &Totals,
    now: Instant,
) {
    let view = |row, client: &Client<F>| view(row, client, shared, now);
    let rest = || Snapshot {
        totals: totals.clone(),
        sections: vec![
            queue_view(table, shared, now).section(),
            shared.resolver.section(),
        ],
        ..Snapshot::default()
    };
    collector.advance(table, |client| client.traffic.carried(), view, rest);
}

/// Returns the counters with the requests that wait and the one in flight at this moment.
fn queue_view<F: Framing>(
    table: &RouteTable<Client<F>>,
    shared: &SharedView<'_, F>,
    now: Instant,
) -> QueueView {
    let first = shared.queue.iter().next();
    let longest = first.and_then(|row| shared.queue.since(row));
    let in_flight = shared.flight.and_then(|flight| {
        let client = table.row(flight.client?.row())?;
        Some(InFlight {
            client: client.endpoint.peer_addr().to_string(),
            for_ms: millis(flight.since, now),
        })
    });
    QueueView {
        length: shared.queue.len() as u64,
        longest_wait_ms: longest.map_or(0, |since| millis(since, now)),
        in_flight,
        upstream: shared.endpoint.as_ref().and_then(|it| it.kernel),
        ..shared.counters.clone()
    }
}

fn view<F: Framing>(
    row: u32,
    client: &Client<F>,
    shared: &SharedView<'_, F>,
    now: Instant,
) -> SessionView {
    let peer = client.endpoint.peer_addr();
    let mut description = format!("{}[{peer} -> {}]", F::NAME, shared.target);
    let wait = match client.phase {
        Phase::Waiting(_) => shared.queue.since(row).map(|since| ("waits", since)),
        Phase::InFlight(_) => shared.flight.map(|flight| ("in flight for", flight.since)),
        Phase::Reading | Phase::Lingering { .. } => None,
    };
    if let Some((what, since)) = wait {
        let millis = millis(since, now);
        // Writing to a String never fails.
        let _ = write!(description, " {what} {millis} ms");
    }
    let flight = shared.flight.filter(|_| client.is_in_flight());
    let (up, down) = client.halves(flight);
    SessionView {
        protocol: Protocol::Tcp,
        client: client.endpoint.view(),
        upstream: shared.endpoint.clone(),
        ingress: F::NAME,
        target: Some(shared.target.to_string()),
        dialled: shared
            .endpoint
            .as_ref()
            .and_then(|endpoint| endpoint.peer)
            .map(|peer| Described(peer.into()).to_string()),
        hops: Vec::new(),
        phase: match client.phase {
            Phase::Reading if client.is_idle() => "idle",
            Phase::Reading => "reading",
            Phase::Waiting(_) => "waiting",
            Phase::InFlight(_) => "in flight",
            Phase::Lingering { .. } => "lingering",
        },
        description,
        bytes_up: client.traffic.up,
        bytes_down: client.traffic.down,
        age_ms: millis(client.opened, now),
        up: Some(up),
        down: Some(down),
    }
}

/// Returns how many milliseconds ago something happened.
pub(super) fn millis(since: Instant, now: Instant) -> u64 {
    let passed = now.saturating_duration_since(since).as_millis();
    u64::try_from(passed).unwrap_or(u64::MAX)
}
