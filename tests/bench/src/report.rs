//! The files of `--all`: `report.md`, `ratios.svg` and `results.json`, side by side in one folder.

use std::fs;
use std::io;
use std::path::Path;

use crate::chart::Bars;
use crate::json;
use crate::machine::Machine;
use crate::results::Results;
use crate::rows::Row;
use crate::table::{self, number};

/// Writes all three.
pub(crate) fn write(folder: &Path, results: &Results, machine: &Machine) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let document = json::render(results, machine);
    let mut bars = Bars::default();
    bars.read(&document)?;
    fs::write(folder.join("results.json"), document)?;
    fs::write(folder.join("ratios.svg"), bars.picture())?;
    fs::write(folder.join("report.md"), render(results, machine))
}

/// Returns the report.
fn render(results: &Results, machine: &Machine) -> String {
    let date = &machine.date;
    let mut text = format!("# Measurements of {date}\n\n{}\n\n", machine.sentence());
    text += "![Ours against the best peer, row by row](ratios.svg)\n\n";
    text += "## Medians\n\n";
    text += &table::render(results, machine);
    text += "\n## Spread\n\n| row | for each column the median, and in brackets the lowest and the highest round |\n|---|---|\n";
    for &row in &results.rows {
        text += &spread(results, row);
    }
    text += "\n## Not measured\n\n";
    if results.missing.is_empty() {
        text += "Every peer is installed, and the machine has room for every row.\n";
    }
    for sentence in &results.missing {
        text += &format!("- {sentence}\n");
    }
    text
}

/// Returns a line for one row with the spread of all columns; none if it was not measured.
fn spread(results: &Results, row: Row) -> String {
    let cell = |(index, column): (usize, &crate::results::Column)| {
        let values = results.values(row, index);
        let median = results.median(row, index)?;
        let lowest = values.iter().copied().reduce(f64::min)?;
        let highest = values.iter().copied().reduce(f64::max)?;
        let name = &column.name;
        let [median, lowest, highest] = [median, lowest, highest].map(number);
        Some(format!("{name} {median} ({lowest} to {highest})"))
    };
    let columns = results.columns.iter().enumerate();
    let cells: Vec<String> = columns.filter_map(cell).collect();
    if cells.is_empty() {
        return String::new();
    }
    let (key, title) = (row.spec().key, row.spec().title);
    format!("| {title} (`{key}`) | {} |\n", cells.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::results;

    fn machine() -> Machine {
        Machine::example()
    }

    #[test]
    fn the_report_has_medians_spread_and_what_is_missing() {
        let mut results = results(&[(0, 2, 4.0), (1, 2, 5.0), (2, 2, 9.0), (0, 3, 8.0)]);
        results.missing = vec!["vproxy is not installed: `cargo install vproxy`".into()];
        let text = render(&results, &machine());
        for words in [
            "# Measurements of 2026-11-30",
            "![Ours against the best peer, row by row](ratios.svg)",
            "| SOCKS5: new connections/s, 32 in flight ↑ | 5.00 | 8.00 |",
            "(`socks-rate`) | column 2 5.00 (4.00 to 9.00), column 3 8.00 (8.00 to 8.00) |",
            "## Not measured\n\n- vproxy is not installed: `cargo install vproxy`",
            "congestion control reno",
        ] {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
    }

    #[test]
    fn the_chart_is_drawn_from_the_file_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let results = results(&[(0, 2, 4.0), (0, 3, 8.0)]);
        write(folder.path(), &results, &machine()).unwrap();
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        let mut bars = Bars::default();
        bars.read(&read("results.json")).unwrap();
        assert_eq!(bars.picture(), read("ratios.svg"));
        assert!(read("ratios.svg").contains("2.00 (2.00 to 2.00) column 2"));
    }
}
