//! The report in Markdown.

use crate::grade::report::Report;

/// How many lines of a story are shown.
const STORY: usize = 40;

/// Renders a table, with the stories folded below it.
pub(crate) fn render(report: &Report) -> String {
    let (earned, all) = report.points();
    let mut text = format!(
        "# {earned} of {all} points\n\n| exercise | points | result | tests |\n|---|---|---|---|\n"
    );
    let mut stories = String::new();
    for exercise in report.exercises() {
        text += &format!(
            "| {} {} | {}/{} | {} | {} |\n",
            exercise.id,
            exercise.title.replace('|', "\\|"),
            exercise.earned(),
            exercise.points,
            exercise.verdict.words(),
            exercise.note()
        );
        if let Some(story) = exercise.story(STORY) {
            stories += &folded(&format!("{} {}", exercise.id, exercise.title), &story);
        }
        if !exercise.unrun.is_empty() {
            let title = format!("{}: unit tests that were not run", exercise.id);
            stories += &folded(&title, &exercise.unrun.join("\n"));
        }
    }
    for stage in &report.stages {
        if let Some(messages) = &stage.build {
            stories += &folded(&format!("{} could not be run", stage.id), messages);
        }
    }
    if !report.hunts.is_empty() {
        let points = report.points_of_hunts();
        text += &format!(
            "\n## Hunts: {points} points beside these\n\n| hunt | points | result |\n|---|---|---|\n"
        );
    }
    for hunt in &report.hunts {
        let (earned, all) = (hunt.earned(), hunt.points);
        text += &format!(
            "| {} | {earned}/{all} | {} |\n",
            hunt.name,
            hunt.verdict.words()
        );
        stories += &folded(&format!("hunt {}", hunt.name), &hunt.story);
    }
    format!("{text}{stories}\nHow it was run: {}.\n", report.guard)
}

/// Folds text into a block whose fence is longer than any in the text.
fn folded(title: &str, text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    let text = text.replace('\u{1b}', "");
    format!("\n<details><summary>{title}</summary>\n\n{fence}text\n{text}\n{fence}\n\n</details>\n")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_table_has_every_exercise_and_the_stories_are_folded() {
        let text = render(&sample::report());
        assert!(text.starts_with("# 60 of 100 points\n"));
        assert!(
            text.contains("| 1.2 Title | 0/30 | failed | 1 of 2 tests |\n"),
            "{text}"
        );
        assert!(
            text.contains("<details><summary>stage2 could not be run</summary>"),
            "{text}"
        );
    }

    #[test]
    fn unit_tests_that_were_not_run_are_folded() {
        let text = render(&sample::report_with_unrun());
        assert!(text.contains("<summary>1.1: unit tests that were not run</summary>"));
    }

    #[test]
    fn hunts_have_a_table_of_their_own() {
        let text = render(&sample::report_with_hunts());
        assert!(text.contains("## Hunts: 3 points"), "{text}");
        assert!(text.contains("| two | 0/3 | false alarm |\n"), "{text}");
    }

    #[test]
    fn a_fence_in_the_output_does_not_end_the_block() {
        assert!(folded("x", "a\n```\nb").contains("\n````text\na\n```\nb\n````\n"));
    }
}
