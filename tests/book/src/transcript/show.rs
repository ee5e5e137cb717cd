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
