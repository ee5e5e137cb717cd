//! The table at the end of the proofs.

use std::time::Duration;

use super::Row;

/// Renders a line for each claim, what speaks against it below, and the sum.
pub(super) fn render(rows: &[Row], time: Duration) -> String {
    let mut text = String::new();
    for row in rows {
        let sign = if row.against.is_empty() {
            "holds"
        } else {
            "FAILS"
        };
        text += &format!("{sign}  {:>4} s  {}\n", row.seconds, row.claim);
        for reason in &row.against {
            text += &format!(
                "               {}\n",
                reason.replace('\n', "\n               ")
            );
        }
    }
    let good = rows.iter().filter(|row| row.against.is_empty()).count();
    text + &format!(
        "{good} of {} proofs hold, in {} s.\n",
        rows.len(),
        time.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_against_a_claim_stands_below_it() {
        let row = |claim: &str, against: &[&str]| Row {
            claim: claim.to_owned(),
            against: against.iter().map(|&text| text.to_owned()).collect(),
            seconds: 3,
        };
        let rows = [row("good", &[]), row("bad", &["because"])];
        let text = render(&rows, Duration::from_secs(7));
        assert!(
            text.starts_with("holds     3 s  good\nFAILS     3 s  bad\n"),
            "{text}"
        );
        assert!(
            text.ends_with("because\n1 of 2 proofs hold, in 7 s.\n"),
            "{text}"
        );
    }
}
