//! The queue's section of the inspector: one value, written as JSON, as metrics and on the page.

use serde::Serialize;
use stage4_proxy::inspect::{Histogram, KernelView, Metrics, Section};

/// The part of the page: it names the fields of [`QueueView`].
const PAGE: &str = include_str!("section.html");

/// A queue of requests in front of one upstream connection.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct QueueView {
    /// Requests that wait for their turn.
    pub(super) length: u64,
    /// Milliseconds that the first of them has waited.
    pub(super) longest_wait_ms: u64,
    /// The client whose request the upstream is answering.
    pub(super) in_flight: Option<InFlight>,
    /// Requests answered since the start.
    pub(super) served: u64,
    /// How long requests waited for their turn.
    pub(super) wait: Histogram,
    /// Bytes that the kernel holds of the one connection to the upstream.
    pub(super) upstream: Option<KernelView>,
}

/// The request that the upstream is answering.
#[derive(Clone, Debug, Serialize)]
pub(super) struct InFlight {
    /// The address of its client.
    pub(super) client: String,
    /// Milliseconds since its first byte could be sent.
    pub(super) for_ms: u64,
}

impl QueueView {
    /// Returns the section of the inspector that shows these values.
    pub(super) fn section(&self) -> Section {
        Section {
            name: "queue",
            // Numbers and an address: this cannot fail, and an inspector that shows null is better
            // than none.
            json: serde_json::to_value(self).unwrap_or_default(),
            metrics: self.metrics(),
            page: PAGE,
        }
    }

    fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::default();
        let length = "Requests that wait for their turn.";
        metrics.gauge("proxy_queue_length", length, self.length);
        let served = "Requests answered since the start.";
        metrics.counter("proxy_queue_served_total", served, self.served);
        let wait = "Time that requests waited for their turn.";
        metrics.histogram("proxy_queue_wait_seconds", wait, &self.wait);
        if let Some(view) = &self.upstream {
            metrics.kernel_queues("upstream", view);
        }
        metrics
    }
}
