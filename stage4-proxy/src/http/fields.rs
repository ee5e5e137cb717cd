//! The fields of a head that say where a body ends, and those that concern one connection only.

use httparse::Header;

use crate::http::body::{Blanks, Body};

/// Fields for one connection only (RFC 9110 section 7.6.1), and those about the proxy's own password.
const FOR_ONE_CONNECTION: [&str; 9] = [
    "Connection",
    "HTTP2-Settings",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Upgrade",
];

/// Why the end of a body cannot be told from the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// They break a rule, or two parsers could understand them differently.
    Ambiguous(&'static str),
    /// The body has another transfer coding than chunks.
    UnknownCoding,
}

impl Flaw {
    /// Returns the flaw in a few words.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Ambiguous(reason) => reason,
            Self::UnknownCoding => "the transfer coding is not known",
        }
    }
}

/// Returns the body that the fields announce; `None` if none of them does (RFC 9112 section 6.3).
///
/// # Errors
///
/// Fails if the fields contradict each other, or if one is given twice, because the next parser may choose the
/// other one.
pub(crate) fn body(fields: &[Header<'_>], minor: u8, blanks: Blanks) -> Result<Option<Body>, Flaw> {
    let coding = only(
        fields,
        "Transfer-Encoding",
        "the Transfer-Encoding is given twice",
    )?;
    let length = only(
        fields,
        "Content-Length",
        "the length of the body is given twice",
    )?;
    match (coding, length) {
        (None, None) => Ok(None),
        (None, Some(length)) => Ok(Some(Body::Length(number(length)?))),
        (Some(_), Some(_)) => Err(Flaw::Ambiguous(
            "both Content-Length and Transfer-Encoding are given",
        )),
        (Some(_), None) if minor == 0 => Err(Flaw::Ambiguous("HTTP/1.0 has no Transfer-Encoding")),
        (Some(coding), None) => check_coding(coding).map(|()| Some(Body::chunked(blanks))),
    }
}

/// Returns the value of a field that may be there once.
fn only<'a>(
    fields: &[Header<'a>],
    name: &str,
    twice: &'static str,
) -> Result<Option<&'a [u8]>, Flaw> {
    let mut values = fields.iter().filter(|field| is(field, name));
    match (values.next(), values.next()) {
        (field, None) => Ok(field.map(|field| field.value)),
        (_, Some(_)) => Err(Flaw::Ambiguous(twice)),
    }
}

/// Reads digits and nothing else.
fn number(value: &[u8]) -> Result<u64, Flaw> {
    let digits = value.iter().all(u8::is_ascii_digit).then_some(value);
    let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or(Flaw::Ambiguous("the length of the body is not a number"))
}

/// Accepts chunks, once and alone: without them at the end the body has no end that can be found.
fn check_coding(value: &[u8]) -> Result<(), Flaw> {
    let mut codings = value.split(|&byte| byte == b',').rev();
    let last = codings.next().unwrap_or_default();
    if !last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return Err(Flaw::Ambiguous("the last transfer coding is not chunked"));
    }
    match codings.next() {
        None => Ok(()),
        Some(_) => Err(Flaw::UnknownCoding),
    }
}

/// Returns whether a field has this name.
pub(crate) fn is(field: &Header<'_>, name: &str) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

/// Returns whether a field goes no further than this connection: it is known to, or a `Connection` field names it.
///
/// `Connection` cannot name the fields that say where the body ends: without them the next recipient would see
/// another message in the body.
pub(crate) fn is_for_one_connection(field: &Header<'_>, all: &[Header<'_>]) -> bool {
    if is(field, "Content-Length") || is(field, "Transfer-Encoding") {
        return false;
    }
    let known = FOR_ONE_CONNECTION.iter().any(|name| is(field, name));
    known || has_connection_option(all, field.name)
}

/// Returns whether a `Connection` field has this option.
pub(crate) fn has_connection_option(fields: &[Header<'_>], option: &str) -> bool {
    let lists = fields.iter().filter(|field| is(field, "Connection"));
    let mut options = lists.flat_map(|field| field.value.split(|&byte| byte == b','));
    options.any(|it| it.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
}

/// Appends a field to a head.
pub(crate) fn write(field: &Header<'_>, out: &mut Vec<u8>) {
    for part in [field.name.as_bytes(), b": ", field.value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests;
