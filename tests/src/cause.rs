//! What a symptom often means, for a student who sees it for the first time.

use crate::end::End;

/// An observation of a test that says something about its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// The stream ended, cleanly, before all expected bytes arrived.
    EarlyEnd,
    /// The connection was reset.
    Reset,
    /// The other side is gone: the connection was refused, or it was closed when bytes were sent.
    Gone,
    /// No bytes arrived, and the stream did not end.
    Silence,
    /// A program that has nothing to do uses the CPU.
    Spin,
    /// A program keeps descriptors that it no longer needs.
    Leak,
    /// A program ended before it listened.
    EarlyExit,
}

impl From<End> for Symptom {
    fn from(end: End) -> Self {
        match end {
            End::Eof => Self::EarlyEnd,
            End::Reset => Self::Reset,
            End::TimedOut => Self::Silence,
        }
    }
}

impl Symptom {
    /// Returns what it often means, in sentences for a student.
    #[must_use]
    pub fn often_means(self) -> &'static str {
        match self {
            Self::EarlyEnd => {
                "the program closed the connection although it still owed bytes. A read of 0 says only that the other side sends \
                 no more; it may still be reading. Write the bytes that are left in your buffer first, then close."
            }
            Self::Reset => {
                "the program closed a socket while unread bytes were in its receive buffer, or the program itself has ended. Read \
                 its last lines on stderr first: they show a panic. If there is none, look for a `return` or `break` that leaves \
                 its loop, or for a socket that goes out of scope."
            }
            Self::Gone => {
                "the program has ended, or it has closed a socket that it should have kept: its listening socket, or this \
                 connection. If a client ends or fails, only that client's connection ends; a server then goes on with the others."
            }
            Self::Silence => {
                "each side waits for the other. The bytes may still be in a buffer of the program; or it blocks in a read for \
                 bytes that never arrive, or it waits for an event that it is not registered for. `strace -f -p PID` shows the call."
            }
            Self::Spin => {
                "the loop never blocks. One event is reported again and again, because the program does nothing about it: it is \
                 registered for EPOLLOUT with nothing to write, it ignores a read of 0, or it tries again at once after EAGAIN."
            }
            Self::Leak => {
                "a socket outlives its connection. After a read of 0 or an error, drop the socket, in every branch; a socket in a \
                 table, in a queue or in a clone is still open."
            }
            Self::EarlyExit => {
                "the program panicked, or it ended with an error before it announced its address. The reason is on its stderr, below."
            }
        }
    }
}

/// The longest line that is comfortable to read.
const LINE: usize = 96;

/// Breaks a sentence into lines, each of which begins with two spaces.
pub(crate) fn wrapped(text: &str) -> String {
    let mut lines = String::from(" ");
    let mut length = 1;
    for word in text.split_whitespace() {
        if length + 1 + word.len() > LINE {
            lines.push_str("\n ");
            length = 1;
        }
        lines.push(' ');
        lines.push_str(word);
        length += 1 + word.len();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_broken() {
        let text = wrapped(&"seven77 ".repeat(30));
        assert!(text.lines().count() == 3 && text.lines().all(|line| line.starts_with("  s")));
        assert!(text.lines().all(|line| line.len() <= LINE), "{text}");
    }

    #[test]
    fn every_end_has_a_meaning() {
        for end in [End::Eof, End::Reset, End::TimedOut] {
            assert!(Symptom::from(end).often_means().ends_with('.'));
        }
    }
}
