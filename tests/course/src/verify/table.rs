//! The table at the end of the proofs: a line for each, how many wrong solutions were caught, and the objections.

use std::time::Duration;

use crate::verify::bench::Row;
use crate::verify::plan::Proof;

/// Renders the table.
pub(super) fn render(rows: &[Row], time: Duration) -> String {
    let mut text = format!("{:<50}  claims  hold  minutes\n", "proof");
    for proof in Proof::ALL {
        text += &summary(proof, rows);
    }
    text += &caught(rows);
    for row in rows {
        if let Some(number) = row.late {
            text += &format!("\nLATE   {}\n       at try {number}\n", row.claim);
        }
    }
    for row in rows.iter().filter(|row| !row.holds()) {
        text += &format!("\nFAILS  {}\n", row.claim);
        for reason in &row.against {
            text += &format!("       {}\n", reason.trim_end().replace('\n', "\n       "));
        }
    }
    let good = rows.iter().filter(|row| row.holds()).count();
    let (all, minutes) = (rows.len(), minutes(time));
    text + &format!("\n{good} of {all} claims hold, in {minutes:.1} minutes.\n")
}

/// Renders one proof's line; the minutes are summed over benches that work at the same time.
fn summary(proof: Proof, rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().filter(|row| row.proof == proof).collect();
    if rows.is_empty() {
        return String::new();
    }
    let good = rows.iter().filter(|row| row.holds()).count();
    let minutes = minutes(rows.iter().map(|row| row.time).sum());
    let (sentence, all) = (proof.sentence(), rows.len());
    format!("{sentence:<50}  {all:>6}  {good:>4}  {minutes:>7.1}\n")
}

/// Renders the kill rate: how many wrong solutions were caught, in each stage and in all.
fn caught(rows: &[Row]) -> String {
    let bugs: Vec<_> = rows.iter().filter(|row| row.proof == Proof::Bugs).collect();
    if bugs.is_empty() {
        return String::new();
    }
    let mut stages: Vec<_> = bugs.iter().map(|row| row.stage.as_str()).collect();
    stages.sort_unstable();
    stages.dedup();
    let mut text = "\nWrong solutions caught:".to_owned();
    for stage in stages {
        let of_stage: Vec<_> = bugs.iter().filter(|row| row.stage == stage).collect();
        let good = of_stage.iter().filter(|row| row.holds()).count();
        text += &format!(" {stage} {good}/{},", of_stage.len());
    }
    let (good, all) = (bugs.iter().filter(|row| row.holds()).count(), bugs.len());
    text + &format!(" all {good}/{all} ({} %)\n", 100 * good / all)
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(proof: Proof, stage: &str, against: &[&str]) -> Row {
        Row {
            proof,
            stage: stage.to_owned(),
            claim: format!("a claim about {stage}"),
            against: against.iter().map(|&text| text.to_owned()).collect(),
            late: None,
            time: Duration::from_secs(30),
        }
    }

    #[test]
    fn the_summary_comes_first_and_what_speaks_against_after_it() {
        let mut rows = [
            row(Proof::Alone, "stage1", &[]),
            row(Proof::Bugs, "stage2", &["it passes\nreally"]),
            row(Proof::Bugs, "stage1", &[]),
            row(Proof::Bugs, "stage2", &[]),
        ];
        rows[2].late = Some(3);
        let text = render(&rows, Duration::from_secs(60));
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].starts_with("blanked alone"), "{text}");
        assert!(lines[1].ends_with("     1     1      0.5"), "{text}");
        assert!(lines[2].ends_with("     3     2      1.5"), "{text}");
        assert_eq!(
            lines[4],
            "Wrong solutions caught: stage1 1/1, stage2 1/2, all 2/3 (66 %)"
        );
        assert_eq!(lines[6], "LATE   a claim about stage1");
        assert_eq!(lines[7], "       at try 3");
        assert_eq!(lines[9], "FAILS  a claim about stage2");
        assert_eq!(lines[11], "       really");
        assert_eq!(lines[13], "3 of 4 claims hold, in 1.0 minutes.");
    }
}
