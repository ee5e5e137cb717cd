//! Every figure of every round, for other programs.

use serde_json::{Map, Value, json};

use crate::comparison::{Comparison, Verdict};
use crate::machine::Machine;
use crate::results::Results;
use crate::rows::Row;
use crate::table::title_of;

/// Returns the document that `--json` writes.
pub(crate) fn render(results: &Results, machine: &Machine) -> String {
    let rows: Vec<Value> = results
        .rows
        .iter()
        .map(|&each| row(results, each))
        .collect();
    let document = json!({
        "date": machine.date,
        "machine": { "sentence": machine.sentence(), "versions": machine.versions },
        "rounds": results.rounds,
        "seconds": results.time.as_secs_f64(),
        "foreign_share": results.foreign_share(),
        "failures": results.failures(),
        "rows": rows,
    });
    format!("{document:#}\n")
}

fn row(results: &Results, row: Row) -> Value {
    let spec = row.spec();
    let columns: Map<String, Value> = results
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| (column.name.clone(), figures(results, row, index)))
        .collect();
    json!({
        "key": spec.key,
        "work": title_of(row),
        "title": spec.title,
        "better": spec.better.word(),
        "columns": columns,
        "comparison": results.compare(row).as_ref().map(comparison),
        "beside_fixed": results.compare_with_fixed(row).as_ref().map(comparison),
    })
}

fn figures(results: &Results, row: Row, column: usize) -> Value {
    json!({
        "median": results.median(row, column),
        "rounds": results.values(row, column),
        "load_was_full": results.is_held_down(row, column),
    })
}

fn comparison(found: &Comparison) -> Value {
    let verdict = match found.verdict {
        Verdict::Ahead => "ahead",
        Verdict::Level => "level",
        Verdict::Behind => "behind",
        Verdict::Unsure => "unsure",
    };
    json!({
        "ratio": found.ratio,
        "range": found.range,
        "verdict": verdict,
        "best_peer": found.other,
    })
}
