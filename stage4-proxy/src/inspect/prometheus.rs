//! The Prometheus text exposition format, version 0.0.4.
//!
//! ```text
//! # HELP name What it counts.
//! # TYPE name counter
//! name{label="value"} 3
//! ```

use std::fmt::{Arguments, Write};
use std::time::Duration;

use crate::inspect::histogram::Histogram;

/// The content type of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics as text, each with its help and its type.
///
/// ```
/// use stage4_proxy::inspect::Metrics;
///
/// let mut metrics = Metrics::default();
/// metrics.gauge("proxy_lines_open", "Lines that are open now.", 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// Adds a number that rises and falls.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.heading(name, help, "gauge");
        self.line(format_args!("{name} {value}"));
    }

    /// Adds a number that only rises; its name ends with `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.heading(name, help, "counter");
        self.line(format_args!("{name} {value}"));
    }

    /// Adds a counter with a sample for each value of its only label.
    pub fn counters(&mut self, name: &str, help: &str, label: &str, samples: &[(&str, u64)]) {
        self.heading(name, help, "counter");
        for (value, count) in samples {
            self.line(format_args!("{name}{{{label}=\"{value}\"}} {count}"));
        }
    }

    /// Adds a histogram of durations; its name ends with `_seconds`.
    pub fn histogram(&mut self, name: &str, help: &str, values: &Histogram) {
        self.heading(name, help, "histogram");
        for (bound_us, count) in values.cumulative() {
            let bound = Duration::from_micros(bound_us).as_secs_f64();
            self.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {count}"));
        }
        let count = values.count();
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
        let sum = values.sum().as_secs_f64();
        self.line(format_args!("{name}_sum {sum}"));
        self.line(format_args!("{name}_count {count}"));
    }

    /// Adds the metrics of another part.
    pub(super) fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
    }

    /// Returns the text, which ends with a newline.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn heading(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: Arguments<'_>) {
        // Writing to a String never fails: fmt::Error has no other source here.
        let written = writeln!(self.text, "{line}");
        debug_assert!(written.is_ok());
    }
}
