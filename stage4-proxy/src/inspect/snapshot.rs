//! The values that the inspector shows: copied out of the workers, free of I/O.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use crate::inspect::section::Section;
use crate::inspect::totals::Totals;
use crate::inspect::view::{FlowView, Row, SessionView};

/// Shows all sessions and totals at one moment; its JSON form is `/routes.json`.
///
/// Each worker fills one for itself, and [`merge`](Self::merge) makes them one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// One entry for each row of the route table that is in use.
    pub sessions: Vec<SessionView>,
    /// Some of the flows of datagrams of each worker.
    pub flows: Vec<FlowView>,
    /// The one connection that carries all sessions, in a tunnel; its crate decides what it shows.
    pub link: Option<Value>,
    /// The streams on it, one for each session that has one.
    pub streams: Vec<Value>,
    /// The counters since the start.
    pub totals: Totals,
    /// The parts that the crate of the workers adds.
    pub sections: Vec<Section>,
}

impl Snapshot {
    /// Takes the rows of a route table: their sessions, and their streams.
    pub(super) fn take_rows(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.sessions.push(row.session);
            self.streams.extend(row.stream);
        }
    }

    /// Adds another worker's sessions, totals and sections to this snapshot.
    ///
    /// Sections are not added up: one of a name that is there already is left out. Neither are links.
    pub fn merge(&mut self, other: Self) {
        self.sessions.extend(other.sessions);
        self.flows.extend(other.flows);
        self.streams.extend(other.streams);
        self.link = self.link.take().or(other.link);
        self.totals.merge(&other.totals);
        for section in other.sections {
            if self.sections.iter().all(|known| known.name != section.name) {
                self.sections.push(section);
            }
        }
    }
}

/// Writes `{"sessions": [..], "flows": [..], "totals": {.., "NAME": ..}}`, with a field for each section. A tunnel has
/// `"link": {..}, "streams": [..]` before the totals.
impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sections = self.sections.iter();
        let totals = TotalsWithSections {
            totals: &self.totals,
            sections: sections
                .map(|section| (section.name, &section.json))
                .collect(),
        };
        let length = if self.link.is_some() { 5 } else { 3 };
        let mut fields = serializer.serialize_struct("Snapshot", length)?;
        fields.serialize_field("sessions", &self.sessions)?;
        fields.serialize_field("flows", &self.flows)?;
        if let Some(link) = &self.link {
            fields.serialize_field("link", link)?;
            fields.serialize_field("streams", &self.streams)?;
        }
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

#[cfg(test)]
mod tests;
