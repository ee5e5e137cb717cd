//! What the queue says of its clients: the inspector's snapshot.

use std::fmt::Write as _;
use std::time::Instant;

use stage2_client::Target;
use stage4_proxy::inspect::{EndpointView, SessionView, Snapshot, Totals};
use stage4_proxy::route_table::RouteTable;

use super::client::{Client, Phase};
use super::framing::Framing;
use super::request_queue::RequestQueue;

/// What all clients share.
pub(super) struct SharedView<'a> {
    pub(super) target: &'a Target,
    pub(super) endpoint: Option<EndpointView>,
    pub(super) queue: &'a RequestQueue,
    /// Since when a request is in flight.
    pub(super) flight_since: Option<Instant>,
}

/// Copies out what the inspector shows: one row for each client, every row with the one upstream.
pub(super) fn snapshot<F: Framing>(
    table: &RouteTable<Client<F>>,
    shared: &SharedView<'_>,
    totals: &Totals,
    now: Instant,
) -> Snapshot {
    let sessions = table
        .iter()
        .map(|(row, client)| view(row, client, shared, now));
    let mut snapshot = Snapshot {
        sessions: sessions.collect(),
        totals: totals.clone(),
    };
    snapshot.totals.sessions_open = snapshot.sessions.len() as u64;
    for session in &snapshot.sessions {
        snapshot.totals.bytes_up += session.bytes_up;
        snapshot.totals.bytes_down += session.bytes_down;
    }
    snapshot
}

fn view<F: Framing>(
    row: u32,
    client: &Client<F>,
    shared: &SharedView<'_>,
    now: Instant,
) -> SessionView {
    let millis = |since| u64::try_from(now.saturating_duration_since(since).as_millis());
    let peer = client.endpoint.peer();
    let mut description = format!("{}[{peer} -> {}]", F::NAME, shared.target);
    let turn = match client.phase {
        Phase::Waiting(_) => shared.queue.since(row).map(|since| ("waits", since)),
        Phase::InFlight => shared.flight_since.map(|since| ("in flight for", since)),
        Phase::Reading | Phase::Farewell { .. } => None,
    };
    if let Some((what, since)) = turn {
        let millis = millis(since).unwrap_or(u64::MAX);
        // Writing to a String never fails.
        let _ = write!(description, " {what} {millis} ms");
    }
    SessionView {
        client: client.endpoint.view(),
        upstream: shared.endpoint,
        phase: match client.phase {
            Phase::Reading if client.is_idle() => "idle",
            Phase::Reading => "reading",
            Phase::Waiting(_) => "waiting",
            Phase::InFlight => "in flight",
            Phase::Farewell { .. } => "farewell",
        },
        description,
        bytes_up: client.traffic.up,
        bytes_down: client.traffic.down,
        age_ms: millis(client.opened).unwrap_or(u64::MAX),
    }
}
