//! Text with a little markup: `` `code` `` is set in a monospaced font, `*words*` in bold.

use std::fmt::Write as _;

/// The height of a letter of ordinary text, in units of the picture.
pub(super) const SIZE: f64 = 15.0;
/// The height of a letter of small text.
pub(super) const SMALL: f64 = 13.5;
/// From one line to the next.
pub(super) const LINE: f64 = 19.0;

/// A part of a line in one font.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Font {
    Plain,
    Code,
    Bold,
}

fn parts(line: &str) -> Vec<(Font, String)> {
    let mut parts: Vec<(Font, String)> = Vec::new();
    let (mut code, mut bold) = (false, false);
    for letter in line.chars() {
        match letter {
            '`' => code = !code,
            '*' if !code => bold = !bold,
            _ => push(&mut parts, font(code, bold), letter),
        }
    }
    parts
}

fn font(code: bool, bold: bool) -> Font {
    match (code, bold) {
        (true, _) => Font::Code,
        (false, true) => Font::Bold,
        (false, false) => Font::Plain,
    }
}

fn push(parts: &mut Vec<(Font, String)>, font: Font, letter: char) {
    match parts.last_mut() {
        Some((last, text)) if *last == font => text.push(letter),
        Some(_) | None => parts.push((font, letter.to_string())),
    }
}

/// Returns a line as the content of an SVG `text` element.
pub(super) fn markup(line: &str) -> String {
    let mut markup = String::new();
    for (font, text) in parts(line) {
        let text = escape(&text);
        let class = match font {
            Font::Plain => {
                markup.push_str(&text);
                continue;
            }
            Font::Code => "m",
            Font::Bold => "b",
        };
        // Writing to a string cannot fail.
        let _ = write!(markup, "<tspan class=\"{class}\">{text}</tspan>");
    }
    markup
}

/// Returns a line as HTML.
pub(super) fn caption(line: &str) -> String {
    let html = parts(line).into_iter().map(|(font, text)| {
        let text = escape(&text);
        match font {
            Font::Plain => text,
            Font::Code => format!("<code>{text}</code>"),
            Font::Bold => format!("<strong>{text}</strong>"),
        }
    });
    html.collect()
}

/// Returns a line without its markup.
pub(super) fn plain(line: &str) -> String {
    parts(line).into_iter().map(|(_, text)| text).collect()
}

/// Escapes what has a meaning in XML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Estimates the width of a line: as wide as the widest of the usual fonts sets it.
pub(super) fn width(line: &str, size: f64) -> f64 {
    parts(line)
        .into_iter()
        .map(|(font, text)| {
            text.chars()
                .map(|letter| advance(font, letter))
                .sum::<f64>()
        })
        .sum::<f64>()
        * size
}

fn advance(font: Font, letter: char) -> f64 {
    let plain = match letter {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' => 0.32,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' | 'I' => 0.41,
        'm' | 'w' | 'M' | 'W' | '→' | '←' | '=' | '+' => 0.9,
        'A'..='Z' => 0.72,
        _ => 0.62,
    };
    match font {
        Font::Plain => plain,
        Font::Code => 0.565,
        Font::Bold => plain * 1.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_fonts_and_nothing_escapes() {
        let line = "a `read(2)` *b* <&>";
        let expected =
            "a <tspan class=\"m\">read(2)</tspan> <tspan class=\"b\">b</tspan> &lt;&amp;&gt;";
        assert_eq!(markup(line), expected);
        assert_eq!(plain(line), "a read(2) b <&>");
    }

    #[test]
    fn a_star_in_code_is_a_star() {
        assert_eq!(markup("`*p`"), "<tspan class=\"m\">*p</tspan>");
    }

    #[test]
    fn letters_differ_in_width() {
        assert!(width("ill", 10.0) < width("`ill`", 10.0));
        assert!(width("ill", 10.0) < width("MMM", 10.0));
    }
}
