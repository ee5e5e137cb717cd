//! Conversion between stage 4's `Token` and `mio::Token`.
//!
//! The bits are the same; mio carries them as a `usize`, which has 64 bits on every machine that
//! this course supports.

use stage4_proxy::token::Token;

const _: () = assert!(usize::BITS == 64, "a token needs 64 bits");

/// Names the listener for the link; those for clients are counted from 0.
pub(crate) const LINK_LISTENER: Token = Token::listener(Token::MAX_ROWS - 1);

/// Converts a token to mio's.
pub(crate) fn pack(token: Token) -> mio::Token {
    mio::Token(usize::from_le_bytes(token.pack().to_le_bytes()))
}

/// Converts mio's token back; `None` if it names nothing that [`pack`] has made.
pub(crate) fn unpack(token: mio::Token) -> Option<Token> {
    Token::unpack(token.0 as u64)
}
