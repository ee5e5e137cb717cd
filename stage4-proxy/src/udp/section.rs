//! The datagrams' section of the inspector.

use std::os::fd::AsRawFd;
use std::time::Instant;

use serde_json::{Value, json};

use crate::inspect::{EndpointView, FlowView, Metrics, Protocol, Section};
use crate::udp::counts::Counted;
use crate::udp::flow::Flow;
use crate::udp::flow_table::FlowTable;
use crate::udp::key::{Key, Origin};

/// Flows that the section lists; it counts the others.
const LISTED: usize = 64;

/// The part of the page.
const PAGE: &str = r#"<dl class="section" data-section="udp">
<div><dt>UDP flows</dt><dd data-field="flows_open" data-as="count"></dd><dd data-field="evictions" data-as="count" data-before="evicted "></dd></div>
<div><dt>datagrams up</dt><dd data-field="up" data-as="count"></dd></div>
<div><dt>datagrams down</dt><dd data-field="down" data-as="count"></dd></div>
</dl>"#;

/// Returns the counters as a section.
pub(super) fn section(counted: &Counted) -> Section {
    let dropped: serde_json::Map<_, Value> = counted
        .by_reason()
        .map(|(reason, count)| (reason.to_owned(), count.into()))
        .collect();
    let json = json!({
        "flows_open": counted.open,
        "flows_total": counted.flows,
        "evictions": counted.evictions,
        "up": counted.up,
        "down": counted.down,
        "runs": { "received": counted.runs_received, "sent": counted.runs_sent, "refused": counted.runs_refused },
        "dropped": dropped,
    });
    Section {
        name: "udp",
        json,
        metrics: metrics(counted),
        page: PAGE,
    }
}

/// Returns some of the flows, in the order of their rows.
pub(super) fn views(flows: &FlowTable<Key, Flow>, now: Instant) -> Vec<FlowView> {
    let listed = flows.iter().take(LISTED);
    listed.map(|(_, key, flow)| view(key, flow, now)).collect()
}

fn view(key: &Key, flow: &Flow, now: Instant) -> FlowView {
    let upstream = flow.upstream();
    let age = now.saturating_duration_since(flow.opened).as_millis();
    FlowView {
        protocol: Protocol::Udp,
        client: match key.origin {
            Origin::Client { address, .. } => Some(address),
            // Its session shows it.
            Origin::Association(_) => None,
        },
        target: flow.target.to_string(),
        upstream: upstream.map(|upstream| EndpointView {
            fd: upstream.socket.as_raw_fd(),
            local: upstream.local_addr(),
            peer: Some(upstream.peer),
            unix: None,
            kernel: None,
        }),
        datagrams_up: flow.up,
        datagrams_down: flow.down,
        age_ms: u64::try_from(age).unwrap_or(u64::MAX),
    }
}

fn metrics(counted: &Counted) -> Metrics {
    let mut metrics = Metrics::default();
    let help = "Flows of datagrams now.";
    metrics.gauge("proxy_udp_flows_open", help, counted.open);
    let help = "Flows of datagrams since the start.";
    metrics.counter("proxy_udp_flows_total", help, counted.flows);
    let help = "Flows that had to make room for others.";
    metrics.counter("proxy_udp_evictions_total", help, counted.evictions);
    let help = "Datagrams passed on, by direction.";
    let passed = [("up", counted.up), ("down", counted.down)];
    metrics.counters("proxy_udp_datagrams_total", help, "direction", &passed);
    let help = "Runs: datagrams of one length that passed through the kernel as one piece.";
    let runs = [
        ("received", counted.runs_received),
        ("sent", counted.runs_sent),
        ("refused", counted.runs_refused),
    ];
    metrics.counters("proxy_udp_runs_total", help, "event", &runs);
    let help = "Datagrams that went no further, by reason.";
    let dropped: Vec<_> = counted.by_reason().collect();
    metrics.counters("proxy_udp_dropped_total", help, "reason", &dropped);
    metrics
}
