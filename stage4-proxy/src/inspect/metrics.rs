//! The totals in the Prometheus text exposition format, version 0.0.4.
//!
//! ```text
//! # HELP name What it counts.
//! # TYPE name counter
//! name{label="value"} 3
//! ```

use std::fmt::{self, Write};

use super::{Histogram, QueueView, Totals};

/// The content type of [`render`]'s text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes all totals as Prometheus text.
pub(super) fn render(totals: &Totals) -> String {
    let mut text = String::new();
    // Writing to a String never fails: fmt::Error has no other source here.
    let written = write_totals(&mut text, totals);
    debug_assert!(written.is_ok());
    text
}

fn write_totals(out: &mut String, totals: &Totals) -> fmt::Result {
    gauge(
        out,
        "proxy_sessions_open",
        "Sessions in the route table now.",
        totals.sessions_open,
    )?;
    let counters = [
        (
            "proxy_sessions_total",
            "Sessions accepted since the start.",
            totals.sessions_total,
        ),
        (
            "proxy_refusals_total",
            "Clients closed because of a limit or a policy.",
            totals.refusals,
        ),
        (
            "proxy_stale_events_total",
            "Events for sockets that were gone.",
            totals.stale_events,
        ),
        (
            "proxy_accept_pauses_total",
            "Times that accepting was paused.",
            totals.accept_pauses,
        ),
    ];
    for (name, help, value) in counters {
        heading(out, name, help, "counter")?;
        writeln!(out, "{name} {value}")?;
    }
    let bytes = [("up", totals.bytes_up), ("down", totals.bytes_down)];
    labelled(
        out,
        "proxy_bytes_total",
        "Bytes carried, by direction.",
        ("direction", &bytes),
    )?;
    let failures = totals.failures.by_reason();
    labelled(
        out,
        "proxy_failures_total",
        "Targets not reached, by reason.",
        ("reason", &failures),
    )?;
    let timeouts = totals.timeouts.by_kind();
    labelled(
        out,
        "proxy_timeouts_total",
        "Sessions ended by a time limit.",
        ("kind", &timeouts),
    )?;
    let help = "Time that successful connects to upstreams took.";
    histogram(
        out,
        "proxy_connect_latency_seconds",
        help,
        &totals.connect_latency,
    )?;
    totals
        .queue
        .as_ref()
        .map_or(Ok(()), |queue| write_queue(out, queue))
}

fn write_queue(out: &mut String, queue: &QueueView) -> fmt::Result {
    let help = "Requests that wait for their turn.";
    gauge(out, "proxy_queue_length", help, queue.length)?;
    heading(
        out,
        "proxy_queue_served_total",
        "Requests answered since the start.",
        "counter",
    )?;
    writeln!(out, "proxy_queue_served_total {}", queue.served)?;
    let help = "Time that requests waited for their turn.";
    histogram(out, "proxy_queue_wait_seconds", help, &queue.wait)
}

fn heading(out: &mut String, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}")?;
    writeln!(out, "# TYPE {name} {kind}")
}

fn gauge(out: &mut String, name: &str, help: &str, value: u64) -> fmt::Result {
    heading(out, name, help, "gauge")?;
    writeln!(out, "{name} {value}")
}

/// One counter with a sample for each value of its only label.
fn labelled(
    out: &mut String,
    name: &str,
    help: &str,
    (label, samples): (&str, &[(&str, u64)]),
) -> fmt::Result {
    heading(out, name, help, "counter")?;
    for (value, count) in samples {
        writeln!(out, "{name}{{{label}=\"{value}\"}} {count}")?;
    }
    Ok(())
}

fn histogram(out: &mut String, name: &str, help: &str, values: &Histogram) -> fmt::Result {
    heading(out, name, help, "histogram")?;
    for (bound_us, count) in values.cumulative() {
        writeln!(out, "{name}_bucket{{le=\"{}\"}} {count}", seconds(bound_us))?;
    }
    let count = values.count();
    writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}")?;
    writeln!(out, "{name}_sum {}", values.sum().as_secs_f64())?;
    writeln!(out, "{name}_count {count}")
}

fn seconds(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::inspect::{Failures, Timeouts};

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
        let samples = parse(&render(&totals()));
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
        let text = render(&totals());
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
    fn a_queue_is_told_where_there_is_one() {
        let mut wait = Histogram::default();
        wait.record(Duration::from_millis(3));
        let queue = QueueView {
            length: 7,
            served: 40,
            wait,
            ..QueueView::default()
        };
        let samples = parse(&render(&Totals {
            queue: Some(queue),
            ..Totals::default()
        }));
        assert_eq!(samples["proxy_queue_length"], 7.0);
        assert_eq!(samples["proxy_queue_served_total"], 40.0);
        assert_eq!(samples["proxy_queue_wait_seconds_count"], 1.0);
        assert!(!render(&Totals::default()).contains("queue"));
    }

    #[test]
    fn nothing_counted_yet_is_valid_too() {
        let samples = parse(&render(&Totals::default()));
        assert!(samples.values().all(|&value| value == 0.0));
    }
}
