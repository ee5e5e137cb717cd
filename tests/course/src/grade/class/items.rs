//! items.csv: how many of the class have solved each exercise, and whether they are those with the most points elsewhere.
//!
//! ```text
//!   difficulty      p = solved / graded
//!   discrimination  r = (n Σxy − Σx Σy) / √((n Σx² − (Σx)²) (n Σy² − (Σy)²))      x: 1 if solved, else 0
//!                                                                                  y: points of all other exercises
//! ```
//!
//! r is the point-biserial correlation, corrected: an exercise is not compared with itself. All sums are whole numbers, so
//! that shards and a single machine write the same bytes. A question of the quiz is solved if its first answer was right.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::grade::class::csv::line;
use crate::grade::class::files;
use crate::grade::class::row::Row;

/// The verdict of an exercise that counts for no one: the fault is outside of the code, or there is no code.
const NOT_GRADED: &str = "could not be graded";

/// A submission as an item sees it: whether it has solved the item, and its points elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    solved: bool,
    elsewhere: i128,
}

/// Writes the file.
///
/// # Errors
///
/// Fails if it cannot be written.
pub(super) fn write(out: &Path, rows: &[Row]) -> Result<()> {
    files::replace(&out.join("items.csv"), &render(rows))
}

/// Renders items.csv (RFC 4180): a line for each exercise, and for each question that was answered.
fn render(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let head = [
        "item",
        "kind",
        "graded",
        "solved",
        "difficulty",
        "discrimination",
    ];
    let mut text = line(&head.map(str::to_owned));
    for (place, exercise) in first.exercises.iter().enumerate() {
        let cases: Vec<_> = rows
            .iter()
            .filter_map(|row| of_exercise(row, place))
            .collect();
        text += &item(&exercise.id, "exercise", &cases);
    }
    let answered = rows.iter().flat_map(|row| &row.quiz);
    let names: BTreeSet<_> = answered.map(|answer| answer.name.as_str()).collect();
    for name in names {
        let cases: Vec<_> = rows
            .iter()
            .filter_map(|row| of_question(row, name))
            .collect();
        text += &item(name, "question", &cases);
    }
    text
}

fn of_exercise(row: &Row, place: usize) -> Option<Case> {
    let exercise = row
        .exercises
        .get(place)
        .filter(|it| it.verdict != NOT_GRADED)?;
    Some(Case {
        solved: exercise.verdict == "passed",
        elsewhere: i128::from(row.total) - i128::from(exercise.points),
    })
}

fn of_question(row: &Row, name: &str) -> Option<Case> {
    let answer = row.quiz.iter().find(|it| it.name == name)?;
    Some(Case {
        solved: answer.first_right,
        elsewhere: i128::from(row.total),
    })
}

fn item(name: &str, kind: &str, cases: &[Case]) -> String {
    let solved = cases.iter().filter(|case| case.solved).count();
    line(&[
        name.to_owned(),
        kind.to_owned(),
        cases.len().to_string(),
        solved.to_string(),
        difficulty(cases).map(number).unwrap_or_default(),
        discrimination(cases).map(number).unwrap_or_default(),
    ])
}

/// Returns the share that has solved an item; `None` without cases.
fn difficulty(cases: &[Case]) -> Option<f64> {
    let solved = cases.iter().filter(|case| case.solved).count();
    let count = Some(cases.len()).filter(|count| *count > 0)?;
    Some(float(i128::try_from(solved).ok()?) / float(i128::try_from(count).ok()?))
}

/// Returns the correlation; `None` if all cases are solved, or none, or all have the same points elsewhere.
fn discrimination(cases: &[Case]) -> Option<f64> {
    let n = i128::try_from(cases.len()).ok()?;
    let sum = |of: fn(&Case) -> i128| cases.iter().map(of).sum::<i128>();
    let x = sum(|case| i128::from(case.solved));
    let y = sum(|case| case.elsewhere);
    let xy = sum(|case| i128::from(case.solved) * case.elsewhere);
    let yy = sum(|case| case.elsewhere * case.elsewhere);
    // x is 0 or 1, so the sum of its squares is its sum.
    let spread = (n * x - x * x) * (n * yy - y * y);
    (spread > 0).then(|| float(n * xy - x * y) / float(spread).sqrt())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the sums of a class have far fewer than 53 bits, and two decimals are shown"
)]
fn float(number: i128) -> f64 {
    number as f64
}

/// Renders two decimals, without the sign of a zero.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    if text == "-0.00" {
        "0.00".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn cases(all: &[(bool, i128)]) -> Vec<Case> {
        let case = |(solved, elsewhere): &(bool, i128)| Case {
            solved: *solved,
            elsewhere: *elsewhere,
        };
        all.iter().map(case).collect()
    }

    fn row(name: &str, verdicts: [(&str, u64); 3], quiz: &[(&str, bool)]) -> Row {
        let numbers = ["1.1", "1.2", "2.1"];
        let tests: Vec<_> = numbers
            .iter()
            .zip(verdicts)
            .map(|(number, (verdict, score))| {
                json!({"number": number, "score": score, "max_score": 10, "extra_data": {"verdict": verdict}})
            })
            .collect();
        let score: u64 = verdicts.iter().map(|(_, score)| score).sum();
        let quiz: Vec<_> = quiz
            .iter()
            .map(|(name, right)| json!({"name": name, "first_right": right}))
            .collect();
        let results = json!({
            "score": score,
            "tests": tests,
            "extra_data": {"mark": {"code": 1, "course": 1, "seconds": 1}, "quiz": quiz},
        });
        Row::parse(name, &results).unwrap()
    }

    #[test]
    fn values_are_those_of_a_calculation_by_hand() {
        // x = 1 1 0 0, y = 4 3 2 1: (4·7 − 2·10) / √((4·2 − 4)(4·30 − 100)) = 8 / √80 = 0.8944
        let all = cases(&[(true, 4), (true, 3), (false, 2), (false, 1)]);
        assert_eq!(difficulty(&all), Some(0.5));
        assert_eq!(number(discrimination(&all).unwrap()), "0.89");
        // By means and deviation: (3.5 − 1.5) / √1.25 · √(0.5 · 0.5) = 0.8944.
        let by_means = 2.0 / 1.25_f64.sqrt() * 0.5;
        assert!((discrimination(&all).unwrap() - by_means).abs() < 1e-12);
        // x = 1 0 0, y = 0 3 3: (3·0 − 1·6) / √((3 − 1)(3·18 − 36)) = −6 / √36 = −1
        let all = cases(&[(true, 0), (false, 3), (false, 3)]);
        assert_eq!(number(difficulty(&all).unwrap()), "0.33");
        assert_eq!(number(discrimination(&all).unwrap()), "-1.00");
    }

    #[test]
    fn where_nothing_differs_there_is_no_correlation() {
        for all in [
            vec![],
            cases(&[(true, 1), (true, 2)]),
            cases(&[(false, 1), (false, 2)]),
            cases(&[(true, 5), (false, 5)]),
        ] {
            assert_eq!(discrimination(&all), None, "{all:?}");
        }
        assert_eq!(difficulty(&[]), None);
    }

    #[test]
    fn a_class_has_a_line_for_each_exercise_and_each_answered_question() {
        let (good, bad, lost) = (("passed", 10), ("failed", 0), (NOT_GRADED, 0));
        let rows = [
            row("a", [good, good, good], &[("q", true)]),
            row("b", [good, good, lost], &[("q", true)]),
            row("c", [good, bad, bad], &[("q", false), ("r", true)]),
            row("d", [good, bad, bad], &[]),
        ];
        // 1.2: x = 1 1 0 0, y = 20 10 10 10: (4·30 − 2·50) / √(4 · (4·700 − 2500)) = 20 / √1200 = 0.577
        // 2.1: x = 1 0 0, y = 20 10 10: 20 / √(2 · (3·600 − 1600)) = 20 / 20 = 1
        // q: x = 1 1 0, y = 30 20 10: (3·50 − 2·60) / √(2 · (3·1400 − 3600)) = 30 / √1200 = 0.866
        assert_eq!(
            render(&rows),
            "item,kind,graded,solved,difficulty,discrimination\r\n\
             1.1,exercise,4,4,1.00,\r\n\
             1.2,exercise,4,2,0.50,0.58\r\n\
             2.1,exercise,3,1,0.33,1.00\r\n\
             q,question,3,2,0.67,0.87\r\n\
             r,question,1,1,1.00,\r\n"
        );
        assert_eq!(render(&[]), "");
    }

    proptest! {
        #[test]
        fn a_correlation_is_between_its_bounds_and_turns_with_the_answers(
            all in prop::collection::vec((any::<bool>(), 0_i128..100), 0..40)
        ) {
            let all = cases(&all);
            let turned: Vec<_> = all.iter().map(|case| Case { solved: !case.solved, ..*case }).collect();
            match (discrimination(&all), discrimination(&turned)) {
                (Some(one), Some(other)) => {
                    prop_assert!(one.abs() <= 1.0 + 1e-9);
                    prop_assert!((one + other).abs() < 1e-9);
                }
                (one, other) => prop_assert_eq!(one, other),
            }
            let mut other_order = all.clone();
            other_order.reverse();
            prop_assert_eq!(discrimination(&other_order), discrimination(&all));
        }
    }
}
