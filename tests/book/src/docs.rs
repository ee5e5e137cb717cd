//! Documentation comments as prose: what rustdoc makes of them, a page of Markdown can show, too.

use std::ops::Range;

/// Returns the documentation comment at these places as Markdown: its headings become bold words, and links to items of
/// the code their text.
pub(crate) fn prose(source: &str, docs: &[Range<usize>]) -> String {
    let mut text = String::new();
    let mut is_code = false;
    for doc in docs {
        let line = source[doc.clone()].trim().trim_start_matches('/');
        let line = line.strip_prefix(' ').unwrap_or(line);
        is_code ^= line.starts_with("```");
        match line.strip_prefix("# ") {
            Some(heading) if !is_code => text.push_str(&format!("**{heading}**")),
            Some(_) | None if is_code => text.push_str(line),
            Some(_) | None => text.push_str(&without_item_links(line)),
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// Replaces links to items of the code by their text; the page has no such place.
fn without_item_links(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((label, behind)) = after.split_once(']') else {
            break;
        };
        let target = behind
            .strip_prefix('(')
            .and_then(|inside| inside.split_once(')'));
        text.push_str(before);
        rest = match target {
            Some((target, behind)) if target.starts_with("http") => {
                text.push_str(&format!("[{label}]({target})"));
                behind
            }
            Some((_, behind)) => {
                text.push_str(label);
                behind
            }
            // A link without a target is the name of an item, in code; everything else in brackets is text.
            None if label.starts_with('`') => {
                text.push_str(label);
                behind
            }
            None => {
                text.push_str(&format!("[{label}]"));
                behind
            }
        };
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(comment: &str) -> String {
        let mut start = 0;
        let places = comment.split_inclusive('\n').map(|line| {
            let place = start..start + line.trim_end().len();
            start += line.len();
            place
        });
        prose(comment, &places.collect::<Vec<_>>())
    }

    #[test]
    fn headings_are_bold_words_and_code_stays() {
        let comment =
            "/// One.\n///\n/// # Errors\n///\n/// Two.\n/// ```text\n/// # a [`b`]\n/// ```\n";
        assert_eq!(
            of(comment),
            "One.\n\n**Errors**\n\nTwo.\n```text\n# a [`b`]\n```"
        );
    }

    #[test]
    fn links_to_items_are_their_text() {
        assert_eq!(
            of(
                "/// See [`A`], [`b`](super::b), [the rest](Self::c), [RFC](https://x.y/z) and [1, 2]."
            ),
            "See `A`, `b`, the rest, [RFC](https://x.y/z) and [1, 2]."
        );
        assert_eq!(of("/// open [bracket"), "open [bracket");
    }
}
