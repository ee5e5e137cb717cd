//! The values that the inspector shows: copied out of the workers, free of I/O.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use crate::chain::Status;
use crate::connect_error::ConnectError;
use crate::inspect::histogram::Histogram;
use crate::inspect::section::Section;

/// Shows all sessions and totals at one moment; its JSON form is `/routes.json`.
///
/// Each worker fills one for itself, and [`merge`](Self::merge) makes them one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// One entry for each row of the route table that is in use.
    pub sessions: Vec<SessionView>,
    /// The counters since the start.
    pub totals: Totals,
    /// The parts that the crate of the workers adds.
    pub sections: Vec<Section>,
}

impl Snapshot {
    /// Adds another worker's sessions, totals and sections to this snapshot.
    ///
    /// Sections are not added up: one of a name that is there already is left out.
    pub fn merge(&mut self, other: Self) {
        self.sessions.extend(other.sessions);
        self.totals.merge(&other.totals);
        for section in other.sections {
            if self.sections.iter().all(|known| known.name != section.name) {
                self.sections.push(section);
            }
        }
    }
}

/// Writes `{"sessions": [..], "totals": {.., "NAME": ..}}`, with a field for each section.
impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sections = self.sections.iter();
        let totals = TotalsWithSections {
            totals: &self.totals,
            sections: sections
                .map(|section| (section.name, &section.json))
                .collect(),
        };
        let mut fields = serializer.serialize_struct("Snapshot", 2)?;
        fields.serialize_field("sessions", &self.sessions)?;
        fields.serialize_field("totals", &totals)?;
        fields.end()
    }
}

#[derive(serde::Serialize)]
struct TotalsWithSections<'a> {
    #[serde(flatten)]
    totals: &'a Totals,
    #[serde(flatten)]
    sections: BTreeMap<&'static str, &'a Value>,
}

/// Shows one session: a client, and its upstream once there is one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SessionView {
    /// The protocol of both sockets: with their addresses it makes up two five-tuples.
    pub protocol: Protocol,
    /// The client's socket: its peer is the client, its local address the proxy's.
    pub client: EndpointView,
    /// The upstream's socket, from the moment a connect was started.
    pub upstream: Option<EndpointView>,
    /// The name of the session's phase, such as `relay`.
    pub phase: &'static str,
    /// The client and its target, such as `socks5[127.0.0.1:50312 -> example:80]`.
    pub description: String,
    /// Bytes carried from the client to the upstream.
    pub bytes_up: u64,
    /// Bytes carried from the upstream to the client.
    pub bytes_down: u64,
    /// Milliseconds since the client was accepted.
    pub age_ms: u64,
}

/// The transport protocol of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP (RFC 9293).
    Tcp,
}

/// Shows one socket; an address is absent if the kernel knows none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EndpointView {
    /// The file descriptor's number: the documents' `cfd` or `ufd`.
    pub fd: i32,
    /// The address at our end, as `getsockname(2)` tells it.
    pub local: Option<SocketAddr>,
    /// The address at the other end, as `getpeername(2)` tells it.
    pub peer: Option<SocketAddr>,
}

/// Counts what happened since the start; only `sessions_open` ever falls.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Sessions in the route table now.
    pub sessions_open: u64,
    /// Sessions ever accepted.
    pub sessions_total: u64,
    /// Bytes carried from clients to upstreams.
    pub bytes_up: u64,
    /// Bytes carried from upstreams to clients.
    pub bytes_down: u64,
    /// Targets that were not reached, by reason.
    pub failures: Failures,
    /// Clients closed because of a limit or a policy.
    pub refusals: u64,
    /// Clients refused because of a wrong name or password; they are among the refusals.
    pub wrong_passwords: u64,
    /// Events, answers and timers for a socket that was closed already.
    pub stale_events: u64,
    /// Times that accepting was paused, because no row or no descriptor was free.
    pub accept_pauses: u64,
    /// Sessions ended by a time limit, by kind.
    pub timeouts: Timeouts,
    /// Time that successful connects to upstreams took.
    pub connect_latency: Histogram,
}

impl Totals {
    /// Adds another worker's totals.
    pub fn merge(&mut self, other: &Self) {
        self.sessions_open += other.sessions_open;
        self.sessions_total += other.sessions_total;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.failures.merge(other.failures);
        self.refusals += other.refusals;
        self.wrong_passwords += other.wrong_passwords;
        self.stale_events += other.stale_events;
        self.accept_pauses += other.accept_pauses;
        self.timeouts.merge(other.timeouts);
        self.connect_latency.merge(&other.connect_latency);
    }
}

/// Counts the targets that were not reached, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Failures {
    /// The name has no address.
    pub resolve: u64,
    /// The proxy's own access rules do not allow the target.
    pub denied: u64,
    /// The target refused the connection.
    pub refused: u64,
    /// The target did not answer in time.
    pub timed_out: u64,
    /// There is no route to the target.
    pub unreachable: u64,
    /// Anything else.
    pub other: u64,
}

impl Failures {
    /// Counts one target that was not reached.
    pub fn count(&mut self, error: &ConnectError) {
        let counter = match Status::from(error) {
            Status::Resolve => &mut self.resolve,
            Status::NotAllowed => &mut self.denied,
            Status::Refused => &mut self.refused,
            Status::TimedOut => &mut self.timed_out,
            Status::Unreachable => &mut self.unreachable,
            Status::Ok | Status::Malformed | Status::LimitReached | Status::Other => {
                &mut self.other
            }
        };
        *counter += 1;
    }

    /// Returns each reason's name with its count.
    pub fn by_reason(self) -> [(&'static str, u64); 6] {
        [
            ("resolve", self.resolve),
            ("denied", self.denied),
            ("refused", self.refused),
            ("timed_out", self.timed_out),
            ("unreachable", self.unreachable),
            ("other", self.other),
        ]
    }

    fn merge(&mut self, other: Self) {
        self.resolve += other.resolve;
        self.denied += other.denied;
        self.refused += other.refused;
        self.timed_out += other.timed_out;
        self.unreachable += other.unreachable;
        self.other += other.other;
    }
}

/// Counts the sessions that a time limit ended, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Timeouts {
    /// The client did not finish its handshake.
    pub handshake: u64,
    /// No byte moved for too long.
    pub idle: u64,
    /// One half was closed and the other stayed silent.
    pub half_close: u64,
    /// The client did not read its last bytes.
    pub linger: u64,
    /// The proxy was stopping and the session did not end by itself.
    pub drain: u64,
}

impl Timeouts {
    /// Returns each kind's name with its count.
    pub fn by_kind(self) -> [(&'static str, u64); 5] {
        [
            ("handshake", self.handshake),
            ("idle", self.idle),
            ("half_close", self.half_close),
            ("linger", self.linger),
            ("drain", self.drain),
        ]
    }

    fn merge(&mut self, other: Self) {
        self.handshake += other.handshake;
        self.idle += other.idle;
        self.half_close += other.half_close;
        self.linger += other.linger;
        self.drain += other.drain;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::access::Denial;
    use crate::inspect::prometheus::Metrics;

    fn session(fd: i32) -> SessionView {
        SessionView {
            protocol: Protocol::Tcp,
            client: EndpointView {
                fd,
                local: Some("127.0.0.1:8080".parse().unwrap()),
                peer: Some("[::1]:50312".parse().unwrap()),
            },
            upstream: None,
            phase: "connecting",
            description: "fixed[a -> \"b\"]".to_owned(),
            bytes_up: 3,
            bytes_down: 4,
            age_ms: 5,
        }
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
            refusals: first + 9,
            wrong_passwords: first + 18,
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
        assert_eq!(json.as_object().unwrap().len(), 2);
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
            sections: Vec::new(),
        };
        sum.merge(Snapshot {
            sessions: vec![session(2), session(3)],
            totals: totals(1000),
            sections: Vec::new(),
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
        assert_eq!(expected.len(), 19);
        assert_eq!(plain(&sum.totals), expected);
        assert_eq!(
            sum.totals.connect_latency.sum(),
            Duration::from_micros(1100)
        );
    }
}
