//! The message with a name and a password (RFC 1929 section 2).

/// The first byte of the message and of its reply, which is not that of SOCKS5.
const VERSION: u8 = 1;
/// The reply to a name and a password that are right.
pub(super) const SUCCESS: [u8; 2] = [VERSION, 0];
/// The reply to those that are not, after which the server must close.
pub(super) const FAILURE: [u8; 2] = [VERSION, 1];

/// What the first bytes of the message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credentials<'a> {
    /// A part of one.
    Incomplete,
    /// A whole one of `length` bytes.
    Complete {
        /// 0 to 255 bytes, in no special encoding.
        name: &'a [u8],
        /// 0 to 255 bytes.
        password: &'a [u8],
        length: usize,
    },
    /// Another message; the reason is for the log.
    Malformed(&'static str),
}

impl<'a> Credentials<'a> {
    /// Parses a message from the first bytes of `input`.
    ///
    /// ```text
    ///    01 │ n │ n bytes: the name │ m │ m bytes: the password
    /// ```
    /// Either may be empty here, although the RFC wants a byte at least: no user has an empty one.
    pub(super) fn parse(input: &'a [u8]) -> Self {
        match input {
            [version, ..] if *version != VERSION => {
                return Self::Malformed("the name and the password are not of RFC 1929");
            }
            [] => return Self::Incomplete,
            [_, ..] => {}
        }
        let Some((name, rest)) = counted(&input[1..]) else {
            return Self::Incomplete;
        };
        let Some((password, rest)) = counted(rest) else {
            return Self::Incomplete;
        };
        Self::Complete {
            name,
            password,
            length: input.len() - rest.len(),
        }
    }
}

/// Splits off the bytes behind their number, if they are all there.
fn counted(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (count, rest) = input.split_first()?;
    rest.split_at_checked(usize::from(*count))
}
