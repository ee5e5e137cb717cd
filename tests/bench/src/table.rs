//! The Markdown table, and the notes below it.

use crate::machine::Machine;
use crate::peers::Subject;
use crate::results::{Comparison, Results, Role, Verdict};
use crate::rows::{Better, Row};

/// Below this share of other programs the figures can be trusted.
const QUIET: f64 = 0.05;

/// Returns the whole output of a run.
pub(crate) fn render(results: &Results, machine: &Machine) -> String {
    let mut text = header(results);
    for &row in &results.rows {
        text += &line(results, row);
    }
    text.push('\n');
    for note in notes(results, machine) {
        text += &format!("- {note}\n");
    }
    text
}

/// Returns the rows and columns that can be measured, for `--list`.
pub(crate) fn list() -> String {
    let mut text = String::from("Rows:\n");
    for row in Row::ALL {
        text += &format!("  {:<16}{}\n", row.spec().key, title(row));
    }
    text += "\nColumns:\n";
    text += "  direct          the load straight to the upstream\n";
    for peer in Subject::peers() {
        let state = match peer.find() {
            Ok(()) => peer.version().unwrap_or_else(|| "installed".into()),
            Err(sentence) => sentence,
        };
        text += &format!("  {:<16}{state}\n", peer.name);
    }
    text + "  ours            stage4-proxy and, for the queue, stage5-mux, built in release or given by --ours and --ours-queue\n  beside          an older build of ours, given by --beside and --beside-queue\n"
}

fn title(row: Row) -> String {
    let spec = row.spec();
    let arrow = match spec.better {
        Better::More => '↑',
        Better::Less => '↓',
    };
    format!("{} {arrow}", spec.title)
}

fn header(results: &Results) -> String {
    let names: Vec<&str> = results
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let rule = "---:|".repeat(names.len() + 1);
    format!(
        "| measure | {} | ours / best peer |\n|---|{rule}\n",
        names.join(" | ")
    )
}

fn line(results: &Results, row: Row) -> String {
    let cells: Vec<String> = (0..results.columns.len())
        .map(|column| cell(results, row, column))
        .collect();
    let comparison = results
        .compare(row)
        .map_or("".into(), |found| words(&found));
    format!(
        "| {} | {} | {comparison} |\n",
        title(row),
        cells.join(" | ")
    )
}

fn cell(results: &Results, row: Row, column: usize) -> String {
    let star = if results.is_held_down(row, column) {
        "*"
    } else {
        ""
    };
    match results.median(row, column) {
        Some(value) => number(value) + star,
        None if results.has_failed(row, column) => "failed".into(),
        // The row has no meaning for this subject.
        None => "–".into(),
    }
}

fn words(comparison: &Comparison) -> String {
    let ratio = comparison
        .ratio
        .map_or("–".into(), |ratio| format!("{ratio:.2}"));
    match comparison.verdict {
        Verdict::Ahead => format!("**{ratio}** ahead of {}", comparison.best_peer),
        Verdict::Level => format!("**{ratio}** level with {}", comparison.best_peer),
        Verdict::Behind => format!("{ratio} behind {}", comparison.best_peer),
    }
}

/// Formats a figure with three digits, because more would be noise; thousands are separated.
fn number(value: f64) -> String {
    if value >= 999.5 {
        let digits = format!("{value:.0}");
        let groups: Vec<&str> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .filter_map(|group| std::str::from_utf8(group).ok())
            .collect();
        return groups.join(",");
    }
    let decimals = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

fn notes(results: &Results, machine: &Machine) -> Vec<String> {
    let mut notes = vec![
        format!(
            "Medians over {} interleaved round(s), {} s for each measure. ↑ more is better, ↓ less is better.",
            results.rounds,
            results.time.as_secs_f64()
        ),
        machine.sentence(),
    ];
    if !machine.versions.is_empty() {
        notes.push(format!("Versions: {}.", machine.versions.join("; ")));
    }
    notes.extend(
        results
            .missing
            .iter()
            .map(|sentence| format!("not measured: {sentence}")),
    );
    let column_count = results.columns.len();
    let any_held_down = results
        .rows
        .iter()
        .any(|&row| (0..column_count).any(|column| results.is_held_down(row, column)));
    if any_held_down {
        notes.push("\\* the load generator's core was full: the proxy may be faster.".into());
    }
    if results
        .columns
        .iter()
        .any(|column| column.role == Role::Direct)
    {
        notes.push(
            "direct: load and upstream share one core, so it shows the limit of the load.".into(),
        );
    }
    if results.columns.iter().any(|column| column.name == "socat") {
        notes.push(
            "socat has a process for each session: its idle rows are over 200 sessions.".into(),
        );
    }
    notes.extend(results.foreign_share().map(foreign));
    notes.extend(
        results
            .failures()
            .into_iter()
            .map(|failure| format!("failed: {failure}")),
    );
    notes
}

fn foreign(share: f64) -> String {
    let advice = if share > QUIET {
        " Repeat this on a quiet machine."
    } else {
        ""
    };
    format!(
        "Other programs had {:.0} % of the two cores (median).{advice}",
        share * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        let cases = [
            (0.0, "0.00"),
            (0.1234, "0.12"),
            (9.999, "10.0"),
            (99.96, "100"),
            (999.4, "999"),
            (999.6, "1,000"),
            (128_345.0, "128,345"),
            (1_000_000.0, "1,000,000"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
