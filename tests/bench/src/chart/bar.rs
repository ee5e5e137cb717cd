//! The bars of a chart, read from a file of results.

use std::io;

use serde_json::Value;

use crate::better::Better;

/// The bars of some files, in their order.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    /// A sentence about the machine and the run of each file.
    pub(super) runs: Vec<String>,
    pub(super) bars: Vec<Bar>,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    /// The name of the row for `--only`.
    pub(super) key: String,
    /// The kind of work, which is a heading.
    pub(super) work: String,
    pub(super) title: String,
    pub(super) better: Better,
    /// The median of ours divided by that of the best peer.
    pub(super) ratio: f64,
    /// The lowest and the highest ratio of one round, if they were kept.
    pub(super) range: Option<(f64, f64)>,
    pub(super) peer: String,
    pub(super) verdict: String,
}

impl Bars {
    /// Adds the rows of a file in which ours and a peer have figures; a ratio of nothing is no bar.
    ///
    /// # Errors
    ///
    /// Fails if the text is no file of results.
    pub(crate) fn read(&mut self, text: &str) -> io::Result<()> {
        let document: Value = serde_json::from_str(text)?;
        let rows = document["rows"].as_array();
        let rows = rows.ok_or_else(|| io::Error::other("there are no rows in it"))?;
        self.bars.extend(rows.iter().filter_map(Bar::read));
        self.runs.push(run(&document));
        Ok(())
    }

    /// Keeps the rows whose keys begin with one of these words.
    pub(super) fn keep(&mut self, words: &[String]) {
        let is_named = |bar: &Bar| words.iter().any(|word| bar.key.starts_with(word));
        self.bars.retain(is_named);
    }
}

/// Returns the sentence about a run: when, how often, where, and how busy the machine was.
fn run(document: &Value) -> String {
    let mut words = Vec::new();
    words.extend(document["date"].as_str().map(str::to_owned));
    let rounds = document["rounds"].as_u64();
    words.extend(rounds.map(|count| format!("medians of {count} rounds")));
    let machine = document["machine"]["sentence"].as_str();
    words.extend(machine.map(|sentence| sentence.trim_end_matches('.').to_owned()));
    let foreign = document["foreign_share"].as_f64();
    words.extend(foreign.map(|share| format!("other programs had {:.0} % of it", share * 100.0)));
    words.join("; ")
}

impl Bar {
    fn read(row: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let comparison = &row["comparison"];
        let range = &comparison["range"];
        Some(Self {
            key: text(&row["key"])?,
            work: text(&row["work"])?,
            title: text(&row["title"])?,
            better: Better::of_row(row),
            ratio: comparison["ratio"].as_f64().filter(|ratio| *ratio > 0.0)?,
            range: range[0].as_f64().zip(range[1].as_f64()),
            peer: text(&comparison["best_peer"])?,
            verdict: text(&comparison["verdict"]).unwrap_or_default(),
        })
    }

    /// Returns how many times better a ratio is, as a power of two: negative if it is worse.
    pub(super) fn doublings(&self, ratio: f64) -> f64 {
        match self.better {
            Better::More => ratio.log2(),
            Better::Less => -ratio.log2(),
        }
    }

    /// Returns the title with an arrow in the direction of better.
    pub(super) fn label(&self) -> String {
        self.better.label(&self.title)
    }

    /// Returns the ratio in words, with the range of the rounds.
    pub(super) fn words(&self) -> String {
        let range = self.range;
        let range = range.map(|(lowest, highest)| format!(" ({lowest:.2} to {highest:.2})"));
        format!("{:.2}{}", self.ratio, range.unwrap_or_default())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::chart) const RESULTS: &str = r#"{
        "date": "2026-11-30", "rounds": 5, "foreign_share": 0.07,
        "machine": {"sentence": "Linux 6.18; two cores."},
        "rows": [
            {"key": "bulk-1", "work": "Relay", "title": "bulk, GB/s", "better": "more",
             "comparison": {"ratio": 2.0, "range": [1.5, 2.5], "verdict": "ahead", "best_peer": "haproxy"}},
            {"key": "bulk-cpu", "work": "Relay", "title": "CPU <s>", "better": "less",
             "comparison": {"ratio": 1.25, "range": null, "verdict": "behind", "best_peer": "nginx"}},
            {"key": "idle-cpu", "work": "Relay", "title": "idle CPU", "better": "less",
             "comparison": {"ratio": null, "range": null, "verdict": "level", "best_peer": "nginx"}},
            {"key": "queue-rate", "work": "Queue", "title": "alone", "better": "less", "comparison": null}
        ]}"#;

    pub(in crate::chart) fn bars() -> Bars {
        let mut bars = Bars::default();
        bars.read(RESULTS).unwrap();
        bars
    }

    #[test]
    fn rows_with_a_ratio_are_bars() {
        let bars = bars();
        let labels: Vec<String> = bars.bars.iter().map(Bar::label).collect();
        assert_eq!(labels, ["bulk, GB/s ↑", "CPU <s> ↓"]);
        assert_eq!(bars.bars[0].words(), "2.00 (1.50 to 2.50)");
        assert_eq!(bars.bars[1].words(), "1.25");
        assert_eq!(
            bars.runs,
            [
                "2026-11-30; medians of 5 rounds; Linux 6.18; two cores; other programs had 7 % of it"
            ]
        );
    }

    #[test]
    fn a_word_keeps_a_row_or_a_family() {
        for (word, kept) in [("bulk", 2), ("bulk-c", 1), ("queue", 0)] {
            let mut bars = bars();
            bars.keep(&[word.into()]);
            assert_eq!(bars.bars.len(), kept, "{word}");
        }
    }

    #[test]
    fn twice_and_half_are_equally_far_from_level() {
        let bars = bars();
        let [more, less] = &bars.bars[..] else {
            panic!("{bars:?}")
        };
        assert!((more.doublings(2.0) - 1.0).abs() < f64::EPSILON);
        assert!((less.doublings(2.0) + 1.0).abs() < f64::EPSILON);
        assert!((less.doublings(0.5) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn another_file_is_an_error() {
        for text in ["", "[]", "{\"rows\": 1}"] {
            assert!(Bars::default().read(text).is_err(), "{text}");
        }
    }
}
