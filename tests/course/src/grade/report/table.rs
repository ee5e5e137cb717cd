//! The report for a terminal.

use crate::grade::report::Report;

/// How many lines of a failure's story are shown.
const STORY: usize = 12;
/// How many lines of the compiler's messages are shown.
const MESSAGES: usize = 30;

/// Renders a table, and below it the story of each exercise that did not pass.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut stories = String::new();
    for stage in &report.stages {
        text += &format!("\n{}  {}\n", stage.id, stage.title);
        for exercise in &stage.exercises {
            let earned = format!("{}/{}", exercise.earned(), exercise.points);
            text += &format!(
                "  {:<4} {:<42} {:>6}  {:<20} {}\n",
                exercise.id,
                exercise.title,
                earned,
                exercise.verdict.words(),
                exercise.note()
            );
            if let Some(story) = exercise.story(STORY) {
                stories += &format!("\n{}  {}\n", exercise.id, story.replace('\n', "\n     "));
            }
            for sentence in &exercise.unrun {
                stories += &format!("\n{}  {sentence}\n", exercise.id);
            }
        }
        if let Some(messages) = &stage.build {
            let lines: Vec<_> = messages.lines().take(MESSAGES).collect();
            stories += &format!("\n{} could not be run:\n{}\n", stage.id, lines.join("\n"));
        }
    }
    text += &hunts(report);
    let (earned, all) = report.points();
    format!(
        "{text}{stories}\n{earned} of {all} points. ({})\n",
        report.guard
    )
}

/// Renders the hunts, if there are any.
fn hunts(report: &Report) -> String {
    if report.hunts.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\nhunts  {} points beside those of the exercises\n",
        report.points_of_hunts()
    );
    for hunt in &report.hunts {
        let earned = format!("{}/{}", hunt.earned(), hunt.points);
        let story: Vec<_> = hunt.story.lines().take(STORY).collect();
        text += &format!(
            "  {:<47} {earned:>6}  {:<20} {}\n",
            hunt.name,
            hunt.verdict.words(),
            story.join("\n       ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn unit_tests_that_were_not_run_are_told_and_change_no_points() {
        let text = render(&sample::report_with_unrun());
        for part in [
            "60/60  passed               1 of 1 tests, some unit tests not run\n",
            "\n1.1  The unit tests of 1.1 in a::tests were not run, because \"so\".\n",
            "60 of 100 points.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn every_exercise_has_a_line_and_every_failure_a_story() {
        let text = render(&sample::report());
        for part in [
            "60/60",
            "passed",
            "0/30",
            "failed",
            "1 of 2 tests",
            "could not build",
            "e12_b: a < b",
            "E0308",
            "60 of 100 points. (guarded)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("hunts"), "{text}");
        let text = render(&sample::report_with_hunts());
        for part in ["hunts  3 points", "0/3  false alarm", "60 of 100 points."] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
