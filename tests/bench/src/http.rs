//! The two messages of the request rows, and where they end: RFC 9112 section 6.

use std::net::SocketAddr;

/// A request of about 100 bytes.
pub(crate) const REQUEST: &[u8] = b"GET /index.html HTTP/1.1\r\n\
Host: upstream.example\r\n\
User-Agent: relay-bench\r\n\
Accept: text/plain\r\n\
\r\n";

/// A response of about 200 bytes.
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
Server: relay-bench\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Length: 88\r\n\
\r\n\
The answer is the same each time, so that only the way to it and back makes a difference";

/// Returns the same request in absolute-form, as for a proxy: RFC 9112 section 3.2.2.
pub(crate) fn absolute_request(upstream: SocketAddr) -> Vec<u8> {
    let lines = [
        format!("GET http://{upstream}/index.html HTTP/1.1"),
        format!("Host: {upstream}"),
        "User-Agent: relay-bench".into(),
        "Accept: text/plain".into(),
    ];
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

/// The facts in the head of a response that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) length: usize,
    /// RFC 9112 section 4; 0 if there is none.
    pub(crate) status: u16,
    /// Whether the connection ends behind it: RFC 9112 section 9.3.
    pub(crate) is_last: bool,
}

impl Response {
    /// Reads the response at the start of `bytes`, if it is complete.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let length = message_length(bytes)?;
        let head = head(bytes)?;
        Some(Self {
            length,
            status: status(head),
            is_last: is_last(head),
        })
    }
}

/// Returns the bytes before the empty line, once they are there.
pub(crate) fn head(bytes: &[u8]) -> Option<&[u8]> {
    let mut windows = bytes.windows(HEAD_END.len());
    let end = windows.position(|part| part == HEAD_END)?;
    Some(&bytes[..end])
}

/// Returns the status code: RFC 9112 section 4.
pub(crate) fn status(head: &[u8]) -> u16 {
    let code = head
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5));
    let code = code.and_then(|code| std::str::from_utf8(code).ok());
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn is_last(head: &[u8]) -> bool {
    let options = field(head, b"connection:").unwrap_or("").trim();
    let is = |word| options.eq_ignore_ascii_case(word);
    is("close") || (head.starts_with(b"HTTP/1.0") && !is("keep-alive"))
}

const HEAD_END: &[u8; 4] = b"\r\n\r\n";

/// Returns the length of the message at the start of `bytes`, if it is complete.
///
/// It understands Content-Length and messages without a body; a server answers so short a request in no other form.
pub(crate) fn message_length(bytes: &[u8]) -> Option<usize> {
    let head = head(bytes)?;
    let length = head.len() + HEAD_END.len() + content_length(head);
    (bytes.len() >= length).then_some(length)
}

fn content_length(head: &[u8]) -> usize {
    let value = field(head, b"content-length:");
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

/// Returns the value of a field, whose name is given in lower case with its colon.
fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let lines = head.split(|&byte| byte == b'\n');
    let mut found = lines.filter_map(|line| {
        let (start, value) = line.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some(value)
    });
    std::str::from_utf8(found.next()?).ok()
}

/// Counts the ends of heads in a stream of bytes, wherever the reads cut it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeadCounter {
    matched: usize,
}

impl HeadCounter {
    /// Takes the next bytes; returns how many heads ended in them.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        let mut ended = 0;
        for &byte in bytes {
            self.matched = match byte {
                byte if byte == HEAD_END[self.matched] => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.matched == HEAD_END.len() {
                self.matched = 0;
                ended += 1;
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_messages_are_well_formed() {
        assert_eq!(message_length(REQUEST), Some(REQUEST.len()));
        assert_eq!(message_length(RESPONSE), Some(RESPONSE.len()));
    }

    #[test]
    fn a_message_is_complete_at_its_last_byte_only() {
        for cut in 0..RESPONSE.len() {
            assert_eq!(message_length(&RESPONSE[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_request_for_a_proxy_names_its_upstream() {
        let request = absolute_request("127.0.0.1:80".parse().unwrap());
        assert!(
            request.starts_with(
                b"GET http://127.0.0.1:80/index.html HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"
            )
        );
        assert_eq!(message_length(&request), Some(request.len()));
    }

    #[test]
    fn the_status_and_the_end_of_the_connection_are_in_the_head() {
        let parse = |text: &str| {
            Response::parse(text.as_bytes()).map(|found| (found.status, found.is_last))
        };
        assert_eq!(
            Response::parse(RESPONSE).map(|found| found.length),
            Some(RESPONSE.len())
        );
        assert_eq!(parse("HTTP/1.1 200 OK\r\n\r\n"), Some((200, false)));
        assert_eq!(
            parse("HTTP/1.1 407 x\r\nconnection: Close\r\n\r\n"),
            Some((407, true))
        );
        assert_eq!(
            parse("HTTP/1.0 200 OK\r\n\r\nConnection: keep-alive"),
            Some((200, true))
        );
        assert_eq!(
            parse("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"),
            Some((200, false))
        );
        assert_eq!(parse("no status\r\n\r\n"), Some((0, false)));
        assert_eq!(parse("HTTP/1.1 200 OK\r\n"), None);
    }

    #[test]
    fn heads_are_counted_at_every_cut() {
        let two = [REQUEST, REQUEST].concat();
        for cut in 0..two.len() {
            let mut counter = HeadCounter::default();
            assert_eq!(
                counter.take(&two[..cut]) + counter.take(&two[cut..]),
                2,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_false_start_is_no_head_end() {
        let mut counter = HeadCounter::default();
        assert_eq!(counter.take(b"a\r\n\r\r\nb\r\n"), 0);
        assert_eq!(counter.take(b"\r\n"), 1);
    }
}
