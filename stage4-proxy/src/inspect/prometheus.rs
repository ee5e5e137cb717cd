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
use crate::inspect::view::KernelView;

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

    /// Adds the bytes that the kernel holds of one socket, as far as it tells them; `what` names the socket, as in `link` and
    /// `proxy_link_unread_bytes`.
    pub fn kernel_queues(&mut self, what: &str, view: &KernelView) {
        let queues = [
            ("unread", "have arrived and were not read", view.unread),
            (
                "in_flight",
                "were sent and not acknowledged",
                view.in_flight,
            ),
            ("unsent", "were written and not sent", view.unsent),
        ];
        for (queue, state, bytes) in queues {
            let Some(bytes) = bytes else { continue };
            let help = format!("Bytes of the {what} that {state}.");
            self.gauge(&format!("proxy_{what}_{queue}_bytes"), &help, bytes);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_that_the_kernel_does_not_tell_have_no_metric() {
        let mut metrics = Metrics::default();
        let view = KernelView {
            unread: Some(7),
            unsent: Some(0),
            ..KernelView::default()
        };
        metrics.kernel_queues("link", &view);
        let text = metrics.into_text();
        let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            values,
            ["proxy_link_unread_bytes 7", "proxy_link_unsent_bytes 0"]
        );
    }
}
