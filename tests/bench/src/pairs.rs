//! Ours beside each peer, one after the other, over the rounds of several runs.
//!
//! The table of a run compares ours with the best of its peers, and the best of four is the luckiest of four. Whether ours is
//! level with one of them is another question. More rounds answer it, also those of other runs, because each ratio belongs to
//! one round.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::better::Better;
use crate::median::median;
use crate::output::print;

/// The share of repetitions, on each side, in which the median may lie outside of its interval.
const TAIL: f64 = 0.025;

/// Compares ours with each peer in the rounds of earlier runs, files that `--json` or `--all` has written: prints a table.
#[derive(Debug, Args)]
pub(crate) struct PairsOptions {
    /// The files
    #[arg(value_name = "RESULTS.json", required = true)]
    results: Vec<PathBuf>,

    /// Only these rows, by key or by the beginning of it
    #[arg(long, value_delimiter = ',', value_name = "ROW,..")]
    only: Vec<String>,

    /// These peers
    #[arg(long, value_delimiter = ',', value_name = "NAME,..", required = true)]
    peers: Vec<String>,
}

/// Prints the table of some files.
pub(crate) fn run(options: &PairsOptions) -> io::Result<()> {
    let mut pairs = Pairs::default();
    for path in &options.results {
        let sentence = |error| io::Error::other(format!("{}: {error}", path.display()));
        pairs
            .read(&fs::read_to_string(path).map_err(sentence)?, &options.peers)
            .map_err(sentence)?;
    }
    if !options.only.is_empty() {
        pairs.keep(&options.only);
    }
    print(&pairs.table(&options.peers))
}

/// The rows of some files, in the order of the first one.
#[derive(Debug, Default)]
struct Pairs {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    key: String,
    label: String,
    /// Ours divided by a peer in each round.
    ratios: BTreeMap<String, Vec<f64>>,
}

impl Pairs {
    /// Adds the rounds of a file.
    fn read(&mut self, text: &str, peers: &[String]) -> io::Result<()> {
        let document: Value = serde_json::from_str(text)?;
        let rows = document["rows"].as_array();
        for row in rows.ok_or_else(|| io::Error::other("there are no rows in it"))? {
            let (Some(key), Some(title)) = (row["key"].as_str(), row["title"].as_str()) else {
                continue;
            };
            let place = self.place(key, Better::of_row(row).label(title));
            for peer in peers {
                let ratios = ratios(&row["columns"], peer);
                place.ratios.entry(peer.clone()).or_default().extend(ratios);
            }
        }
        Ok(())
    }

    /// Keeps the rows whose keys begin with one of these words.
    fn keep(&mut self, words: &[String]) {
        let is_named = |row: &Row| words.iter().any(|word| row.key.starts_with(word));
        self.rows.retain(is_named);
    }

    fn place(&mut self, key: &str, label: String) -> &mut Row {
        let place = self.rows.iter().position(|row| row.key == key);
        let place = place.unwrap_or_else(|| {
            self.rows.push(Row {
                key: key.to_owned(),
                label,
                ratios: BTreeMap::new(),
            });
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }

    /// Returns the table: a line for each row that has a figure, a column for each peer.
    fn table(&self, peers: &[String]) -> String {
        let mut table = format!("| ours / peer | rounds | {} |\n", peers.join(" | "));
        table += &format!("|---|---:|{}\n", "---:|".repeat(peers.len()));
        for row in &self.rows {
            let rounds = row.ratios.values().map(Vec::len).max().unwrap_or(0);
            if rounds > 0 {
                let cells = peers.iter().map(|peer| cell(&row.ratios[peer]));
                let cells: Vec<String> = cells.collect();
                let _ = writeln!(
                    table,
                    "| {} | {rounds} | {} |",
                    row.label,
                    cells.join(" | ")
                );
            }
        }
        table
            + "\n- Medians of the ratios of all rounds. In brackets: where the median lies with a confidence of 95 %, by the order of the ratios.\n"
    }
}

/// Returns ours divided by a peer, round by round. A file does not say which round has failed, so columns of unequal
/// length are left out.
fn ratios(columns: &Value, peer: &str) -> Vec<f64> {
    let figures = |name: &str| -> Vec<f64> {
        let rounds = columns[name]["rounds"].as_array().into_iter().flatten();
        rounds.filter_map(Value::as_f64).collect()
    };
    let (ours, theirs) = (figures("ours"), figures(peer));
    if ours.len() != theirs.len() {
        return Vec::new();
    }
    let pairs = ours.into_iter().zip(theirs);
    let pairs = pairs.filter(|(_, theirs)| *theirs > 0.0);
    pairs.map(|(ours, theirs)| ours / theirs).collect()
}

fn cell(ratios: &[f64]) -> String {
    let mut sorted = ratios.to_vec();
    sorted.sort_by(f64::total_cmp);
    let interval = interval(&sorted);
    let Some(median) = median(sorted) else {
        return String::new();
    };
    let interval = interval.map(|(low, high)| format!(" ({low:.2} to {high:.2})"));
    format!("{median:.2}{}", interval.unwrap_or_default())
}

/// Returns the interval of the median, or `None` for fewer than six figures.
///
/// A figure is below the true median as often as a coin shows heads. So the number of them that are follows a binomial
/// distribution, whatever the figures follow, and as many are cut off at each end as its tail allows.
fn interval(sorted: &[f64]) -> Option<(f64, f64)> {
    let count = sorted.len();
    let mut probability = 0.5_f64.powi(i32::try_from(count).ok()?);
    let (mut cut, mut tail) = (0, probability);
    while tail <= TAIL && cut < count / 2 {
        cut += 1;
        // The next coefficient of the binomial series, from the last one.
        #[expect(
            clippy::cast_precision_loss,
            reason = "there are some dozens of rounds"
        )]
        let factor = (count - cut + 1) as f64 / cut as f64;
        probability *= factor;
        tail += probability;
    }
    let first = cut.checked_sub(1)?;
    Some((sorted[first], sorted[count - cut]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers() -> [String; 2] {
        ["nginx", "haproxy"].map(str::to_owned)
    }

    const ONE: &str = r#"{"rows": [
        {"key": "http-rate", "title": "requests/s", "better": "more", "columns": {
            "ours": {"rounds": [2.0, 3.0, 4.0]}, "nginx": {"rounds": [1.0, 1.0, 1.0]}, "haproxy": {"rounds": [1.0, 1.0]}}},
        {"key": "idle", "title": "idle", "better": "less", "columns": {"ours": {"rounds": []}}}
    ]}"#;
    const OTHER: &str = r#"{"rows": [
        {"key": "bulk", "title": "bulk", "better": "more", "columns": {
            "ours": {"rounds": [1.0]}, "nginx": {"rounds": [2.0]}}},
        {"key": "http-rate", "title": "requests/s", "better": "more", "columns": {
            "ours": {"rounds": [8.0, 8.0, 8.0]}, "nginx": {"rounds": [1.0, 1.0, 0.0]}, "haproxy": {"rounds": [4.0, 4.0, 4.0]}}}
    ]}"#;

    #[test]
    fn rounds_of_all_files_are_compared_peer_by_peer() {
        let mut pairs = Pairs::default();
        for text in [ONE, OTHER] {
            pairs.read(text, &peers()).unwrap();
        }
        pairs.keep(&["http".to_owned()]);
        let table = pairs.table(&peers());
        let lines: Vec<&str> = table.lines().take(4).collect();
        assert_eq!(
            lines,
            [
                "| ours / peer | rounds | nginx | haproxy |",
                "|---|---:|---:|---:|",
                "| requests/s ↑ | 5 | 4.00 | 2.00 |",
                "",
            ]
        );
    }

    #[test]
    fn an_interval_leaves_a_fortieth_on_each_side() {
        let figures: Vec<f64> = (1..=39).map(f64::from).collect();
        assert_eq!(interval(&figures[..5]), None, "1 of 32 is more");
        assert_eq!(interval(&figures[..6]), Some((1.0, 6.0)), "1 of 64 is less");
        assert_eq!(interval(&figures[..7]), Some((1.0, 7.0)));
        assert_eq!(interval(&figures[..25]), Some((8.0, 18.0)));
        assert_eq!(interval(&figures), Some((13.0, 27.0)));
    }

    #[test]
    fn another_file_is_an_error() {
        for text in ["", "[]", "{\"rows\": 1}"] {
            let read = Pairs::default().read(text, &peers());
            assert!(read.is_err(), "{text}");
        }
    }
}
