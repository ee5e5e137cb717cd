//! The fields of a head: what they say about framing and connections.

use std::mem::MaybeUninit;

use httparse::Header;

use crate::queue::http1::details::Version;

/// The most fields of a head; the sentences of `TOO_MANY_FIELDS` and of `Refusal::TooManyFields` name
/// it.
pub(super) const MAX_FIELDS: usize = 128;

/// Why a head with more fields is refused.
pub(super) const TOO_MANY_FIELDS: &str = "the head has more than 128 fields";

/// Room for the fields of one head.
pub(super) type Room<'a> = [MaybeUninit<Header<'a>>; MAX_FIELDS];

/// The fields of a head that decide about framing and connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    /// The number of bytes in the body.
    pub(super) content_length: Option<u64>,
    /// The body comes in chunks.
    pub(super) chunked: bool,
    /// The value of `Host`.
    pub(super) host: Option<&'a [u8]>,
    /// `Connection: close`
    pub(super) close: bool,
    /// `Connection: keep-alive`
    pub(super) keep_alive: bool,
    /// `Connection` names other fields, which therefore concern this connection only.
    pub(super) nominates: bool,
    /// `Upgrade` names WebSocket, and `Connection` names `Upgrade` (RFC 6455 section 4.1).
    pub(super) asks_for_websocket: bool,
    /// The value of `Expect`.
    pub(super) expect: Option<&'a [u8]>,
}

/// Why the fields of a head cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// They break a rule, or two parsers could understand them differently.
    Bad(&'static str),
    /// The body has a transfer coding other than `chunked`.
    UnknownCoding,
    /// The length does not fit into 64 bits.
    TooLarge,
}

/// The fields that a proxy treats in a special way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Connection,
    ContentLength,
    Expect,
    Host,
    /// A field that concerns one connection only (RFC 9110 section 7.6.1) and is never passed on.
    HopByHop,
    MaxForwards,
    Trailer,
    TransferEncoding,
    Upgrade,
    Other,
}

impl Name {
    /// Recognises the name of a field, in upper or lower case.
    pub(super) fn of(name: &str) -> Self {
        let known: &[(&str, Self)] = match name.len() {
            2 => &[("te", Self::HopByHop)],
            4 => &[("host", Self::Host)],
            6 => &[("expect", Self::Expect)],
            7 => &[("upgrade", Self::Upgrade), ("trailer", Self::Trailer)],
            10 => &[
                ("connection", Self::Connection),
                ("keep-alive", Self::HopByHop),
            ],
            12 => &[("max-forwards", Self::MaxForwards)],
            14 => &[
                ("content-length", Self::ContentLength),
                ("http2-settings", Self::HopByHop),
            ],
            16 => &[("proxy-connection", Self::HopByHop)],
            17 => &[("transfer-encoding", Self::TransferEncoding)],
            _ => &[],
        };
        known
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map_or(Self::Other, |&(_, name)| name)
    }
}

impl<'a> Fields<'a> {
    /// Reads the fields of a head.
    ///
    /// # Errors
    ///
    /// Fails if two fields contradict each other, or if a field is repeated that must occur once.
    pub(super) fn collect(headers: &[Header<'a>]) -> Result<Self, Flaw> {
        let mut fields = Self::default();
        for header in headers {
            match Name::of(header.name) {
                Name::Connection => fields.connection(header.value),
                Name::ContentLength => fields.content_length(header.value)?,
                Name::Expect => fields.expect = Some(header.value),
                Name::Host if fields.host.replace(header.value).is_some() => {
                    return Err(Flaw::Bad("more than one Host"));
                }
                Name::TransferEncoding => fields.transfer_encoding(header.value)?,
                Name::Upgrade => fields.asks_for_websocket |= names_websocket(header.value),
                Name::Host | Name::HopByHop | Name::MaxForwards | Name::Trailer | Name::Other => {}
            }
        }
        // An `Upgrade` that `Connection` does not name was meant for a hop before this one.
        fields.asks_for_websocket = fields.asks_for_websocket && is_nominated("upgrade", headers);
        // RFC 9112 section 6.3 warns of request smuggling here.
        if fields.chunked && fields.content_length.is_some() {
            return Err(Flaw::Bad("both Content-Length and Transfer-Encoding"));
        }
        Ok(fields)
    }

    /// Returns whether the sender of these fields keeps its connection (RFC 9112 section 9.3).
    pub(super) fn persist(&self, version: Version) -> bool {
        match version {
            _ if self.close => false,
            Version::Http10 => self.keep_alive,
            Version::Http11 => true,
        }
    }

    /// Reads the options of a `Connection` field, in any order and in upper or lower case.
    fn connection(&mut self, value: &[u8]) {
        for option in options(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else {
                self.nominates = true;
            }
        }
    }

    /// Accepts one number, in digits only.
    ///
    /// RFC 9112 section 6.3 lets a recipient accept the same value twice. We refuse it, because an
    /// honest client does not repeat it.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Flaw> {
        if self.content_length.is_some() {
            return Err(Flaw::Bad("more than one Content-Length"));
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Flaw::Bad("the Content-Length is not a number"));
        }
        let digits = str::from_utf8(value).unwrap_or_default();
        self.content_length = Some(digits.parse().map_err(|_| Flaw::TooLarge)?);
        Ok(())
    }

    /// Accepts `chunked`, once and alone.
    ///
    /// If chunks are not the last coding, the body has no end that a recipient can find (RFC 9112
    /// section 6.3); a coding before them is one that we cannot decode.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Flaw> {
        if self.chunked {
            return Err(Flaw::Bad("more than one Transfer-Encoding"));
        }
        let last = value.rsplit(|&byte| byte == b',').next().unwrap_or(value);
        if !last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Flaw::Bad("the last transfer coding is not chunked"));
        }
        if last.len() < value.len() {
            return Err(Flaw::UnknownCoding);
        }
        self.chunked = true;
        Ok(())
    }
}

/// Appends a field to `out`, unless a `Connection` field in `nominating` names it.
pub(super) fn pass_on(header: &Header<'_>, nominating: Option<&[Header<'_>]>, out: &mut Vec<u8>) {
    if nominating.is_some_and(|headers| is_nominated(header.name, headers)) {
        return;
    }
    out.extend_from_slice(header.name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(header.value);
    out.extend_from_slice(b"\r\n");
}

/// Returns whether a `Connection` field names this one (RFC 9110 section 7.6.1).
fn is_nominated(name: &str, headers: &[Header<'_>]) -> bool {
    headers
        .iter()
        .filter(|header| Name::of(header.name) == Name::Connection)
        .flat_map(|header| options(header.value))
        .any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
}

/// Returns whether an `Upgrade` field names WebSocket, with or without a version.
fn names_websocket(value: &[u8]) -> bool {
    options(value).any(|protocol| {
        let name = protocol.split(|&byte| byte == b'/').next();
        name.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    })
}

/// Splits a field that is a list (RFC 9110 section 5.6.1); empty elements are ignored.
fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|option| !option.is_empty())
}

#[cfg(test)]
mod tests;
