//! What the inspector shows of a link and its streams: plain values, written as JSON, as metrics and on the page.

use serde::Serialize;
use stage4_proxy::inspect::{KernelView, Metrics, Section};

/// The part of the page: it names the fields of [`LinkView`].
const PAGE: &str = include_str!("section.html");

/// The link.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct LinkView {
    /// `down`, `resolving`, `connecting`, `proving` or `up`.
    pub(super) state: &'static str,
    /// Milliseconds since it is in this state; attempts to connect do not count as a change.
    pub(super) since_ms: u64,
    /// The other end, as the transport names it.
    pub(super) peer: Option<String>,
    /// What is spoken on it.
    pub(super) wire: &'static str,
    /// How often it was made.
    pub(super) made: u64,
    /// How often it was made anew.
    pub(super) reconnects: u64,
    /// Why it was lost the last time, or not made.
    pub(super) last_reason: Option<String>,
    /// Milliseconds until the next attempt.
    pub(super) retry_in_ms: Option<u64>,
    /// The shortest round trip of a ping in the last ten seconds, in microseconds.
    pub(super) round_trip_us: Option<u64>,
    /// The same in milliseconds.
    pub(super) round_trip_ms: Option<f64>,
    /// Streams on it.
    pub(super) streams: u64,
    /// The number of the stream that holds up all others, on a wire without windows.
    pub(super) stalled_by: Option<String>,
    /// Clients that were refused because there was no link, or no room on it.
    pub(super) refused: u64,
    /// Bytes that the kernel holds of it; all streams share them.
    pub(super) kernel: Option<KernelView>,
    /// Bytes of frames that wait until the kernel takes them.
    pub(super) planned: usize,
    /// Bytes that were read and wait behind the stream that holds up all others.
    pub(super) stalled: usize,
}

impl LinkView {
    /// Returns the section of the inspector that shows these values.
    pub(super) fn section(&self) -> Section {
        Section {
            name: "link",
            json: self.json(),
            metrics: self.metrics(),
            page: PAGE,
        }
    }

    /// Returns the values as JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        // Numbers and texts: this cannot fail, and an inspector that shows null is better than none.
        serde_json::to_value(self).unwrap_or_default()
    }

    fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::default();
        let up = "Whether the link carries streams: 1 or 0.";
        metrics.gauge("proxy_link_up", up, u64::from(self.state == "up"));
        let streams = "Streams on the link now.";
        metrics.gauge("proxy_link_streams", streams, self.streams);
        let made = "Links made since the start.";
        metrics.counter("proxy_link_made_total", made, self.made);
        let refused = "Clients refused because there was no link, or no room on it.";
        metrics.counter("proxy_link_refused_total", refused, self.refused);
        if let Some(time) = self.round_trip_us {
            let help = "Shortest round trip of a ping in the last ten seconds, in microseconds.";
            metrics.gauge("proxy_link_round_trip_microseconds", help, time);
        }
        if let Some(view) = &self.kernel {
            metrics.kernel_queues("link", view);
        }
        let planned = "Bytes of frames that wait until the kernel takes them.";
        metrics.gauge("proxy_link_planned_bytes", planned, self.planned as u64);
        metrics
    }
}

/// A stream.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StreamView {
    /// Its number on the link.
    pub(super) id: String,
    /// The program at this end: a client, or the upstream.
    pub(super) peer: Option<String>,
    /// `open`, `ended by us` or `ended by the peer`.
    pub(super) state: &'static str,
    /// Bytes from the client to the upstream.
    pub(super) bytes_up: u64,
    /// Bytes from the upstream to the client.
    pub(super) bytes_down: u64,
    /// Bytes that this end may send before the peer gives more credit.
    pub(super) send_window: u32,
    /// Bytes that the peer may send.
    pub(super) receive_window: u32,
    /// Bytes that the program at this end has not taken.
    pub(super) held: usize,
    /// Bytes of its frames, headers included, that wait until the link takes them.
    pub(super) planned: usize,
    /// What the direction to the link waits for: `credit`, `link`, `local bytes` or `nothing`.
    pub(super) to_link_waits_for: &'static str,
    /// What the direction from the link waits for: `local connection`, `local reader`, `link bytes` or `nothing`.
    pub(super) to_local_waits_for: &'static str,
}
