//! Standard output, for the tables and nothing else.

use std::io::{self, Write as _};

/// Writes at once.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
