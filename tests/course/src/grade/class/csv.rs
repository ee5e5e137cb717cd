//! The class as tables: class.csv, times.csv, and lines for the terminal.
//!
//! class.csv holds no times, so that two machines, or two runs, write the same bytes for the same class.

use std::path::Path;

use anyhow::Result;

use crate::grade::class::files;
use crate::grade::class::row::{Row, number_of};

/// Writes both files.
///
/// # Errors
///
/// Fails if one cannot be written.
pub(super) fn write(out: &Path, rows: &[Row]) -> Result<()> {
    files::replace(&out.join("times.csv"), &times(rows))?;
    files::replace(&out.join("class.csv"), &render(rows))
}

/// Renders the lines for the terminal.
pub(super) fn overview(rows: &[Row]) -> String {
    rows.iter().map(|row| row.line() + "\n").collect()
}

/// Renders class.csv (RFC 4180): name, total, points of each stage, points and verdict of each exercise; points and verdicts of
/// the hunts, if a submission has any; the exercises of which some unit tests were not run, if there are such.
fn render(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let ids: Vec<&str> = first.exercises.iter().map(|one| one.id.as_str()).collect();
    let mut stages: Vec<&str> = ids.iter().map(|id| number_of(id)).collect();
    stages.dedup();
    let mut head = vec!["name".to_owned(), "total".to_owned()];
    head.extend(stages.iter().map(|number| format!("stage{number}")));
    head.extend(ids.iter().map(|id| format!("{id} points")));
    head.extend(ids.iter().map(|id| format!("{id} verdict")));
    let has_hunts = rows.iter().any(|row| !row.hunts.is_empty());
    if has_hunts {
        head.extend(["hunts points".to_owned(), "hunts".to_owned()]);
    }
    let has_unrun = |row: &Row| row.exercises.iter().any(|one| one.has_unrun);
    let has_unrun = rows.iter().any(has_unrun);
    if has_unrun {
        head.push("unit tests not run".to_owned());
    }
    let lines = rows.iter().map(|row| {
        let mut fields = vec![row.name.clone(), row.total.to_string()];
        fields.extend(stages.iter().map(|number| row.stage(number).to_string()));
        fields.extend(row.exercises.iter().map(|one| one.points.to_string()));
        fields.extend(row.exercises.iter().map(|one| one.verdict.clone()));
        if has_hunts {
            fields.extend([row.points_of_hunts().to_string(), hunts(row)]);
        }
        if has_unrun {
            fields.push(unrun(row));
        }
        fields
    });
    let all = [head].into_iter().chain(lines);
    all.map(|fields| line(&fields)).collect()
}

/// Renders times.csv: how long each submission took.
fn times(rows: &[Row]) -> String {
    let head = ["name".to_owned(), "seconds".to_owned()];
    let lines = rows
        .iter()
        .map(|row| [row.name.clone(), row.seconds().to_string()]);
    let all = [head].into_iter().chain(lines);
    all.map(|fields| line(&fields)).collect()
}

/// Lists the hunts with their verdicts: `half-words caught; swollen missed`.
fn hunts(row: &Row) -> String {
    let all = row.hunts.iter();
    let words: Vec<_> = all
        .map(|hunt| format!("{} {}", hunt.name, hunt.verdict))
        .collect();
    words.join("; ")
}

/// Lists the exercises of which some unit tests were not run: `1.4 3.3`.
fn unrun(row: &Row) -> String {
    let all = row.exercises.iter().filter(|one| one.has_unrun);
    all.map(|one| one.id.as_str()).collect::<Vec<_>>().join(" ")
}

/// Renders a line of a table.
pub(super) fn line(fields: &[String]) -> String {
    let fields: Vec<_> = fields.iter().map(|text| field(text)).collect();
    fields.join(",") + "\r\n"
}

/// Quotes a field where that is necessary; a spreadsheet would take a name like `=1+1` for a formula.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn results() -> Value {
        let test = |number: &str, score: u64, verdict: &str| json!({"number": number, "score": score, "max_score": 10, "extra_data": {"verdict": verdict}});
        json!({
            "score": 20,
            "tests": [test("1.1", 10, "passed"), test("1.2", 0, "timed out"), test("2.1", 10, "passed")],
            "extra_data": {"mark": {"code": 7, "course": 8, "seconds": 9}},
        })
    }

    #[test]
    fn a_class_is_a_table() {
        let row = Row::parse("=anna, \"b\"", &results()).unwrap();
        assert!(row.is_for(7, 8) && !row.is_for(7, 9) && !row.is_for(8, 8));
        assert!(row.line().contains("20 of 30 points"), "{}", row.line());
        assert!(row.line().ends_with("2 passed, 1 timed out"));
        assert_eq!(
            render(std::slice::from_ref(&row)),
            "name,total,stage1,stage2,1.1 points,1.2 points,2.1 points,1.1 verdict,1.2 verdict,2.1 verdict\r\n\
             \"'=anna, \"\"b\"\"\",20,10,10,10,0,10,passed,timed out,passed\r\n"
        );
        assert_eq!(times(&[row]), "name,seconds\r\n\"'=anna, \"\"b\"\"\",9\r\n");
    }

    #[test]
    fn a_class_with_hunts_has_two_more_columns() {
        let mut value = results();
        value["extra_data"]["hunts"] = json!([
            {"name": "half-words", "title": "x", "score": 1, "max_score": 1, "verdict": "caught"},
            {"name": "swollen", "title": "x", "score": 0, "max_score": 3, "verdict": "missed"},
        ]);
        let with = Row::parse("anna", &value).unwrap();
        let without = Row::parse("ben", &results()).unwrap();
        assert!(with.line().ends_with(", hunts 1 points"), "{}", with.line());
        let text = render(&[with, without]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with(",hunts points,hunts"), "{text}");
        assert!(
            lines[1].ends_with(",1,half-words caught; swollen missed"),
            "{text}"
        );
        assert!(lines[2].ends_with(",0,"), "{text}");
    }

    #[test]
    fn a_class_with_unit_tests_that_were_not_run_has_one_more_column() {
        let mut value = results();
        value["tests"][1]["extra_data"]["unit_tests_not_run"] = json!(["..."]);
        let rows = [
            Row::parse("anna", &value).unwrap(),
            Row::parse("ben", &results()).unwrap(),
        ];
        let text = render(&rows);
        let ends: Vec<_> = text.lines().map(|line| line.rsplit(',').next()).collect();
        assert_eq!(ends, [Some("unit tests not run"), Some("1.2"), Some("")]);
    }

    #[test]
    fn another_file_is_no_result() {
        let mut value = results();
        value["extra_data"] = json!({});
        assert!(Row::parse("x", &value).is_err());
        assert_eq!(render(&[]), "");
    }
}
