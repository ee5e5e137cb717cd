//! `{{#quiz NAME ...}}`: questions of `tests/quiz` as a box. A choice shows why it is right or wrong, by style sheet alone.
//!
//! Each choice is a radio button, so the keyboard works as in every form, and what a choice means is below it, hidden until it
//! is chosen. On paper everything is shown.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use course::manifest::{Manifest, anchor};
use course::quiz::{self, Question};

/// How many questions a box may have.
const MOST: usize = 2;

/// Returns a box of questions as HTML.
///
/// # Errors
///
/// Fails if there is no such question, there are too many, or one is about an exercise of another chapter.
pub(crate) fn box_of<'n>(
    root: &Path,
    manifest: &Manifest,
    chapter: &Path,
    names: impl Iterator<Item = &'n str>,
) -> Result<String> {
    let names: Vec<_> = names.collect();
    ensure!(
        (1..=MOST).contains(&names.len()),
        "a box has one question or two"
    );
    let all = quiz::all(root, manifest)?;
    let mut text = "<section class=\"quiz\" aria-label=\"Questions\">\n".to_owned();
    for name in names {
        let question = all.iter().find(|one| one.name == name);
        let question = question.with_context(|| format!("there is no question {name:?}"))?;
        let (_, exercise) = manifest.find_exactly(&question.exercise)?;
        ensure!(
            Path::new(exercise.chapter.as_ref()) == chapter,
            "the question {name} is about {}, which is in {}",
            exercise.id(),
            exercise.chapter.as_ref()
        );
        text += &form(question);
    }
    let _ = write!(
        text,
        "<p class=\"quiz-more\">More questions about {}: <code>cargo course quiz</code></p>\n</section>\n",
        exercises_of(manifest, chapter)
    );
    Ok(text)
}

/// Names the exercises of a chapter, as links to their boxes on the same page.
fn exercises_of(manifest: &Manifest, chapter: &Path) -> String {
    let all = manifest.exercises().map(|(_, one)| one);
    let here = all.filter(|one| Path::new(one.chapter.as_ref()) == chapter);
    let links = here.map(|one| format!("<a href=\"#{}\">{}</a>", anchor(one.id()), one.id()));
    links.collect::<Vec<_>>().join(", ")
}

/// Returns a question as a group of radio buttons.
fn form(question: &Question) -> String {
    let name = &question.name;
    let mut text = format!(
        "<fieldset class=\"quiz-question\">\n<legend>{}</legend>\n<p>{}</p>\n",
        inline(&question.ask),
        inline(&question.situation)
    );
    for (at, choice) in question.choices().iter().enumerate() {
        let (id, verdict, class) = (
            format!("quiz-{name}-{at}"),
            if choice.is_right { "Yes." } else { "No." },
            if choice.is_right {
                "quiz-right"
            } else {
                "quiz-wrong"
            },
        );
        let source = if choice.is_right {
            question.source()
        } else {
            String::new()
        };
        let _ = write!(
            text,
            "<div class=\"quiz-choice {class}\"><input type=\"radio\" name=\"quiz-{name}\" id=\"{id}\" aria-describedby=\"{id}-why\">\
             <label for=\"{id}\">{}</label>\n<p class=\"quiz-why\" id=\"{id}-why\">{verdict} {} {}</p></div>\n",
            inline(choice.text),
            inline(choice.why),
            inline(&source)
        );
    }
    text + "</fieldset>\n"
}

/// Returns a text as HTML, with the parts between backquotes as code.
fn inline(text: &str) -> String {
    let mut html = String::new();
    for (at, part) in text.split('`').enumerate() {
        let part = part
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        html += &if at % 2 == 1 {
            format!("<code>{part}</code>")
        } else {
            part
        };
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::workspace;

    #[test]
    fn a_box_has_a_button_for_each_choice_and_says_what_each_means() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        let name = "one-read-one-line";
        let text = |chapter: &str, names: &[&str]| {
            box_of(&root, &manifest, Path::new(chapter), names.iter().copied())
        };
        let html = text("stage1-server.md", &[name]).unwrap();
        assert_eq!(html.matches("type=\"radio\"").count(), 4);
        assert_eq!(html.matches("class=\"quiz-why\"").count(), 4);
        assert_eq!(html.matches(">Yes. ").count(), 1);
        // mdBook's own `right` floats to the right, and would show which choice it is.
        assert!(
            !html.contains(" right\"") && html.contains("quiz-right"),
            "{html}"
        );
        // mdBook would take what follows an empty line for Markdown.
        assert!(!html.contains("\n\n"), "{html}");
        assert!(text("stage2-client.md", &[name]).is_err());
        assert!(text("stage1-server.md", &["no-such"]).is_err());
        assert!(text("stage1-server.md", &[]).is_err());
    }

    #[test]
    fn code_is_marked_and_signs_are_escaped() {
        assert_eq!(inline("a `b < c` & d"), "a <code>b &lt; c</code> &amp; d");
    }
}
