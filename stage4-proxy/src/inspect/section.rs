//! A part of the inspector that a crate adds to what every proxy shows.

use serde_json::Value;

use crate::inspect::prometheus::Metrics;

/// What one crate shows beside sessions and totals, in all three forms.
///
/// The inspector knows nothing of its content. A crate adds a section to the
/// [`Snapshot`](crate::inspect::snapshot::Snapshot) of its worker:
///
/// 1. `json` becomes the value of `name` in the `totals` of `/routes.json`.
/// 2. `metrics` follow the proxy's own in `/metrics`; their names begin with `proxy_` and the section's name.
/// 3. `page` is put into the page, below the totals. It is a `<dl class="section" data-section="NAME">` of at
///    most five `<div>`s, each with a `<dt>` and one or two `<dd>`s. The page's script fills in each `<dd>`
///    that has these attributes:
///
/// | attribute | meaning |
/// |---|---|
/// | `data-field` | path of the value in `json`, such as `in_flight.client` |
/// | `data-as` | its form: `text`, `count`, `bytes`, `milliseconds`, or `half` and `nearly_all` for the bound under which 50 % and 99 % of a [`Histogram`](crate::inspect::histogram::Histogram) are |
/// | `data-before` | text before the value |
/// | `data-none` | text if there is no value: it is null, or a histogram without a record |
///
/// `page` must be constant text of the program, because it is inserted as markup. Values that come from
/// peers belong into `json`: the script writes them as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name in all three forms.
    pub name: &'static str,
    /// Its value in `/routes.json`.
    pub json: Value,
    /// Its part of `/metrics`.
    pub metrics: Metrics,
    /// Its part of the page.
    pub page: &'static str,
}
