//! Output to the terminal, where a closed reader (`| head`) is no error.

use std::io::{self, ErrorKind, Write as _};

/// Writes a text to standard output.
///
/// # Errors
///
/// Fails on every write error except a broken pipe.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a line to standard error and ignores errors.
pub(crate) fn tell(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}
