//! The resolver's section of the inspector.

use serde_json::json;

use crate::inspect::{Metrics, Section};
use crate::resolve::cache::Counts;

/// Returns the counters as JSON and metrics. The page has no part for them, because they matter to
/// few: an operator who looks for a slow name server has the metrics.
pub(super) fn section(counts: Counts) -> Section {
    let Counts { lookups, cached } = counts;
    let mut metrics = Metrics::default();
    let help = "Lookups of names that were begun.";
    metrics.counter("proxy_names_lookups_total", help, lookups);
    let help = "Targets whose addresses were in the cache of names.";
    metrics.counter("proxy_names_cached_total", help, cached);
    Section {
        name: "names",
        json: json!({"lookups": lookups, "cached": cached}),
        metrics,
        page: "",
    }
}
