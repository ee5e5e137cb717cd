//! Bytes in messages: short previews, and the difference between the expected bytes and those seen.

use std::fmt::Write;

/// Bytes of a preview in one transcript line.
const PREVIEW: usize = 40;
/// Bytes in one row of a dump.
const ROW: usize = 16;
/// Rows shown before and after the row with the first difference.
const AROUND: usize = 1;
/// Bytes shown as text before the first difference, and after it.
const TEXT: usize = 24;

/// Describes bytes on one line: their number and how they start, with everything unprintable escaped.
#[must_use]
pub fn preview(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".into();
    }
    let shown = bytes.get(..PREVIEW).unwrap_or(bytes).escape_ascii();
    let more = if bytes.len() > PREVIEW { " ..." } else { "" };
    format!("{} \"{shown}\"{more}", count(bytes.len()))
}

/// Writes a number of bytes with its unit: `1 byte`, `17 bytes`.
#[must_use]
pub fn count(bytes: usize) -> String {
    if bytes == 1 {
        "1 byte".into()
    } else {
        format!("{bytes} bytes")
    }
}

/// Returns the offset of the first difference, or `None` when both are equal.
#[must_use]
pub fn first_difference(expected: &[u8], seen: &[u8]) -> Option<usize> {
    let shared = expected
        .iter()
        .zip(seen)
        .take_while(|(left, right)| left == right)
        .count();
    (shared < expected.len() || shared < seen.len()).then_some(shared)
}

/// Shows where two byte strings begin to differ, with a few rows of both around that place.
#[must_use]
pub fn render(expected: &[u8], seen: &[u8]) -> String {
    let Some(offset) = first_difference(expected, seen) else {
        return format!("expected and seen are equal ({})", count(seen.len()));
    };
    let mut text = format!("{}\n", verdict(expected, seen, offset));
    point(&mut text, expected, seen, offset);
    if is_plain(expected, offset) && is_plain(seen, offset) {
        text.truncate(text.trim_end().len());
        return text;
    }
    dump(&mut text, "expected", expected, offset);
    dump(&mut text, "seen", seen, offset);
    text.truncate(text.trim_end().len());
    text
}

fn verdict(expected: &[u8], seen: &[u8], offset: usize) -> String {
    if offset == seen.len() {
        let missing = count(expected.len() - offset);
        return format!("right up to offset {offset}, then {missing} missing");
    }
    if offset == expected.len() {
        let surplus = count(seen.len() - offset);
        return format!("right up to the end at offset {offset}, then {surplus} too many");
    }
    format!("the first difference is at offset {offset}")
}

/// Shows both as text, one below the other, with a caret at the first difference.
fn point(text: &mut String, expected: &[u8], seen: &[u8], offset: usize) {
    let start = offset.saturating_sub(TEXT);
    let before = if start > 0 { "... " } else { "" };
    let line = |bytes: &[u8]| {
        let end = bytes.len().min(offset + TEXT);
        let after = if end < bytes.len() { " ..." } else { "" };
        format!("{before}\"{}\"{after}", bytes[start..end].escape_ascii())
    };
    let column = before.len() + 1 + expected[start..offset].escape_ascii().to_string().len();
    // Writing into a String cannot fail.
    let _ = writeln!(text, "  expected  {}", line(expected));
    let _ = writeln!(text, "  seen      {}", line(seen));
    let _ = writeln!(text, "            {:column$}^", "");
}

/// Returns whether the bytes around a place are plain text, so that a dump would add nothing.
fn is_plain(bytes: &[u8], offset: usize) -> bool {
    let start = offset.saturating_sub(TEXT);
    let end = bytes.len().min(offset + TEXT);
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    bytes[start..end].iter().all(is_text)
}

fn dump(text: &mut String, title: &str, bytes: &[u8], offset: usize) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{title} ({}):", count(bytes.len()));
    let centre = offset / ROW;
    let first = centre.saturating_sub(AROUND);
    for row in first..=centre + AROUND {
        let start = row * ROW;
        if start >= bytes.len() {
            break;
        }
        let end = bytes.len().min(start + ROW);
        let _ = writeln!(text, "{}", dump_row(start, &bytes[start..end], offset));
    }
    if offset >= bytes.len() {
        let _ = writeln!(text, "  {:>8}  (ends here)", bytes.len());
    }
}

fn dump_row(start: usize, bytes: &[u8], offset: usize) -> String {
    let mut hex = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        let mark = if start + index == offset { '>' } else { ' ' };
        let _ = write!(hex, "{mark}{byte:02x}");
    }
    format!("  {start:>8} {hex:<48}  {}", bytes.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_short_and_printable() {
        assert_eq!(preview(b"a\0\r\n"), r#"4 bytes "a\x00\r\n""#);
        assert_eq!(preview(b"x"), r#"1 byte "x""#);
        assert_eq!(preview(b""), "nothing");
        assert!(preview(&[b'y'; 100]).ends_with("y\" ..."));
    }

    #[test]
    fn the_first_difference_is_found() {
        assert_eq!(first_difference(b"abc", b"abc"), None);
        assert_eq!(first_difference(b"abc", b"abd"), Some(2));
        assert_eq!(first_difference(b"abc", b"ab"), Some(2));
        assert_eq!(first_difference(b"", b"a"), Some(0));
    }

    #[test]
    fn a_caret_points_at_the_first_wrong_byte() {
        let text = render(b"hello\n", b"hallo\n");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "the first difference is at offset 1",
                r#"  expected  "hello\n""#,
                r#"  seen      "hallo\n""#,
                "              ^",
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_marked_in_both_dumps() {
        let text = render(b"h\xffllo\n", b"hallo\n");
        assert!(text.contains("68>ff 6c"), "{text}");
        assert!(text.contains("68>61 6c"), "{text}");
        assert!(text.contains(r"hallo\n"), "{text}");
    }

    #[test]
    fn missing_and_surplus_bytes_are_told_apart() {
        let missing = render(b"abcdef", b"abc");
        assert!(
            missing.contains("right up to offset 3, then 3 bytes missing"),
            "{missing}"
        );
        assert!(missing.ends_with("\n                ^"), "{missing}");
        let surplus = render(b"a\0", b"a\0c");
        assert!(
            surplus.contains("right up to the end at offset 2, then 1 byte too many"),
            "{surplus}"
        );
        assert!(surplus.contains("(ends here)"), "{surplus}");
    }

    #[test]
    fn a_late_difference_shows_only_its_neighbourhood() {
        let expected = vec![b'a'; 100_000];
        let mut seen = expected.clone();
        seen[50_001] = b'b';
        let text = render(&expected, &seen);
        assert!(text.contains("offset 50001"), "{text}");
        assert!(text.contains(r#"seen      ... "aaaa"#), "{text}");
        assert!(text.lines().count() < 12, "{text}");
    }
}
