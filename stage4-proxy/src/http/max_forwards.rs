//! `Max-Forwards`: how many proxies a TRACE or OPTIONS may still pass (RFC 9110 section 7.6.2).

use httparse::Header;

use crate::http::fields::is;

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is an OPTIONS that asks the last of its proxies, which are we.
    LastHop,
    /// It is a TRACE that ends here. To reflect it would show its cookies and passwords to scripts that may not
    /// read them (cross-site tracing); RFC 9110 section 9.3.8 only recommends it.
    NoTrace,
    /// The field is given twice.
    Twice,
    /// The field is no number.
    NoNumber,
}

/// The field.
pub const NAME: &str = "Max-Forwards";

/// Returns the `Max-Forwards` that the next recipient gets instead of the client's.
///
/// `None` if the request has none, or has a method that does not count its hops: then a field of
/// this name is passed on like any other.
///
/// # Errors
///
/// Fails if the request ends here, because the field is 0, and if it is not one plain number: it
/// could not be counted down, and would run in a circle of proxies forever.
pub fn left(method: &str, headers: &[Header<'_>]) -> Result<Option<u32>, End> {
    if !matches!(method, "TRACE" | "OPTIONS") {
        return Ok(None);
    }
    let mut fields = headers.iter().filter(|header| is(header, NAME));
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(End::Twice);
    }
    match number(field.value) {
        None => Err(End::NoNumber),
        Some(0) if method == "OPTIONS" => Err(End::LastHop),
        Some(0) => Err(End::NoTrace),
        Some(hops) => Ok(Some(hops - 1)),
    }
}

/// Reads a number of digits only; one that does not fit is as good as the largest that does.
fn number(value: &[u8]) -> Option<u32> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = str::from_utf8(value).ok()?;
    Some(digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_of(method: &str, values: &[&'static str]) -> Result<Option<u32>, End> {
        let header = |value: &&'static str| Header {
            name: "max-FORWARDS",
            value: value.as_bytes(),
        };
        let headers: Vec<_> = values.iter().map(header).collect();
        left(method, &headers)
    }

    #[test]
    fn every_hop_of_a_trace_or_options_counts() {
        for method in ["TRACE", "OPTIONS"] {
            assert_eq!(left_of(method, &[]), Ok(None));
            for (value, expected) in [
                ("1", 0),
                ("10", 9),
                ("007", 6),
                ("99999999999", u32::MAX - 1),
            ] {
                assert_eq!(left_of(method, &[value]), Ok(Some(expected)), "{value}");
            }
            for bad in ["", "-1", "+1", "1, 2", "0x1", "one", "1 1"] {
                assert_eq!(left_of(method, &[bad]), Err(End::NoNumber), "{bad:?}");
            }
            assert_eq!(left_of(method, &["1", "1"]), Err(End::Twice));
        }
        assert_eq!(left_of("OPTIONS", &["0"]), Err(End::LastHop));
        assert_eq!(left_of("TRACE", &["000"]), Err(End::NoTrace));
    }

    #[test]
    fn other_methods_have_no_hops() {
        for value in ["0", "1", "one"] {
            assert_eq!(left_of("GET", &[value]), Ok(None));
            assert_eq!(
                left_of("options", &[value]),
                Ok(None),
                "methods have a case"
            );
        }
    }
}
