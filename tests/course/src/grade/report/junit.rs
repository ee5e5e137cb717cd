//! The report as JUnit XML: a suite for each exercise, a case for each test.

use crate::grade::report::{ExerciseReport, HuntReport, Report, TestReport, Verdict};
use crate::hunts::trial;
use crate::run::output;
use crate::run::test::Outcome;

/// Renders the whole file.
pub(crate) fn render(report: &Report) -> String {
    let mut text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"Socket to Mux\">\n"
            .to_owned();
    for stage in &report.stages {
        for exercise in &stage.exercises {
            text += &suite(exercise, stage.build.as_deref());
        }
    }
    text += &hunts(report);
    text + "</testsuites>\n"
}

/// Renders one suite with a case for each hunt, if there are any.
fn hunts(report: &Report) -> String {
    if report.hunts.is_empty() {
        return String::new();
    }
    let case = |hunt: &HuntReport| {
        let head = format!("    <testcase classname=\"hunts\" name=\"{}\"", hunt.name);
        if hunt.verdict == trial::Verdict::Caught {
            return format!("{head}/>\n");
        }
        let (words, story) = (hunt.verdict.words(), escape(&hunt.story));
        format!("{head}><failure message=\"{words}\">{story}</failure></testcase>\n")
    };
    let cases: String = report.hunts.iter().map(case).collect();
    let (all, lost) = (report.hunts.len(), cases.matches("<failure ").count());
    format!(
        "  <testsuite name=\"hunts\" tests=\"{all}\" failures=\"{lost}\" errors=\"0\">\n{cases}  </testsuite>\n"
    )
}

fn suite(exercise: &ExerciseReport, build: Option<&str>) -> String {
    let name = escape(&format!("{} {}", exercise.id, exercise.title));
    let cases = match build {
        Some(messages) => nothing_ran(exercise.verdict, messages),
        None if exercise.tests.is_empty() => nothing_ran(exercise.verdict, "no test has run"),
        None => exercise
            .tests
            .iter()
            .map(|test| case(&name, test))
            .collect(),
    };
    let count = |outcomes: &[Outcome]| {
        let fitting = exercise
            .tests
            .iter()
            .filter(|test| outcomes.contains(&test.run.outcome));
        fitting.count()
    };
    let unrun = exercise.unrun.iter().map(|why| skipped(&name, why));
    let cases = cases + &unrun.collect::<String>();
    let skips = match exercise.unrun.len() {
        0 => String::new(),
        count => format!(" skipped=\"{count}\""),
    };
    let failures = count(&[Outcome::Failed, Outcome::TimedOut]);
    let errors = count(&[Outcome::NotGraded]) + usize::from(exercise.tests.is_empty());
    let tests = exercise.tests.len().max(1) + exercise.unrun.len();
    format!(
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"{skips}>\n{cases}  </testsuite>\n"
    )
}

/// Renders a case for unit tests that were not run.
fn skipped(class: &str, why: &str) -> String {
    let why = escape(why);
    format!(
        "    <testcase classname=\"{class}\" name=\"unit tests\"><skipped message=\"{why}\"/></testcase>\n"
    )
}

fn case(class: &str, test: &TestReport) -> String {
    let head = format!(
        "    <testcase classname=\"{class}\" name=\"{}\" time=\"{:.3}\"",
        escape(&test.name),
        test.run.time.as_secs_f64()
    );
    let story = escape(&output::message(&test.run.output));
    let inside = match test.run.outcome {
        Outcome::Passed => return format!("{head}/>\n"),
        Outcome::Failed => format!("<failure message=\"failed\">{story}</failure>"),
        Outcome::TimedOut => format!("<failure message=\"timed out\">{story}</failure>"),
        Outcome::NotGraded => format!("<error message=\"could not be graded\">{story}</error>"),
    };
    format!("{head}>{inside}</testcase>\n")
}

fn nothing_ran(verdict: Verdict, why: &str) -> String {
    let (words, why) = (verdict.words(), escape(why));
    format!("    <testcase name=\"build\"><error message=\"{words}\">{why}</error></testcase>\n")
}

/// Replaces what XML 1.0 does not allow in text or attributes; control characters cannot be written at all.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' | '\t' => escaped.push(letter),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ if letter.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn unit_tests_that_were_not_run_are_skipped() {
        let text = render(&sample::report_with_unrun());
        assert!(text.contains("tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"1\">"));
        assert!(text.contains("<skipped message=\"The unit tests of 1.1 in a::tests were not run"));
    }

    #[test]
    fn hunts_are_a_suite() {
        let text = render(&sample::report_with_hunts());
        let head = "<testsuite name=\"hunts\" tests=\"2\" failures=\"1\" errors=\"0\">";
        assert!(text.contains(head), "{text}");
        assert!(text.contains("<failure message=\"false alarm\">on &lt;right&gt;:\n1</failure>"));
    }

    #[test]
    fn a_suite_for_each_exercise_and_a_case_for_each_test() {
        let text = render(&sample::report());
        for part in [
            "<testsuite name=\"1.1 Title\" tests=\"1\" failures=\"0\" errors=\"0\">",
            "<testsuite name=\"1.2 Title\" tests=\"2\" failures=\"1\" errors=\"0\">",
            "name=\"e11_a\" time=\"1.500\"/>",
            "<failure message=\"failed\">a &lt; b &amp; &quot;c&quot;\n\u{fffd}[1m|</failure>",
            "<error message=\"could not build\">error[E0308]",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.matches("<testsuite ").count(), 3);
        assert_eq!(text.matches("</testsuite>").count(), 3);
    }
}
