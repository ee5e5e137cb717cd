//! What a symptom often means, for somebody who sees it for the first time.

use crate::end::End;

/// What a test has seen, where it tells something about the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// The stream ended, cleanly, before everything had come.
    EarlyEnd,
    /// The connection was reset.
    Reset,
    /// Nobody is there: the connection was refused, or it was gone when bytes were sent.
    Gone,
    /// Nothing came, and nothing ended.
    Silence,
    /// A program that has nothing to do uses the CPU.
    Spin,
    /// A program keeps descriptors that it does not need any more.
    Leak,
    /// A program ended before it listened.
    EarlyDeath,
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
    /// Says what it often means.
    #[must_use]
    pub fn often_means(self) -> &'static str {
        match self {
            Self::EarlyEnd => {
                "the program has closed the connection although it still owed bytes. A read of 0 says only that the other \
                 side sends no more; it may still be reading. What is in a buffer at that moment must be written first."
            }
            Self::Reset => {
                "a socket was dropped while bytes that nobody had read were waiting in it, or the program has ended. Read its \
                 last lines on stderr first: a panic stands there. If there is none, look for a way out of its loop, or for a \
                 socket that goes out of scope."
            }
            Self::Gone => {
                "the program has ended, or it has closed what it should have kept: its listening socket, or this connection. \
                 The end of a client, or an error of it, ends that client only; a server then goes on with the others."
            }
            Self::Silence => {
                "everybody waits for somebody else. The bytes may still be in a buffer of the program; or it waits in a read \
                 for bytes that do not come, or for an event that it has not asked for. `strace -f -p PID` shows the call."
            }
            Self::Spin => {
                "the loop does not wait. Something is reported again and again and never dealt with: EPOLLOUT that is asked \
                 for while nothing waits to be written, a read of 0 that ends nothing, EAGAIN that is tried again at once."
            }
            Self::Leak => {
                "a socket outlives its connection. Whoever has read 0 or an error must drop it, in every branch; a socket in \
                 a table, in a queue or in a clone is still open."
            }
            Self::EarlyDeath => {
                "it has panicked, or it ended with an error before it could announce itself. The reason stands on its stderr, below."
            }
        }
    }
}

/// The length of a line that people like to read.
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
