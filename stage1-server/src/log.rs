//! Writes the log to standard error without ever blocking the program.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Lines that were dropped since the last one that was written.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes log lines to standard error, and drops them while the reader has stopped.
///
/// If standard error is a pipe whose reader has stopped, `write(2)` blocks, and a server that logs
/// would block with all its clients. Asking `poll(2)` first avoids this: a pipe that has
/// room has it for at least 4096 bytes (`pipe(7)`), and a log line is shorter. To make standard
/// error non-blocking instead would change it for the programs that share it, too.
#[derive(Debug, Default)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Locked from the check to the write, so that no other thread takes the room.
        write_or_drop(&mut io::stderr().lock(), line, &LOST)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line, preceded by the number of lost ones; without room for it, counts it as lost.
fn write_or_drop(
    out: &mut (impl Write + AsFd),
    line: &[u8],
    lost: &AtomicU64,
) -> io::Result<usize> {
    if !has_room(out) {
        lost.fetch_add(1, Ordering::Relaxed);
        return Ok(line.len());
    }
    let lost = lost.swap(0, Ordering::Relaxed);
    if lost > 0 {
        writeln!(
            out,
            "({lost} log lines were lost: standard error was not read)"
        )?;
    }
    out.write_all(line)?;
    Ok(line.len())
}

/// Returns whether a write of one line returns at once; if `poll(2)` fails, the write is tried.
fn has_room(fd: &impl AsFd) -> bool {
    let mut asked = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    poll(&mut asked, PollTimeout::ZERO) != Ok(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_full_pipe_has_no_room_until_it_is_read() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        assert!(has_room(&writer));
        while has_room(&writer) {
            writer.write_all(&[b'x'; 4096]).unwrap();
        }
        io::Read::read_exact(&mut reader, &mut [0; 4096]).unwrap();
        assert!(has_room(&writer));
    }

    #[test]
    fn a_reader_that_is_gone_does_not_count_as_full() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(has_room(&ours));
    }

    #[test]
    fn lines_that_nobody_reads_are_counted_and_told_later() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let lost = AtomicU64::new(0);
        let mut full = 0;
        while has_room(&writer) {
            full += writer.write(&[b'x'; 4096]).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(write_or_drop(&mut writer, b"gone\n", &lost).unwrap(), 5);
        }
        io::Read::read_exact(&mut reader, &mut vec![0; full]).unwrap();
        for line in [b"one\n", b"two\n"] {
            assert_eq!(write_or_drop(&mut writer, line, &lost).unwrap(), 4);
        }
        drop(writer);
        let mut seen = String::new();
        io::Read::read_to_string(&mut reader, &mut seen).unwrap();
        let told = "(2 log lines were lost: standard error was not read)\none\ntwo\n";
        assert_eq!(seen, told);
    }

    #[test]
    fn a_log_line_is_taken_whole() {
        let line = b"a line of the test\n";
        assert_eq!(LogWriter.write(line).unwrap(), line.len());
    }
}
