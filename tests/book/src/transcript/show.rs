//! A transcript as a chapter shows it.

use std::path::Path;

use anyhow::Result;

use crate::transcript::files::read;
use crate::transcript::format::{Action, Step};

/// Returns the transcript as Markdown: a block for each stretch of a terminal.
///
/// # Errors
///
/// Fails if there is no such transcript, or it is malformed.
pub(crate) fn markdown(root: &Path, name: &str) -> Result<String> {
    let transcript = read(root, name)?;
    let mut text = format!("<div class=\"transcript\" id=\"transcript-{name}\">\n");
    let mut seen = Vec::new();
    for stretch in transcript
        .steps
        .chunk_by(|one, next| one.terminal == next.terminal)
    {
        let number = stretch[0].terminal;
        if !transcript.has_one_terminal() {
            let goes_on = if seen.contains(&number) {
                ", a moment later"
            } else {
                ""
            };
            text.push_str(&format!(
                "<p class=\"terminal\">Terminal {number}{goes_on}</p>\n"
            ));
            seen.push(number);
        }
        let lines: Vec<_> = stretch.iter().flat_map(lines).collect();
        text.push_str(&format!("\n```console\n{}\n```\n\n", lines.join("\n")));
    }
    text.push_str("</div>\n");
    Ok(text)
}

/// Returns only the input of a transcript, as Markdown: its files, then a block to paste for each stretch of a terminal.
///
/// # Errors
///
/// Fails as [`markdown`] does.
pub(crate) fn commands(root: &Path, name: &str, chapter: &Path) -> Result<String> {
    let transcript = read(root, name)?;
    let mut text = format!(
        "<div class=\"transcript\">\n\nThe experiment [{name}]({}#transcript-{name}), where you see what it prints:\n\n",
        chapter.display()
    );
    if !transcript.files.is_empty() {
        let files: Vec<_> = transcript.files.iter().map(file).collect();
        text.push_str(&block("Before", &files.join("\n")));
    }
    for stretch in transcript
        .steps
        .chunk_by(|one, next| one.terminal == next.terminal)
    {
        let lines: Vec<_> = stretch.iter().filter_map(input).collect();
        if !lines.is_empty() {
            let terminal = format!("Terminal {}", stretch[0].terminal);
            text.push_str(&block(&terminal, &lines.join("\n")));
        }
    }
    text.push_str("</div>\n");
    Ok(text)
}

fn block(label: &str, text: &str) -> String {
    format!("<p class=\"terminal\">{label}</p>\n\n```text\n{text}\n```\n\n")
}

/// Returns the command that writes a file.
fn file((name, text): &(String, String)) -> String {
    format!("cat > {name} << 'EOF'\n{}\nEOF", text.trim_end())
}

fn input(step: &Step) -> Option<String> {
    match &step.action {
        Action::Command(command) => Some(command.clone()),
        Action::Type(line) => Some(line.clone()),
        Action::More => None,
        Action::Interrupt => Some("^C".to_owned()),
        Action::Eof => Some("^D".to_owned()),
    }
}

fn lines(step: &Step) -> Vec<String> {
    let first = match &step.action {
        Action::Command(command) => Some(format!("$ {command}")),
        Action::Type(line) => Some(line.clone()),
        Action::More => None,
        Action::Interrupt => Some("^C".to_owned()),
        Action::Eof => Some("^D".to_owned()),
    };
    first
        .into_iter()
        .chain(step.output.iter().cloned())
        .collect()
}
