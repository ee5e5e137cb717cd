//! The ways in which a stream of bytes ends.

use crate::diff;

/// How a stream of bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side sent FIN: a clean end.
    Eof,
    /// The other side sent RST, or the connection broke in another way.
    Reset,
    /// The deadline passed without another byte.
    TimedOut,
}

impl End {
    /// Describes the end in a failure, after the `bytes` that were received before it.
    pub(crate) fn after(self, bytes: usize) -> String {
        let got = if bytes == 0 {
            "got nothing".into()
        } else {
            format!("got {}", diff::count(bytes))
        };
        match self {
            Self::Eof => format!("{got}, then the clean end of the stream (FIN)"),
            Self::Reset => format!("{got}, then a reset (RST)"),
            Self::TimedOut => format!("{got}, then nothing more in time"),
        }
    }
}
