//! Writing to people: a reader that has gone away (`| head`) is no error.

use std::io::{self, ErrorKind, Write as _};

/// Writes a text to standard output.
///
/// # Errors
/// When it cannot be written for another reason than that nobody reads it any more.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a line to standard error; nothing depends on whether somebody reads it.
pub(crate) fn tell(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}
