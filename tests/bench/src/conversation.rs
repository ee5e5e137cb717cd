//! What a client says to a proxy, and what it waits for, step by step; without I/O.
//!
//! ```text
//!   Conversation   step 1                    step 2                        ..  done
//!                  send, then await  ──────▶ send, then await  ──────▶         (relay)
//!                  05 01 00   05 00          05 01 00 01 ip port   05 00 ..
//! ```

use std::io;

use crate::http::{Response, head, status};

/// The status of success: RFC 9110 section 15.3.1.
pub(crate) const OK: u16 = 200;

/// The bytes that a client sends, and the answer without which it does not go on.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) send: Vec<u8>,
    pub(crate) answer: Answer,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No answer: the client goes on at once.
    Nothing,
    /// One byte of any value.
    Byte,
    /// The method that a SOCKS5 server has chosen: RFC 1928 section 3.
    SocksMethod,
    /// The reply of a SOCKS5 server: RFC 1928 section 6.
    SocksReply,
    /// The head of a successful response to CONNECT: RFC 9110 section 9.3.6.
    HttpHead,
    /// A whole successful response.
    HttpMessage,
    /// The response headers of this many hops of a chain.
    Hops(usize),
    /// The same, and one byte of the upstream behind them.
    HopsAndByte(usize),
}

impl Answer {
    /// Returns the length of the answer at the start of `bytes`, if it is complete.
    ///
    /// # Errors
    ///
    /// Fails if the proxy has refused, or if these bytes are no answer.
    pub(crate) fn length(self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Nothing => Ok(Some(0)),
            Self::Byte => Ok((!bytes.is_empty()).then_some(1)),
            Self::SocksMethod => socks_method(bytes),
            Self::SocksReply => socks_reply(bytes),
            Self::HttpHead => http_head(bytes),
            Self::HttpMessage => http_message(bytes),
            Self::Hops(count) => hops(bytes, count),
            Self::HopsAndByte(count) => hops_and_byte(bytes, count),
        }
    }
}

fn socks_method(bytes: &[u8]) -> io::Result<Option<usize>> {
    match bytes {
        [] | [5] => Ok(None),
        [5, 0, ..] => Ok(Some(2)),
        [..] => Err(refusal("SOCKS5 wants another method", bytes)),
    }
}

fn socks_reply(bytes: &[u8]) -> io::Result<Option<usize>> {
    const FIXED_PART: usize = 4;
    const PORT: usize = 2;
    let address = match bytes {
        [5, 0, 0, 1, ..] => 4,
        [5, 0, 0, 4, ..] => 16,
        [5, 0, 0, 3, length, ..] => 1 + usize::from(*length),
        [] | [5] | [5, 0] | [5, 0, 0] | [5, 0, 0, 3] => return Ok(None),
        [..] => return Err(refusal("SOCKS5 refuses", bytes)),
    };
    let length = FIXED_PART + address + PORT;
    Ok((bytes.len() >= length).then_some(length))
}

fn http_head(bytes: &[u8]) -> io::Result<Option<usize>> {
    const EMPTY_LINE: usize = 4;
    match head(bytes) {
        None => Ok(None),
        Some(head) if status(head) == OK => Ok(Some(head.len() + EMPTY_LINE)),
        Some(_) => Err(refusal("HTTP refuses", bytes)),
    }
}

fn http_message(bytes: &[u8]) -> io::Result<Option<usize>> {
    match Response::parse(bytes) {
        None => Ok(None),
        Some(response) if response.status == OK => Ok(Some(response.length)),
        Some(_) => Err(refusal("HTTP refuses", bytes)),
    }
}

/// Reads `01 │ status │ n │ n bytes of text`, once for each hop; status 0 is success.
fn hops(bytes: &[u8], count: usize) -> io::Result<Option<usize>> {
    let mut length = 0;
    for _ in 0..count {
        match &bytes[length.min(bytes.len())..] {
            [1, 0, text, ..] => length += 3 + usize::from(*text),
            [] | [1] | [1, 0] => return Ok(None),
            [..] => return Err(refusal("a hop refuses", bytes)),
        }
    }
    Ok((bytes.len() >= length).then_some(length))
}

fn hops_and_byte(bytes: &[u8], count: usize) -> io::Result<Option<usize>> {
    let headers = hops(bytes, count)?;
    Ok(headers
        .filter(|&length| bytes.len() > length)
        .map(|length| length + 1))
}

/// Writes the first bytes of an answer down, because a table with a gap needs a reason below it.
fn refusal(sentence: &str, bytes: &[u8]) -> io::Error {
    const SHOWN: usize = 40;
    let text = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    io::Error::other(format!("{sentence}: {text}"))
}

/// How far one client is in its steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversation {
    step: usize,
    received: Vec<u8>,
}

impl Conversation {
    /// Returns the bytes to send now; none when the conversation is over.
    pub(crate) fn to_send<'a>(&self, steps: &'a [Step]) -> Option<&'a [u8]> {
        Some(&steps.get(self.step)?.send)
    }

    /// Takes the next bytes; returns whether they complete the answer of this step.
    ///
    /// # Errors
    ///
    /// Fails if the proxy refuses, or says more than the answer: it may not speak before the next step.
    pub(crate) fn take(&mut self, steps: &[Step], bytes: &[u8]) -> io::Result<bool> {
        self.received.extend_from_slice(bytes);
        let Some(step) = steps.get(self.step) else {
            return Err(refusal("bytes behind the last answer", bytes));
        };
        match step.answer.length(&self.received)? {
            None => Ok(false),
            Some(length) if length < self.received.len() => {
                Err(refusal("bytes behind an answer", &self.received[length..]))
            }
            Some(_) => {
                self.step += 1;
                self.received.clear();
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: [(Answer, &[u8]); 9] = [
        (Answer::Byte, b"!"),
        (Answer::SocksMethod, b"\x05\x00"),
        (Answer::SocksReply, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"),
        (Answer::SocksReply, b"\x05\x00\x00\x03\x02ab\x00\x50"),
        (
            Answer::SocksReply,
            b"\x05\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50",
        ),
        (Answer::HttpHead, b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n"),
        (
            Answer::HttpMessage,
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        ),
        (Answer::Hops(3), b"\x01\x00\x00\x01\x00\x02ok\x01\x00\x00"),
        (Answer::HopsAndByte(2), b"\x01\x00\x00\x01\x00\x02ok!"),
    ];

    #[test]
    fn an_answer_is_complete_at_its_last_byte_only() {
        for (answer, bytes) in ANSWERS {
            for cut in 0..bytes.len() {
                let length = answer.length(&bytes[..cut]).unwrap();
                assert_eq!(length, None, "{answer:?} cut at {cut}");
            }
            let more = [bytes, b"more"].concat();
            assert_eq!(
                answer.length(&more).unwrap(),
                Some(bytes.len()),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn a_refusal_is_an_error_with_its_bytes() {
        let refusals: [(Answer, &[u8]); 6] = [
            (Answer::SocksMethod, b"\x05\xff"),
            (Answer::SocksReply, b"\x05\x02\x00\x01"),
            (Answer::HttpHead, b"HTTP/1.1 403 Forbidden\r\n\r\n"),
            (Answer::HttpMessage, b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
            (Answer::Hops(1), b"\x01\x05\x00"),
            (Answer::Hops(2), b"\x01\x00\x00\x01\x05\x00"),
        ];
        for (answer, bytes) in refusals {
            let error = answer.length(bytes).unwrap_err().to_string();
            assert!(
                error.contains("refuse") || error.contains("another"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_conversation_waits_for_each_answer_at_every_cut() {
        let steps = [step(b"a", Answer::SocksMethod), step(b"b", Answer::Byte)];
        let mut talk = Conversation::default();
        assert_eq!(talk.to_send(&steps), Some(&b"a"[..]));
        assert!(!talk.take(&steps, b"\x05").unwrap());
        assert!(talk.take(&steps, b"\x00").unwrap());
        assert_eq!(talk.to_send(&steps), Some(&b"b"[..]));
        assert!(talk.take(&steps, b"!").unwrap());
        assert_eq!(talk.to_send(&steps), None);
    }

    #[test]
    fn no_answer_is_complete_at_once_and_any_other_is_not() {
        let mut talk = Conversation::default();
        let steps = [step(b"a", Answer::Nothing), step(b"b", Answer::Byte)];
        assert!(talk.take(&steps, b"").unwrap());
        assert_eq!(talk.to_send(&steps), Some(&b"b"[..]));
        assert!(!talk.take(&steps, b"").unwrap());
    }

    #[test]
    fn a_proxy_may_not_speak_before_its_turn() {
        let steps = [step(b"a", Answer::Byte)];
        assert!(Conversation::default().take(&steps, b"!!").is_err());
        assert!(Conversation::default().take(&[], b"!").is_err());
    }

    fn step(send: &[u8], answer: Answer) -> Step {
        let send = send.to_vec();
        Step { send, answer }
    }
}
