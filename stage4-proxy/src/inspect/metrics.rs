//! The totals and the sections as Prometheus text.

use crate::inspect::prometheus::Metrics;
use crate::inspect::snapshot::Snapshot;
use crate::inspect::totals::Totals;

/// Writes all totals and sections as Prometheus text.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let mut metrics = Metrics::default();
    add_sessions(&mut metrics, &snapshot.totals);
    add_traffic(&mut metrics, &snapshot.totals);
    add_ends(&mut metrics, &snapshot.totals);
    let help = "Time that successful connects to upstreams took.";
    let latency = &snapshot.totals.connect_latency;
    metrics.histogram("proxy_connect_latency_seconds", help, latency);
    for section in &snapshot.sections {
        metrics.append(&section.metrics);
    }
    metrics.into_text()
}

fn add_sessions(metrics: &mut Metrics, totals: &Totals) {
    let open = "Sessions in the route table now.";
    metrics.gauge("proxy_sessions_open", open, totals.sessions_open);
    let all = "Sessions accepted since the start.";
    metrics.counter("proxy_sessions_total", all, totals.sessions_total);
    let refused = "Clients closed because of a limit or a policy.";
    metrics.counter("proxy_refusals_total", refused, totals.refusals);
    let stale = "Events for sockets that were gone.";
    metrics.counter("proxy_stale_events_total", stale, totals.stale_events);
    let pauses = "Times that accepting was paused.";
    metrics.counter("proxy_accept_pauses_total", pauses, totals.accept_pauses);
}

fn add_traffic(metrics: &mut Metrics, totals: &Totals) {
    let bytes = [("up", totals.bytes_up), ("down", totals.bytes_down)];
    let help = "Bytes carried, by direction.";
    metrics.counters("proxy_bytes_total", help, "direction", &bytes);
}

fn add_ends(metrics: &mut Metrics, totals: &Totals) {
    let failures = totals.failures.by_reason();
    let help = "Targets not reached, by reason.";
    metrics.counters("proxy_failures_total", help, "reason", &failures);
    add_hop_failures(metrics, &totals.hop_failures);
    let refusals = totals.refusals_by_reason.by_reason();
    let help = "Clients closed because of a limit or a policy, by reason.";
    let name = "proxy_refusals_by_reason_total";
    metrics.counters(name, help, "reason", &refusals);
    let timeouts = totals.timeouts.by_kind();
    let help = "Sessions ended by a time limit.";
    metrics.counters("proxy_timeouts_total", help, "kind", &timeouts);
}

/// Adds a counter for each hop of a chain; without one there is none.
fn add_hop_failures(metrics: &mut Metrics, counts: &[u64]) {
    if counts.is_empty() {
        return;
    }
    let hops: Vec<String> = (0..counts.len()).map(|hop| hop.to_string()).collect();
    let samples = hops.iter().map(String::as_str).zip(counts.iter().copied());
    let samples: Vec<_> = samples.collect();
    let help = "Targets not reached because of a hop, by its number; 0 is this proxy.";
    metrics.counters("proxy_hop_failures_total", help, "hop", &samples);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::inspect::histogram::Histogram;
    use crate::inspect::section::Section;
    use crate::inspect::totals::{Failures, Refusals, Timeouts};

    /// A parser of the format, just large enough to catch us breaking it: samples by name with labels.
    /// It insists on HELP and TYPE, in this order, before the samples of a metric.
    fn parse(text: &str) -> BTreeMap<String, f64> {
        assert!(text.ends_with('\n'), "the last line needs its newline");
        let mut samples = BTreeMap::new();
        let (mut helped, mut typed) = (String::new(), (String::new(), String::new()));
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split_once(' ').expect("a help text").0.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert_eq!(name, helped, "TYPE follows HELP");
                typed = (name.to_owned(), kind.to_owned());
            } else {
                let (sample, value) = line.rsplit_once(' ').expect("a value");
                check_sample(sample, &typed);
                let value = value.parse().expect("a number");
                assert!(
                    samples.insert(sample.to_owned(), value).is_none(),
                    "{sample} twice"
                );
            }
        }
        samples
    }

    fn check_sample(sample: &str, (name, kind): &(String, String)) {
        let (bare, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let suffix = bare
            .strip_prefix(name.as_str())
            .expect("samples follow their TYPE");
        let allowed: &[&str] = match kind.as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            "counter" | "gauge" => &[""],
            unknown => panic!("unknown type {unknown}"),
        };
        assert!(allowed.contains(&suffix), "{sample} in a {kind}");
        assert!(
            bare.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{bare}"
        );
        if kind == "counter" {
            assert!(bare.ends_with("_total"), "{bare}");
        }
        if !labels.is_empty() {
            let (label, value) = labels.split_once("=\"").expect("a label");
            assert!(
                label.bytes().all(|byte| byte.is_ascii_lowercase()),
                "{label}"
            );
            let value = value.strip_suffix("\"}").expect("a closed label");
            assert!(
                !value.contains(['"', '\\', '\n']),
                "{value} needs no escapes"
            );
        }
    }

    fn rendered(totals: Totals) -> String {
        render(&Snapshot {
            totals,
            ..Snapshot::default()
        })
    }

    fn totals() -> Totals {
        let mut totals = Totals {
            sessions_open: 2,
            sessions_total: 9,
            bytes_up: 1 << 40,
            bytes_down: 7,
            failures: Failures {
                resolve: 11,
                refused: 12,
                timed_out: 13,
                unreachable: 14,
                other: 15,
                denied: 16,
            },
            refusals: 3,
            refusals_by_reason: Refusals {
                client: 31,
                handshake: 32,
                too_long: 33,
                over_limit: 36,
                user: 35,
                request: 34,
            },
            stale_events: 4,
            accept_pauses: 5,
            timeouts: Timeouts {
                handshake: 21,
                idle: 22,
                half_close: 23,
                linger: 25,
                drain: 24,
            },
            ..Totals::default()
        };
        for us in [40, 60, 2_000, 30_000_000] {
            totals.connect_latency.record(Duration::from_micros(us));
        }
        totals
    }

    #[test]
    fn every_counter_is_there_under_its_name() {
        let samples = parse(&rendered(totals()));
        let expected = [
            ("proxy_sessions_open", 2.0),
            ("proxy_sessions_total", 9.0),
            ("proxy_bytes_total{direction=\"up\"}", 1_099_511_627_776.0),
            ("proxy_bytes_total{direction=\"down\"}", 7.0),
            ("proxy_failures_total{reason=\"resolve\"}", 11.0),
            ("proxy_failures_total{reason=\"refused\"}", 12.0),
            ("proxy_failures_total{reason=\"timed_out\"}", 13.0),
            ("proxy_failures_total{reason=\"unreachable\"}", 14.0),
            ("proxy_failures_total{reason=\"other\"}", 15.0),
            ("proxy_failures_total{reason=\"denied\"}", 16.0),
            ("proxy_refusals_total", 3.0),
            ("proxy_refusals_by_reason_total{reason=\"client\"}", 31.0),
            ("proxy_refusals_by_reason_total{reason=\"handshake\"}", 32.0),
            ("proxy_refusals_by_reason_total{reason=\"too_long\"}", 33.0),
            (
                "proxy_refusals_by_reason_total{reason=\"over_limit\"}",
                36.0,
            ),
            ("proxy_refusals_by_reason_total{reason=\"user\"}", 35.0),
            ("proxy_refusals_by_reason_total{reason=\"request\"}", 34.0),
            ("proxy_stale_events_total", 4.0),
            ("proxy_accept_pauses_total", 5.0),
            ("proxy_timeouts_total{kind=\"handshake\"}", 21.0),
            ("proxy_timeouts_total{kind=\"idle\"}", 22.0),
            ("proxy_timeouts_total{kind=\"half_close\"}", 23.0),
            ("proxy_timeouts_total{kind=\"drain\"}", 24.0),
            ("proxy_timeouts_total{kind=\"linger\"}", 25.0),
        ];
        for (name, value) in expected {
            assert_eq!(samples.get(name), Some(&value), "{name}");
        }
        let others = samples
            .keys()
            .filter(|name| !name.starts_with("proxy_connect_latency"));
        assert_eq!(others.count(), expected.len());
    }

    #[test]
    fn the_histogram_is_cumulative_in_seconds_and_ends_at_infinity() {
        let text = rendered(totals());
        let samples = parse(&text);
        let bucket =
            |le: &str| samples[&format!("proxy_connect_latency_seconds_bucket{{le=\"{le}\"}}")];
        assert_eq!(bucket("0.00005"), 1.0);
        assert_eq!(bucket("0.0001"), 2.0);
        assert_eq!(bucket("0.0025"), 3.0);
        assert_eq!(bucket("10"), 3.0);
        assert_eq!(bucket("+Inf"), 4.0);
        assert_eq!(samples["proxy_connect_latency_seconds_count"], 4.0);
        assert_eq!(samples["proxy_connect_latency_seconds_sum"], 30.0021);
        let bounds = text
            .lines()
            .filter(|line| line.contains("le="))
            .map(|line| {
                let bound = line.split('"').nth(1).unwrap();
                if bound == "+Inf" {
                    f64::INFINITY
                } else {
                    bound.parse().unwrap()
                }
            });
        assert!(bounds.is_sorted());
    }

    #[test]
    fn a_section_follows_with_its_own_metrics() {
        let mut values = Histogram::default();
        values.record(Duration::from_millis(3));
        let mut metrics = Metrics::default();
        metrics.gauge("proxy_lines_open", "Lines that are open now.", 7);
        metrics.counter("proxy_lines_total", "Lines since the start.", 40);
        metrics.histogram("proxy_lines_seconds", "Time that lines were open.", &values);
        let section = Section {
            name: "lines",
            json: serde_json::Value::Null,
            metrics,
            page: "",
        };
        let text = render(&Snapshot {
            sections: vec![section],
            ..Snapshot::default()
        });
        let samples = parse(&text);
        assert_eq!(samples["proxy_lines_open"], 7.0);
        assert_eq!(samples["proxy_lines_total"], 40.0);
        assert_eq!(samples["proxy_lines_seconds_count"], 1.0);
        let own = rendered(Totals::default());
        assert!(text.starts_with(&own) && !own.contains("lines"));
    }

    #[test]
    fn the_failures_of_hops_are_there_if_there_are_hops() {
        let samples = parse(&rendered(Totals {
            hop_failures: vec![1, 0, 7],
            ..Totals::default()
        }));
        for (hop, count) in [(0, 1.0), (1, 0.0), (2, 7.0)] {
            let name = format!("proxy_hop_failures_total{{hop=\"{hop}\"}}");
            assert_eq!(samples[&name], count);
        }
        assert!(!rendered(totals()).contains("hop_failures"));
    }

    #[test]
    fn nothing_counted_yet_is_valid_too() {
        let samples = parse(&rendered(Totals::default()));
        assert!(samples.values().all(|&value| value == 0.0));
    }
}
