use std::time::Duration;

use serde_json::json;

use super::*;
use crate::access::Denial;
use crate::chain::{Fault, HopFailure, Status};
use crate::connect_error::ConnectError;
use crate::inspect::histogram::Histogram;
use crate::inspect::prometheus::Metrics;
use crate::inspect::totals::{Failures, RefusalReason, Refusals, Timeouts};
use crate::inspect::view::{EndpointView, HopView, Protocol};

fn session(fd: i32) -> SessionView {
    SessionView {
        protocol: Protocol::Tcp,
        client: EndpointView {
            fd,
            local: Some("127.0.0.1:8080".parse().unwrap()),
            peer: Some("[::1]:50312".parse().unwrap()),
            unix: None,
            kernel: None,
        },
        upstream: None,
        ingress: "fixed",
        target: Some("b:1".to_owned()),
        dialled: None,
        hops: Vec::new(),
        phase: "connecting",
        description: "fixed[a -> \"b\"]".to_owned(),
        bytes_up: 3,
        bytes_down: 4,
        age_ms: 5,
        up: None,
        down: None,
    }
}

#[test]
fn a_tunnel_shows_its_link_and_its_streams() {
    let row = |fd, stream: Option<Value>| Row {
        session: session(fd),
        stream,
    };
    let mut snapshot = Snapshot {
        link: Some(json!({"state": "up"})),
        ..Snapshot::default()
    };
    snapshot.take_rows(vec![row(1, Some(json!({"id": "1"}))), row(2, None)]);
    snapshot.merge(Snapshot {
        link: Some(json!({"state": "down"})),
        streams: vec![json!({"id": "3"})],
        ..Snapshot::default()
    });
    let shown = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(shown["link"], json!({"state": "up"}));
    assert_eq!(shown["streams"], json!([{"id": "1"}, {"id": "3"}]));
    assert_eq!(shown["sessions"].as_array().unwrap().len(), 2);
    let without = serde_json::to_value(Snapshot::default()).unwrap();
    assert!(without.get("link").is_none() && without.get("streams").is_none());
}

/// Every counter has its own value, so that a swapped or forgotten field shows.
fn totals(first: u64) -> Totals {
    let mut connect_latency = Histogram::default();
    connect_latency.record(Duration::from_micros(first));
    Totals {
        sessions_open: first,
        sessions_total: first + 1,
        bytes_up: first + 2,
        bytes_down: first + 3,
        failures: Failures {
            resolve: first + 4,
            refused: first + 5,
            timed_out: first + 6,
            unreachable: first + 7,
            other: first + 8,
            denied: first + 16,
        },
        hop_failures: Vec::new(),
        refusals: first + 9,
        refusals_by_reason: Refusals {
            client: first + 18,
            handshake: first + 19,
            too_long: first + 20,
            over_limit: first + 24,
            user: first + 22,
            request: first + 21,
        },
        stale_events: first + 10,
        accept_pauses: first + 11,
        timeouts: Timeouts {
            handshake: first + 12,
            idle: first + 13,
            half_close: first + 14,
            linger: first + 15,
            drain: first + 17,
        },
        connect_latency,
    }
}

/// All numbers of a JSON value, in order.
fn numbers(value: &Value) -> Vec<u64> {
    match value.as_object() {
        Some(fields) => fields.values().flat_map(numbers).collect(),
        None => value.as_u64().into_iter().collect(),
    }
}

#[test]
fn a_session_has_the_fields_of_the_contract() {
    let expected = json!({
        "protocol": "tcp",
        "client": {"fd": 7, "local": "127.0.0.1:8080", "peer": "[::1]:50312"},
        "upstream": null,
        "ingress": "fixed", "target": "b:1", "dialled": null, "hops": [],
        "phase": "connecting",
        "description": "fixed[a -> \"b\"]",
        "bytes_up": 3, "bytes_down": 4, "age_ms": 5,
    });
    assert_eq!(serde_json::to_value(session(7)).unwrap(), expected);
}

#[test]
fn an_upstream_is_an_endpoint_and_unknown_addresses_are_null() {
    let mut view = session(7);
    view.upstream = Some(EndpointView {
        fd: 8,
        local: None,
        peer: None,
        unix: None,
        kernel: None,
    });
    let json = serde_json::to_value(view).unwrap();
    assert_eq!(
        json["upstream"],
        json!({"fd": 8, "local": null, "peer": null})
    );
}

#[test]
fn each_failure_is_counted_under_its_own_reason() {
    let kernel = || std::io::Error::other("from the kernel");
    let table = [
        (ConnectError::Resolve(kernel()), "resolve"),
        (ConnectError::Denied(Denial::OwnListener), "denied"),
        (ConnectError::Refused, "refused"),
        (ConnectError::TimedOut, "timed_out"),
        (ConnectError::Unreachable, "unreachable"),
        (ConnectError::Other(kernel()), "other"),
    ];
    for (error, expected) in table {
        let mut failures = Failures::default();
        failures.count(&error);
        for (reason, count) in failures.by_reason() {
            assert_eq!(count, u64::from(reason == expected), "{error}: {reason}");
        }
    }
}

#[test]
fn each_refusal_is_counted_under_its_own_reason_and_in_the_sum() {
    let mut totals = Totals::default();
    let reasons = [
        RefusalReason::Client,
        RefusalReason::Handshake,
        RefusalReason::TooLong,
        RefusalReason::OverLimit,
        RefusalReason::User,
        RefusalReason::Request,
    ];
    for (times, why) in (1..).zip(reasons) {
        (0..times).for_each(|_| totals.refuse(why));
    }
    let counts = totals.refusals_by_reason.by_reason();
    let expected = [
        "client",
        "handshake",
        "too_long",
        "over_limit",
        "user",
        "request",
    ];
    assert_eq!(counts.map(|(reason, _)| reason), expected);
    assert_eq!(counts.map(|(_, count)| count), [1, 2, 3, 4, 5, 6]);
    assert_eq!(totals.refusals, 21);
}

#[test]
fn a_failure_is_counted_under_its_hop_too_and_merged_by_hop() {
    let failure = |hop| {
        let fault = Fault::Unreached(Status::Refused);
        ConnectError::Hop(HopFailure {
            hop,
            hops: 2,
            fault,
        })
    };
    let mut totals = Totals {
        hop_failures: vec![0; 3],
        ..Totals::default()
    };
    for hop in [0, 2, 2] {
        totals.fail(&failure(hop));
    }
    totals.fail(&ConnectError::Refused);
    assert_eq!(totals.hop_failures, [1, 0, 2]);
    assert_eq!(totals.failures.refused, 4);
    let mut sum = Totals::default();
    sum.merge(&totals);
    sum.merge(&totals);
    assert_eq!(sum.hop_failures, [2, 0, 4]);
}

#[test]
fn a_hop_has_its_name_and_its_answer() {
    let mut view = session(7);
    view.hops = [Some("ok"), Some("connection refused"), None]
        .map(|answer| HopView {
            hop: "h:1".to_owned(),
            answer: answer.map(str::to_owned),
        })
        .into();
    let json = serde_json::to_value(view).unwrap();
    let hop = |answer| json!({"hop": "h:1", "answer": answer});
    let expected = [json!("ok"), json!("connection refused"), Value::Null];
    assert_eq!(json["hops"], json!(expected.map(hop)));
}

#[test]
fn a_snapshot_has_sessions_and_totals() {
    let json = serde_json::to_value(Snapshot::default()).unwrap();
    assert_eq!(json["sessions"], json!([]));
    assert_eq!(json["totals"]["failures"]["timed_out"], 0);
    assert_eq!(json["totals"]["timeouts"]["half_close"], 0);
    assert_eq!(json["totals"]["connect_latency"]["count"], 0);
}

#[test]
fn the_protocol_comes_first() {
    let json = serde_json::to_string(&session(7)).unwrap();
    assert!(
        json.starts_with(r#"{"protocol":"tcp","client":{"#),
        "{json}"
    );
}

fn section(name: &'static str, json: Value) -> Section {
    Section {
        name,
        json,
        metrics: Metrics::default(),
        page: "",
    }
}

#[test]
fn a_section_is_a_field_of_the_totals() {
    let mut snapshot = Snapshot::default();
    assert_eq!(
        serde_json::to_value(&snapshot).unwrap()["totals"]["lines"],
        Value::Null
    );
    snapshot.sections.push(section("lines", json!({"open": 3})));
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(json["totals"]["lines"], json!({"open": 3}));
    assert_eq!(json["totals"]["refusals"], 0);
    assert_eq!(json.as_object().unwrap().len(), 3);
}

#[test]
fn merging_keeps_the_first_section_of_each_name() {
    let with = |sections: Vec<Section>| Snapshot {
        sections,
        ..Snapshot::default()
    };
    let mut sum = with(vec![section("lines", json!(1))]);
    sum.merge(with(vec![
        section("lines", json!(2)),
        section("links", json!(3)),
    ]));
    let json = serde_json::to_value(&sum).unwrap();
    assert_eq!(json["totals"]["lines"], 1);
    assert_eq!(json["totals"]["links"], 3);
}

#[test]
fn merging_keeps_all_sessions_and_adds_every_counter() {
    let mut sum = Snapshot {
        sessions: vec![session(1)],
        totals: totals(100),
        ..Snapshot::default()
    };
    sum.merge(Snapshot {
        sessions: vec![session(2), session(3)],
        totals: totals(1000),
        ..Snapshot::default()
    });
    let fds: Vec<_> = sum
        .sessions
        .iter()
        .map(|session| session.client.fd)
        .collect();
    assert_eq!(fds, [1, 2, 3]);

    let plain = |totals: &Totals| {
        let mut json = serde_json::to_value(totals).unwrap();
        json.as_object_mut().unwrap().remove("connect_latency");
        numbers(&json)
    };
    let (one, two) = (plain(&totals(100)), plain(&totals(1000)));
    let expected: Vec<_> = one.iter().zip(two).map(|(one, two)| one + two).collect();
    assert_eq!(expected.len(), 24);
    assert_eq!(plain(&sum.totals), expected);
    assert_eq!(
        sum.totals.connect_latency.sum(),
        Duration::from_micros(1100)
    );
}
