//! A session as the inspector shows it.

use std::time::Instant;

use stage2_client::Target;

use crate::chain::Fault;
use crate::connect_error::ConnectError;
use crate::endpoint::Endpoint;
use crate::half::{Half, HalfState};
use crate::inspect::{Carried, EndpointView, HalfView, HopView, Protocol, SessionView};
use crate::report::description::{Description, asked, dialled};
use crate::session::{Phase, Reason, Session};
use crate::socket_view;
use crate::token::Side;

/// Returns the bytes that a session has moved.
pub(super) fn carried(session: &Session) -> Carried {
    Carried {
        up: session.up.half.moved(),
        down: session.down.half.moved(),
    }
}

/// Returns the view of a session that came in through `ingress` and goes out through `hops`, if there are any.
pub(super) fn view(
    ingress: &'static str,
    hops: &[Target],
    session: &Session,
    now: Instant,
) -> SessionView {
    let age = now.saturating_duration_since(session.opened).as_millis();
    let carried = carried(session);
    SessionView {
        protocol: Protocol::Tcp,
        client: endpoint_view(&session.client, Side::Client),
        upstream: session
            .shown_upstream()
            .map(|endpoint| endpoint_view(endpoint, Side::Upstream)),
        ingress,
        target: asked(session),
        dialled: dialled(session).map(|address| address.to_string()),
        hops: hop_views(hops, session),
        phase: phase_name(&session.phase),
        description: Description(ingress, session).to_string(),
        bytes_up: carried.up,
        bytes_down: carried.down,
        age_ms: u64::try_from(age).unwrap_or(u64::MAX),
        up: Some(half_view(&session.up.half)),
        down: Some(half_view(&session.down.half)),
    }
}

fn endpoint_view(endpoint: &Endpoint, side: Side) -> EndpointView {
    socket_view::of(endpoint.socket(), endpoint.peer_addr(), side)
}

fn half_view(half: &Half) -> HalfView {
    HalfView {
        state: match half.state() {
            HalfState::Open => "open",
            HalfState::Draining => "draining",
            HalfState::Closed => "closed",
        },
        pending: half.read() - half.moved(),
    }
}

fn hop_views(hops: &[Target], session: &Session) -> Vec<HopView> {
    let (connected, fault) = answers(hops.len(), session);
    let answer = |place: usize| match fault {
        _ if place < connected => Some("ok".to_owned()),
        Some(fault) if place == connected => Some(text_of(fault)),
        Some(_) | None => None,
    };
    let views = hops.iter().enumerate().map(|(place, hop)| HopView {
        hop: hop.to_string(),
        answer: answer(place),
    });
    views.collect()
}

/// Returns how many hops are connected, and what the next one has done instead, if it is known.
fn answers(hops: usize, session: &Session) -> (usize, Option<Fault>) {
    match &session.phase {
        Phase::Handshake
        | Phase::Delayed(_)
        | Phase::Resolving(_)
        | Phase::Connecting(_)
        | Phase::Associated => (0, None),
        Phase::Chaining(passage) => (passage.awaited() - 1, None),
        Phase::Relay | Phase::Forward(_) | Phase::Lingering | Phase::Aborting(_) => {
            match session.facts.refusal() {
                // Hop 0 is this proxy, which was not able to reach the first one.
                Some(Reason::Unreached(ConnectError::Hop(failure))) if failure.hop > 0 => {
                    (failure.hop - 1, Some(failure.fault))
                }
                Some(_) => (0, None),
                None => (hops, None),
            }
        }
    }
}

fn text_of(fault: Fault) -> String {
    match fault {
        Fault::Unreached(status) => status.to_string(),
        Fault::Silent => "closed without a response".to_owned(),
        Fault::TooSlow => "timed out".to_owned(),
        Fault::Stranger => "not the chain's protocol".to_owned(),
    }
}

fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Handshake => "handshake",
        Phase::Delayed(_) => "delayed",
        Phase::Resolving(_) => "resolving",
        Phase::Connecting(_) => "connecting",
        Phase::Chaining(_) => "chaining",
        Phase::Relay => "relay",
        Phase::Associated => "associated",
        Phase::Forward(_) => "forward",
        Phase::Lingering => "lingering",
        Phase::Aborting(_) => "aborting",
    }
}
