//! The target of a request: the path that the upstream gets, and the host (RFC 9112 section 3.2).

use std::borrow::Cow;

use crate::queue::framing::Refusal;
use crate::queue::http1::details::Version;
use crate::queue::http1::head::Fields;

/// The path for the request line, and the host if the request names one.
pub(super) type Target<'head> = (Cow<'head, [u8]>, Option<&'head [u8]>);

/// Takes the target of a request line apart; `host` is taken from it, or from the field.
///
/// # Errors
///
/// Fails if the target, or the `Host`, is missing or not valid.
pub(super) fn split<'head>(
    method: &str,
    target: &'head [u8],
    version: Version,
    fields: &Fields<'head>,
) -> Result<Target<'head>, Refusal> {
    match fields.host {
        None if version == Version::Http11 => {
            return Err(Refusal::BadRequest("the Host is missing"));
        }
        Some(host) if !is_host(host) => return Err(Refusal::BadRequest("the Host is not valid")),
        Some(_) | None => {}
    }
    if target.starts_with(b"/") || (target == b"*" && method == "OPTIONS") {
        let host = fields.host.filter(|host| !host.is_empty());
        return Ok((Cow::Borrowed(target), host));
    }
    split_absolute(method, target)
}

/// Splits a target in absolute form into the path and the authority, which replaces the `Host` (RFC
/// 9112 section 3.2.2).
fn split_absolute<'head>(method: &str, target: &'head [u8]) -> Result<Target<'head>, Refusal> {
    let Some(rest) = without_scheme(target) else {
        return Err(Refusal::BadRequest("the target is not valid"));
    };
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    // `is_host` accepts no user name, because `http://shop@attacker/` is meant to be misread (RFC
    // 9110 section 4.2.4).
    if authority.is_empty() || !is_host(authority) {
        return Err(Refusal::BadRequest("the target's host is not valid"));
    }
    let path = match path.first() {
        // RFC 9112 section 3.2.4.
        None if method == "OPTIONS" => Cow::Borrowed(&b"*"[..]),
        None => Cow::Borrowed(&b"/"[..]),
        Some(b'/') => Cow::Borrowed(path),
        // RFC 9112 section 3.2.1: an empty path is sent as `/`.
        Some(b'?') => Cow::Owned([b"/", path].concat()),
        Some(_) => return Err(Refusal::BadRequest("the target has a fragment")),
    };
    Ok((path, Some(authority)))
}

/// Returns the target behind `http://` or `https://`. A proxy before us that ends TLS may pass on
/// the latter; our upstream is reached in cleartext in both cases.
fn without_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find_map(|scheme| {
            let (given, rest) = target.split_at_checked(scheme.len())?;
            // RFC 3986 section 3.1: upper and lower case mean the same.
            given.eq_ignore_ascii_case(scheme).then_some(rest)
        })
}

/// Returns whether this can be a host and a port (RFC 3986 section 3.2): no white space, no list, no
/// user name, no path.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host[colon..].contains(&b']') => host.split_at(colon),
        Some(_) | None => (host, &b""[..]),
    };
    let port_is_good = port.iter().skip(1).all(u8::is_ascii_digit);
    let name_is_good = match name {
        [b'[', address @ .., b']'] => address
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b":.".contains(byte)),
        name => name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte)),
    };
    port_is_good && name_is_good && (!name.is_empty() || port.is_empty())
}
