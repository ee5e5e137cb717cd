//! The voice of the chapters, as counters with a budget: a smoke alarm, not the aim.
//!
//! Only prose counts: paragraphs, lists and quotations, without code, tables and headings, also those that begin a
//! paragraph in bold or italics. A piece without a full stop at its end, such as an entry of a list of books, is no sentence.

use std::fmt;

use anyhow::Result;
use pulldown_cmark::{Event, Options, Parser, Tag};
use regex::Regex;

/// Words at most in a sentence that counts as short.
const SHORT: usize = 8;
/// Words of prose from which on a chapter has a voice to judge.
const ENOUGH: usize = 500;

/// What a counter may be.
#[derive(Clone, Copy, Debug)]
enum Budget {
    Below(f64),
    Above(f64),
}

/// One counter: its name, its value, its budget.
#[derive(Clone, Copy, Debug)]
struct Counter {
    name: &'static str,
    value: f64,
    budget: Budget,
}

/// The counters of one chapter.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    words: usize,
    counters: Vec<Counter>,
}

impl Voice {
    /// The heading of the columns that [`Voice`] displays: words, and the counters in 1,000 of them.
    pub(crate) const HEADING: &str = " words  nobody   stand    what  you/we short %";

    /// Measures a chapter's source.
    ///
    /// # Errors
    ///
    /// Fails if a pattern is no pattern.
    pub(crate) fn of(markdown: &str) -> Result<Self> {
        let sentences = sentences(&pieces(markdown))?;
        let text = sentences.join("\n");
        let words = words(&text);
        let in_a_thousand = |pattern: &str| -> Result<f64> {
            let found = Regex::new(pattern)?.find_iter(&text).count();
            Ok(share(found, words) * 1000.0)
        };
        let short = sentences
            .iter()
            .filter(|it| it.split_whitespace().count() <= SHORT);
        let counters = vec![
            counter(
                "somebody, nobody, whoever",
                in_a_thousand(r"(?i)\b(?:some|no|any|every)body\b|\bwhoever\b")?,
                Budget::Below(0.3),
            ),
            counter(
                "stand as a copula",
                in_a_thousand(r"(?i)\b(?:stands?|stood)\b")?,
                Budget::Below(0.3),
            ),
            counter(
                "what ... as a noun",
                in_a_thousand(FUSED)?,
                Budget::Below(1.3),
            ),
            counter(
                "you and we",
                in_a_thousand(r"(?i)\b(?:you|your|yours|we|us|our|ours|let's)\b")?,
                Budget::Above(20.0),
            ),
            counter(
                "short sentences, %",
                share(short.count(), sentences.len()) * 100.0,
                Budget::Below(17.0),
            ),
        ];
        Ok(Self { words, counters })
    }

    /// Describes each counter that is beyond its budget.
    pub(crate) fn problems(&self) -> Vec<String> {
        if self.words < ENOUGH {
            return Vec::new();
        }
        let beyond = self.counters.iter().filter(|it| !it.is_within());
        beyond.map(ToString::to_string).collect()
    }
}

impl fmt::Display for Voice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:6}", self.words)?;
        for counter in &self.counters {
            let mark = if counter.is_within() { ' ' } else { '!' };
            write!(formatter, "{:7.2}{mark}", counter.value)?;
        }
        Ok(())
    }
}

impl Counter {
    fn is_within(&self) -> bool {
        match self.budget {
            Budget::Below(most) => self.value < most,
            Budget::Above(least) => self.value > least,
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, bound) = match self.budget {
            Budget::Below(most) => ("below", most),
            Budget::Above(least) => ("above", least),
        };
        let Self { name, value, .. } = self;
        write!(
            formatter,
            "the voice: {name}: {value:.1}, and it should be {word} {bound}"
        )
    }
}

/// "What waits" as subject or object, where a noun would do ("the unsent bytes").
const FUSED: &str = r"\b[Ww]hat (?:is|was|are|were|has|had|have|comes?|came|goes|went|waits?|waited|remains?|remained|follows?|followed|belongs?|stays?|stayed|arrives?|arrived|leaves?|left|counts?|costs?|moves?|moved|can|must|may|will|would)\b[^?\n]*(?:\n|[.!](?:\s|$)|$)";

fn counter(name: &'static str, value: f64, budget: Budget) -> Counter {
    Counter {
        name,
        value,
        budget,
    }
}

/// Returns the pieces of prose: the text of each paragraph and of each entry of a list. Code in a line is one word.
fn pieces(markdown: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut silent = 0;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        if let Event::Start(Tag::Paragraph | Tag::Item) = event {
            pieces.push(String::new());
        }
        if begins_no_prose(&event, pieces.last().is_some_and(String::is_empty)) {
            silent += 1;
        } else if silent > 0 {
            silent += nesting(&event);
        } else if let Event::Text(text) = event {
            append(&mut pieces, &text);
        } else if let Event::Code(_) = event {
            append(&mut pieces, "x");
        } else if let Event::SoftBreak | Event::HardBreak = event {
            append(&mut pieces, " ");
        }
    }
    // A directive alone in its line is prose for Markdown.
    pieces.retain(|piece| !piece.trim_start().starts_with("{{#"));
    pieces
}

/// Returns whether what an event begins is no prose; bold and italics are a heading if a piece begins with them.
fn begins_no_prose(event: &Event<'_>, piece_begins: bool) -> bool {
    if let Event::Start(Tag::Strong | Tag::Emphasis) = event {
        return piece_begins;
    }
    matches!(
        event,
        Event::Start(Tag::CodeBlock(_) | Tag::Heading { .. } | Tag::Table(_))
    )
}

/// Returns by how much an event changes the number of tags that are open.
fn nesting(event: &Event<'_>) -> i32 {
    i32::from(matches!(event, Event::Start(_))) - i32::from(matches!(event, Event::End(_)))
}

fn append(pieces: &mut [String], text: &str) {
    if let Some(last) = pieces.last_mut() {
        last.push_str(text);
    }
}

/// Splits pieces into sentences.
fn sentences(pieces: &[String]) -> Result<Vec<String>> {
    let end = Regex::new(r#"[.!?]["”’)]*(?:\s+|$)"#)?;
    let mut sentences = Vec::new();
    for piece in pieces {
        let mut begin = 0;
        for found in end.find_iter(piece) {
            let sentence = piece[begin..found.end()].trim();
            begin = found.end();
            if sentence.contains(char::is_alphabetic) {
                sentences.push(sentence.to_owned());
            }
        }
    }
    Ok(sentences)
}

fn words(text: &str) -> usize {
    text.split_whitespace()
        .filter(|word| word.contains(char::is_alphabetic))
        .count()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a book has fewer than 2^52 words"
)]
fn share(part: usize, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the counters of a text, in their order.
    fn measured(markdown: &str) -> Vec<f64> {
        let voice = Voice::of(markdown).unwrap();
        voice.counters.iter().map(|counter| counter.value).collect()
    }

    #[test]
    fn code_headings_tables_and_directives_are_no_prose() {
        let markdown = "# Nobody stands\n\n**Nobody *stands* here.**\n\n- *Nobody.*\n\n```text\nnobody. stands.\n```\n\n| nobody stands. | x |\n|---|---|\n\n{{#exercise 1.1}}\n\nYou read `nobody`.\n";
        let voice = Voice::of(markdown).unwrap();
        assert_eq!(voice.words, 3);
        assert_eq!(measured(markdown)[0], 0.0);
    }

    #[test]
    fn each_counter_counts_its_own() {
        let [who, stand, what, you, short] = measured(
            "Nobody knows it. It stands there. We send what was left. What is a socket? One two three four five six seven eight nine.",
        )[..] else {
            panic!("five counters");
        };
        let one = 1000.0 / 24.0;
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 0.1, "{value}");
        near(who, one);
        near(stand, one);
        near(what, one);
        near(you, one);
        near(short, 80.0);
    }

    #[test]
    fn a_chapter_beyond_the_budget_is_named_and_a_short_page_is_not() {
        let page = "Nobody stands here, and that is all there is to say about it today. ";
        assert!(Voice::of(page).unwrap().problems().is_empty());
        let problems = Voice::of(&page.repeat(40)).unwrap().problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].contains("nobody"), "{problems:?}");
    }
}
