//! Problems in the text of a chapter.

use anyhow::Result;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use regex::Regex;

/// Describes the problems: directives that were not expanded, empty code blocks.
pub(crate) fn problems(markdown: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for line in markdown.lines().filter(|line| line.contains("{{#")) {
        problems.push(format!("a directive was not expanded: {}", line.trim()));
    }
    let mut code: Option<String> = None;
    let mut heading = String::from("the beginning");
    let mut in_heading = false;
    for event in Parser::new(markdown) {
        if let Event::Start(Tag::CodeBlock(_)) = event {
            code = Some(String::new());
        } else if let Event::End(TagEnd::CodeBlock) = event {
            if code.take().is_some_and(|code| code.trim().is_empty()) {
                problems.push(format!("an empty code block below \"{heading}\""));
            }
        } else if let Event::Start(Tag::Heading { .. }) = event {
            heading.clear();
            in_heading = true;
        } else if let Event::End(TagEnd::Heading(_)) = event {
            in_heading = false;
        } else if let Event::Text(text) | Event::Code(text) = event {
            match &mut code {
                Some(code) => code.push_str(&text),
                None if in_heading => heading.push_str(&text),
                None => {}
            }
        }
    }
    problems
}

/// Returns the includes of parts of files, because a range of lines silently shows something else after the next change.
///
/// # Errors
///
/// Fails if the pattern is no pattern.
pub(crate) fn includes(markdown: &str) -> Result<Vec<String>> {
    let directive = Regex::new(r"\{\{#(?:rustdoc_)?include\s+([^\s}:]+):[^}]*\}\}")?;
    let parts = directive.find_iter(markdown);
    Ok(parts
        .map(|part| {
            format!(
                "show a part of a file with {{{{#item ...}}}}: {}",
                part.as_str()
            )
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{includes, problems};

    #[test]
    fn a_sound_chapter_has_no_problems() {
        assert_eq!(
            problems("# T\n\n```rust\nfn main() {}\n```\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_empty_block_is_found_also_in_a_quotation() {
        let found = problems("# One `two`\n\n> ```rust\n>\n> ```\n\n```\n```\n");
        assert_eq!(found, ["an empty code block below \"One two\""; 2]);
    }

    #[test]
    fn a_directive_that_is_left_is_found() {
        let found = problems("x\n\n{{#include ../gone.rs}}\n");
        assert_eq!(
            found,
            ["a directive was not expanded: {{#include ../gone.rs}}"]
        );
    }

    #[test]
    fn a_file_is_included_whole_or_not_at_all() {
        let found = includes("{{#include a.rs}} {{#include a.rs:2:3}} {{#rustdoc_include b.rs:x}}")
            .unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("{{#item ...}}: {{#include a.rs:2:3}}"));
    }
}
