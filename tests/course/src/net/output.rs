//! The output of the commands of both sides, line by line, each with the name of its side.

use std::io::{self, BufRead as _, BufReader, PipeReader, Write as _};
use std::process::Command;
use std::thread::{self, JoinHandle};

use crate::net::side::Side;

/// Sends the output of a command through us; the thread ends with the command and its children.
///
/// # Errors
///
/// Fails if there is no pipe.
pub(super) fn prefix(command: &mut Command, side: Side) -> io::Result<JoinHandle<()>> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    Ok(thread::spawn(move || copy(reader, side)))
}

fn copy(reader: PipeReader, side: Side) {
    let label = format!("{side}:");
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let mut text = format!("{label:<7}").into_bytes();
        text.extend(line);
        text.push(b'\n');
        // Our reader has ended, as in `| head -1`: then the rest is for nobody, but the command must not block.
        let _ = io::stdout().lock().write_all(&text);
    }
}
