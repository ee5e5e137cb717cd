//! The two messages of the request rows, and where they end: RFC 9112 section 6.

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

const HEAD_END: &[u8; 4] = b"\r\n\r\n";

/// Returns the length of the message at the start of `bytes`, if it is complete.
///
/// It understands Content-Length and messages without a body; a server answers so short a request in no other form.
pub(crate) fn message_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes
        .windows(HEAD_END.len())
        .position(|part| part == HEAD_END)?;
    let length = head + HEAD_END.len() + content_length(&bytes[..head]);
    (bytes.len() >= length).then_some(length)
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let lines = head.split(|&byte| byte == b'\n');
    let mut found = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    });
    let value = found
        .next()
        .and_then(|value| std::str::from_utf8(value).ok());
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
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
