//! Stage 4's tokens in mio's clothes.
//!
//! The bits are the same; mio carries them as a `usize`, which has 64 bits on every machine that
//! this course is for.

use stage4_proxy::token::Token;

const _: () = assert!(usize::BITS == 64, "a token needs 64 bits");

/// Packs a token for mio.
pub(super) fn pack(token: Token) -> mio::Token {
    mio::Token(usize::from_le_bytes(token.pack().to_le_bytes()))
}

/// Unpacks what mio gives back.
pub(super) fn unpack(token: mio::Token) -> Option<Token> {
    Token::unpack(token.0 as u64)
}
