//! How long it takes to read a chapter, said below its title.

use std::fmt::Write as _;
use std::path::Path;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::exercise::{of_chapter, time};
use crate::places::Places;
use course::manifest::Manifest;

/// Words of prose that a reader takes in per minute: with thought, and perhaps not in their first language.
const WORDS_A_MINUTE: usize = 180;
/// Lines of code per minute.
const LINES_A_MINUTE: usize = 12;
/// Pictures per minute; a table is looked at like a picture.
const FIGURES_A_MINUTE: usize = 2;

/// Inserts the reading time, and the time for the exercises, below the title of a chapter.
pub(crate) fn with_times(
    markdown: &str,
    manifest: &Manifest,
    places: &Places,
    chapter: &Path,
) -> String {
    let Some(end) = title_end(markdown) else {
        return markdown.to_owned();
    };
    let mut times = format!("Reading: about {}", time(minutes(markdown)));
    let exercises = of_chapter(manifest, chapter);
    if !exercises.is_empty() {
        let all = exercises.iter().map(|(_, one)| one.minutes).sum();
        let _ = write!(times, ". Exercises: about {} (", time(all));
        for (place, (_, one)) in exercises.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            let _ = write!(times, "{separator}[{}]({})", one.id(), places.link(one));
        }
        times.push(')');
    }
    let (title, rest) = markdown.split_at(end);
    format!("{title}\n<div class=\"reading-time\">\n\n{times}\n\n</div>\n{rest}")
}

/// Returns where the line of the title ends.
fn title_end(markdown: &str) -> Option<usize> {
    let mut events = Parser::new(markdown).into_offset_iter();
    let (_, range) = events.find(|(event, _)| matches!(event, Event::End(TagEnd::Heading(_))))?;
    Some(range.end)
}

fn minutes(markdown: &str) -> u32 {
    let (mut words, mut lines, mut in_code) = (0, 0, false);
    let (mut tables, mut in_table) = (0, false);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        if let Event::Start(Tag::Table(_)) = event {
            (tables, in_table) = (tables + 1, true);
        } else if let Event::End(TagEnd::Table) = event {
            in_table = false;
        } else if let Event::Start(Tag::CodeBlock(_)) | Event::End(TagEnd::CodeBlock) = event {
            in_code = !in_code;
        } else if let Event::Text(text) | Event::Code(text) = event {
            if in_code {
                lines += text.lines().filter(|line| !line.trim().is_empty()).count();
            } else if !in_table {
                words += text.split_whitespace().count();
            }
        }
    }
    let figures = tables + markdown.matches("<figure ").count();
    let seconds =
        words * 60 / WORDS_A_MINUTE + lines * 60 / LINES_A_MINUTE + figures * 60 / FIGURES_A_MINUTE;
    u32::try_from(seconds.div_ceil(60))
        .unwrap_or(u32::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lines_and_figures_count() {
        let words = "word ".repeat(360);
        assert_eq!(minutes(&words), 2);
        let code = format!("```rust\n{}```\n", "line of code;\n\n".repeat(24));
        assert_eq!(minutes(&format!("{words}\n\n{code}")), 4);
        assert_eq!(
            minutes("<figure class=\"figure\">\n</figure>\n\n<figure class=\"x\">\n</figure>"),
            1
        );
        let table = format!("| a |\n|---|\n{}\n", "| word |\n".repeat(360));
        assert_eq!(minutes(&format!("{table}\n{table}\n{table}")), 2);
        assert_eq!(minutes(""), 1);
    }

    #[test]
    fn the_times_stand_below_the_title() {
        let manifest = Manifest { stages: Vec::new() };
        let text = with_times(
            "# Title\n\nText.\n",
            &manifest,
            &Places::default(),
            Path::new("x.md"),
        );
        assert_eq!(
            text,
            "# Title\n\n<div class=\"reading-time\">\n\nReading: about 1 minute\n\n</div>\n\nText.\n"
        );
        assert_eq!(
            with_times("no title", &manifest, &Places::default(), Path::new("x.md")),
            "no title"
        );
    }
}
