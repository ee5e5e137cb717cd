//! The tunnel's report on its link and streams: the inspector's snapshot, some rows in each turn of the loop.

mod halves;

use std::time::{Duration, Instant};

use stage4_proxy::inspect::{
    Carried, Collector, Described, EndpointView, Protocol, Row, SessionView, Snapshot, Totals,
};
use stage4_proxy::token::Side;

use crate::tunnel::link::{Link, State};
use crate::tunnel::local::{Delivery, Local, Phase};
use crate::tunnel::locals::Locals;
use crate::tunnel::report::halves::halves;
use crate::tunnel::section::{LinkView, StreamView};
use crate::tunnel::session::Session;
use crate::tunnel::stream::{Inbound, Outbound, StreamFacts};
use crate::tunnel::wire::Wire;

/// What is counted, and who has asked for it.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) collector: Collector,
    pub(super) totals: Totals,
    /// Clients that were refused because there was no link, or no room on it.
    pub(super) refused: u64,
}

impl Report {
    /// Notes that a local side was removed from its row.
    pub(super) fn ended(&mut self, row: u32, carried: Carried) {
        self.totals.bytes_up += carried.up;
        self.totals.bytes_down += carried.down;
        self.collector.session_ended(row, carried);
    }

    /// Copies out some more rows, if the inspector has asked; the link comes with the last.
    pub(super) fn advance<W: Wire>(&mut self, locals: &Locals, link: &Link<W>, now: Instant) {
        if !self.collector.has_work() {
            return;
        }
        let side = locals.side();
        let endpoint = link.carrying().and_then(|up| up.carrier.view());
        let row = |_, local: &Local| row(local, side, endpoint.as_ref(), link, now);
        let (totals, refused) = (&self.totals, self.refused);
        let rest = || {
            let link = LinkView {
                refused,
                ..link_view(link, now)
            };
            Snapshot {
                totals: Totals {
                    sessions_total: locals.created(),
                    ..totals.clone()
                },
                link: Some(link.json()),
                sections: vec![link.section()],
                ..Snapshot::default()
            }
        };
        let carried = |local: &Local| local.carried(side);
        self.collector.advance(locals.table(), carried, row, rest);
    }
}

fn link_view<W: Wire>(link: &Link<W>, now: Instant) -> LinkView {
    let up = link.carrying();
    let retry_at = match link.state {
        State::Down { retry_at } => retry_at,
        State::Resolving { .. } | State::Connecting { .. } | State::Proving(_) | State::Up(_) => {
            None
        }
    };
    let session = up.map(|up| &up.session);
    let round_trip = session.and_then(|session| session.round_trip());
    let stalled_by = session.and_then(|session| session.facts(session.stalled_by()?));
    LinkView {
        state: link.state.name(),
        since_ms: millis(now.saturating_duration_since(link.history.since)),
        peer: up.map(|up| up.carrier.peer()),
        wire: W::NAME,
        made: link.history.made,
        reconnects: link.history.made.saturating_sub(1),
        last_reason: link.history.last_reason.clone(),
        retry_in_ms: retry_at.map(|at| millis(at.saturating_duration_since(now))),
        round_trip_us: round_trip.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        round_trip_ms: round_trip.map(|time| time.as_secs_f64() * 1e3),
        streams: session.map_or(0, |session| session.streams() as u64),
        stalled_by: stalled_by.map(|facts| facts.id.to_string()),
        refused: 0,
        kernel: up.and_then(|up| up.carrier.kernel()),
        planned: session.map_or(0, Session::planned),
        stalled: up.map_or(0, |up| up.carry.len()),
    }
}

fn row<W: Wire>(
    local: &Local,
    side: Side,
    link_endpoint: Option<&EndpointView>,
    link: &Link<W>,
    now: Instant,
) -> Row {
    let session = link.carrying().map(|up| &up.session);
    let facts = local.key.and_then(|key| session?.facts(key));
    let planned = local
        .key
        .map_or(0, |key| session.map_or(0, |it| it.planned_of(key)));
    let stream = facts.map(|facts| stream_view(local, side, &facts, planned));
    let (up, down) = halves(local, side, facts.map(|facts| facts.outbound), planned);
    let session = SessionView {
        up: Some(up),
        down: Some(down),
        ..session_view(local, side, link_endpoint, stream.as_ref(), now)
    };
    let stream = stream.and_then(|stream| serde_json::to_value(stream).ok());
    Row { session, stream }
}

fn session_view(
    local: &Local,
    side: Side,
    link: Option<&EndpointView>,
    stream: Option<&StreamView>,
    now: Instant,
) -> SessionView {
    let own = local.newest_socket().map(|endpoint| endpoint.view());
    let (client, upstream) = match side {
        Side::Client => (own, link.cloned()),
        Side::Upstream => (link.cloned(), own),
    };
    let dialled = match side {
        Side::Client => None,
        Side::Upstream => local
            .newest_socket()
            .map(|socket| Described(socket.peer_addr()).to_string()),
    };
    let carried = local.carried(side);
    SessionView {
        protocol: Protocol::Tcp,
        client: client.unwrap_or(NO_SOCKET),
        upstream,
        ingress: "tunnel",
        target: local.target_name(),
        dialled,
        hops: Vec::new(),
        phase: local.phase.name(),
        description: describe(local, stream),
        bytes_up: carried.up,
        bytes_down: carried.down,
        age_ms: millis(now.saturating_duration_since(local.tally.opened)),
        up: None,
        down: None,
    }
}

/// Stands for the link where it is no socket, or is down.
const NO_SOCKET: EndpointView = EndpointView {
    fd: -1,
    local: None,
    peer: None,
    unix: None,
    kernel: None,
};

fn describe(local: &Local, stream: Option<&StreamView>) -> String {
    let peer = local.newest_socket().map(|socket| socket.peer_addr());
    let peer = peer.map_or_else(|| "nobody yet".to_owned(), |peer| peer.to_string());
    match stream {
        Some(stream) => format!(
            "{}[{peer}] to the link: {}, from it: {}",
            stream.id, stream.to_link_waits_for, stream.to_local_waits_for
        ),
        None => format!("no stream[{peer}]"),
    }
}

fn stream_view(local: &Local, side: Side, facts: &StreamFacts, planned: usize) -> StreamView {
    let peer = local.newest_socket().map(|socket| socket.peer_addr());
    let carried = local.carried(side);
    StreamView {
        id: facts.id.to_string(),
        peer: peer.map(|peer| peer.to_string()),
        state: match (facts.inbound, facts.outbound) {
            (Inbound::Receiving, Outbound::Sending) => "open",
            (Inbound::Receiving, Outbound::Finishing | Outbound::Finished) => "ended by us",
            (Inbound::Ended, Outbound::Sending) => "ended by the peer",
            (Inbound::Ended, Outbound::Finishing | Outbound::Finished) => "ended",
        },
        bytes_up: carried.up,
        bytes_down: carried.down,
        send_window: facts.send_window,
        receive_window: facts.receive_window,
        held: local.held.len(),
        planned,
        to_link_waits_for: to_link(facts),
        to_local_waits_for: to_local(local, facts),
    }
}

fn to_link(facts: &StreamFacts) -> &'static str {
    match facts.outbound {
        Outbound::Finished => "nothing",
        Outbound::Finishing => "link",
        Outbound::Sending if !facts.is_readable => "local bytes",
        Outbound::Sending if facts.send_window == 0 => "credit",
        Outbound::Sending => "link",
    }
}

fn to_local(local: &Local, facts: &StreamFacts) -> &'static str {
    match &local.phase {
        Phase::Request | Phase::Resolving(_) | Phase::Connecting(_) => "local connection",
        Phase::Handshake
        | Phase::Delayed
        | Phase::Open
        | Phase::Forward(_)
        | Phase::Lingering { .. }
        | Phase::Parting => match facts.inbound {
            _ if !local.held.is_empty() => "local reader",
            Inbound::Ended if local.delivery == Delivery::FinSent => "nothing",
            Inbound::Ended => "local reader",
            Inbound::Receiving => "link bytes",
        },
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
