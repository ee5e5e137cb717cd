//! Reads heads of a later HTTP/1 as HTTP/1.1, because the parser knows 1.0 and 1.1 only.

use std::borrow::Cow;

/// Returns `head` with the version HTTP/1.1 where its first line says HTTP/1.2 to HTTP/1.9.
///
/// RFC 9110 section 2.5: a message with a higher minor version is processed as one of the highest
/// minor version that the recipient knows. Requests end their first line with the version, responses
/// begin with it. Every other head is returned as it is.
#[must_use]
pub fn as_known(head: &[u8]) -> Cow<'_, [u8]> {
    match minor(head) {
        Some(place) if matches!(head[place], b'2'..=b'9') => {
            let mut known = head.to_vec();
            known[place] = b'1';
            Cow::Owned(known)
        }
        Some(_) | None => Cow::Borrowed(head),
    }
}

/// Returns whether the line of a request has three parts, the last of which is a version of HTTP.
#[must_use]
pub fn is_named(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next();
    let mut parts = line.unwrap_or_default().split(|&byte| byte == b' ').skip(2);
    let version = parts.next().unwrap_or_default();
    let number = version.strip_prefix(b"HTTP/").and_then(<[u8]>::first);
    number.is_some_and(u8::is_ascii_digit) && parts.next().is_none()
}

/// Returns the place of the minor version's only digit.
fn minor(head: &[u8]) -> Option<usize> {
    // Responses first, because their place is known without a search for the line's end.
    if let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', ..] = head {
        return Some(7);
    }
    let line = head.split(|&byte| byte == b'\n').next()?;
    match line.strip_suffix(b"\r").unwrap_or(line) {
        line @ [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', _] => Some(line.len() - 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_minor_version_is_the_last_that_is_known() {
        for (head, known) in [
            ("GET / HTTP/1.2\r\nA: b\r\n", "GET / HTTP/1.1\r\nA: b\r\n"),
            ("GET / HTTP/1.9\r\n", "GET / HTTP/1.1\r\n"),
            ("HTTP/1.2 200 HTTP/1.3\r\n", "HTTP/1.1 200 HTTP/1.3\r\n"),
            ("GET / HTTP/1.7", "GET / HTTP/1.1"),
        ] {
            assert_eq!(as_known(head.as_bytes()), known.as_bytes(), "{head:?}");
        }
    }

    #[test]
    fn every_other_head_stays_as_it_is() {
        for head in [
            "",
            "GET / HTTP/1.0\r\n",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/2.0\r\n",
            "GET / HTTP/1.10\r\n",
            "GET / HTTP/1.x\r\n",
            "GET /\r\nA: HTTP/1.2\r\n",
            "HTTP/2.0 200 OK\r\n",
            "HTTP/1.20 200 OK\r\n",
        ] {
            assert_eq!(as_known(head.as_bytes()), head.as_bytes(), "{head:?}");
        }
    }
}
