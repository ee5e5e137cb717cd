//! The report as Gradescope's results.json.

use anyhow::Result;
use serde_json::{Value, json};

use crate::grade::report::{ExerciseReport, HuntReport, Report, Verdict};

/// How many lines of a story are shown.
const STORY: usize = 60;

/// Renders one entry for each exercise.
///
/// # Errors
///
/// Never fails, in practice: JSON has room for every text.
pub(crate) fn render(report: &Report) -> Result<String> {
    let (earned, _) = report.points();
    let tests: Vec<_> = report
        .stages
        .iter()
        .flat_map(|stage| {
            stage
                .exercises
                .iter()
                .map(|one| entry(one, stage.build.as_deref()))
        })
        .collect();
    let mut value = json!({
        "score": earned,
        "output": format!("How it was run: {}.", report.guard),
        "visibility": "visible",
        "tests": tests,
    });
    if !report.hunts.is_empty() {
        value["output"] = json!(format!(
            "How it was run: {}.\n{}",
            report.guard,
            hunts_in_words(report)
        ));
        value["extra_data"]["hunts"] = report.hunts.iter().map(hunt).collect();
    }
    if !report.quiz.is_empty() {
        let answer = |(name, right): &(String, bool)| json!({ "name": name, "first_right": right });
        value["extra_data"]["quiz"] = report.quiz.iter().map(answer).collect();
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// Describes the hunts in a line each, because their points are not among the scores of the tests.
fn hunts_in_words(report: &Report) -> String {
    let line = |hunt: &HuntReport| {
        let (name, earned, words) = (&hunt.name, hunt.earned(), hunt.verdict.words());
        format!(
            "hunt {name}: {earned} of {} points, {words}: {}\n",
            hunt.points, hunt.story
        )
    };
    report.hunts.iter().map(line).collect()
}

fn hunt(hunt: &HuntReport) -> Value {
    json!({
        "name": hunt.name,
        "title": hunt.title,
        "score": hunt.earned(),
        "max_score": hunt.points,
        "verdict": hunt.verdict.words(),
    })
}

fn entry(exercise: &ExerciseReport, build: Option<&str>) -> Value {
    let mut output = format!("{}; {}", exercise.verdict.words(), exercise.note());
    if let Some(story) = build.map(str::to_owned).or_else(|| exercise.story(STORY)) {
        output += &format!("\n\n{story}\n\nTo read: {}", exercise.chapter);
    }
    for sentence in &exercise.unrun {
        output += &format!("\n\n{sentence}");
    }
    let passed = exercise.verdict == Verdict::Passed;
    let mut value = json!({
        "number": exercise.id,
        "name": exercise.title,
        "score": exercise.earned(),
        "max_score": exercise.points,
        "status": if passed { "passed" } else { "failed" },
        "output": output,
        "extra_data": { "verdict": exercise.verdict.words() },
    });
    if !exercise.unrun.is_empty() {
        value["extra_data"]["unit_tests_not_run"] = json!(exercise.unrun);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn hunts_are_beside_the_score_and_leave_no_trace_where_there_are_none() {
        let value = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        let without = value(render(&sample::report()).unwrap());
        let with = value(render(&sample::report_with_hunts()).unwrap());
        assert!(without.get("extra_data").is_none());
        assert_eq!(
            (&with["score"], &with["tests"]),
            (&without["score"], &without["tests"])
        );
        let hunts = with["extra_data"]["hunts"].as_array().unwrap();
        assert_eq!(
            (&hunts[0]["score"], &hunts[1]["score"]),
            (&json!(3), &json!(0))
        );
        assert!(
            with["output"]
                .as_str()
                .unwrap()
                .contains("hunt two: 0 of 3 points, false alarm")
        );
    }

    #[test]
    fn unit_tests_that_were_not_run_are_told_and_leave_no_trace_where_all_were() {
        let value = |report| serde_json::from_str::<Value>(&render(&report).unwrap()).unwrap();
        let (with, without) = (value(sample::report_with_unrun()), value(sample::report()));
        assert_eq!(with["score"], without["score"]);
        let entry = &with["tests"][0];
        assert!(
            entry["output"]
                .as_str()
                .unwrap()
                .ends_with("because \"so\".")
        );
        let list = |value: &Value| {
            value["tests"][0]["extra_data"]
                .get("unit_tests_not_run")
                .cloned()
        };
        assert_eq!(list(&with).unwrap().as_array().unwrap().len(), 1);
        assert_eq!(list(&without), None);
    }

    #[test]
    fn the_scores_of_the_entries_are_the_whole_score() {
        let text = render(&sample::report()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["score"], 60);
        let tests = value["tests"].as_array().unwrap();
        let sum = |key: &str| {
            tests
                .iter()
                .map(|test| test[key].as_u64().unwrap())
                .sum::<u64>()
        };
        assert_eq!((sum("score"), sum("max_score")), (60, 100));
        assert_eq!(tests[1]["status"], "failed");
        assert!(
            tests[1]["output"]
                .as_str()
                .unwrap()
                .contains("a < b & \"c\"")
        );
        assert!(tests[2]["output"].as_str().unwrap().contains("E0308"));
    }
}
