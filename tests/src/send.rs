//! Sending: all at once, in pieces, until the buffers are full, or in the background.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::cause::Symptom;
use crate::deadline::{Deadline, Flow, holds_by};
use crate::diff;
use crate::failure::Failure;
use crate::peer::{Peer, is_retry};
use crate::sockets;
use crate::transcript::Transcript;

/// The most bytes of one write.
const PIECE: usize = 256 * 1024;

impl Peer {
    /// Sends all of `bytes`.
    ///
    /// # Panics
    ///
    /// Panics if the other side does not read them in time, or the connection breaks.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) {
        self.step(&format!("sends {}", diff::preview(bytes)));
        self.send_quietly(bytes);
    }

    /// Sends `bytes` in pieces of `size`, and waits after each until the other program has read it.
    ///
    /// # Panics
    ///
    /// Panics if the other side does not read in time, or the connection breaks.
    #[track_caller]
    pub fn send_chunked(&self, bytes: &[u8], size: usize) {
        self.step(&format!(
            "sends {} in pieces of {}",
            diff::preview(bytes),
            diff::count(size)
        ));
        for piece in bytes.chunks(size.max(1)) {
            self.send_quietly(piece);
            self.wait_until_read();
        }
    }

    /// Sends `bytes` and gives back the error instead of failing.
    ///
    /// # Errors
    ///
    /// Fails like `write(2)`; `TimedOut` when the deadline passes.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<()> {
        let (sent, result) = self.write_within(bytes, self.patience);
        let outcome = if let Err(error) = &result {
            format!("{error}")
        } else {
            "all sent".into()
        };
        self.step(&format!(
            "tries to send {}: {sent} sent, {outcome}",
            diff::preview(bytes)
        ));
        result
    }

    /// Sends `bytes` over and over until no byte could be sent for `quiet`; returns how many were sent.
    ///
    /// # Panics
    ///
    /// Panics if `most` bytes were sent and the stream never filled up, or the connection breaks.
    #[track_caller]
    pub fn send_until_blocked(&self, bytes: &[u8], quiet: Duration, most: usize) -> usize {
        let mut total = 0;
        while total < most {
            let rest = &bytes[total % bytes.len()..];
            let (sent, result) = self.write_within(rest, quiet);
            total += sent;
            match result {
                Err(error) if error.kind() == ErrorKind::TimedOut && sent == 0 => break,
                Err(error) if error.kind() != ErrorKind::TimedOut => {
                    self.fail(&format!("cannot send: {error}")).raise()
                }
                Ok(()) | Err(_) => {}
            }
        }
        if total >= most {
            let sent = diff::count(total);
            self.fail(&format!(
                "never had to wait for the reader, even after {sent}"
            ))
            .raise();
        }
        self.step(&format!(
            "sent {} until every buffer was full",
            diff::count(total)
        ));
        total
    }

    /// Sends `bytes` on a thread of its own, so that the test can read meanwhile.
    #[must_use = "the sending is joined when this is dropped"]
    pub fn send_in_background(&self, bytes: Vec<u8>) -> Sending {
        self.step(&format!(
            "sends {} in the background",
            diff::preview(&bytes)
        ));
        let (stream, patience) = (Arc::clone(&self.stream), self.patience);
        let thread = thread::spawn(move || write_all(&stream, &bytes, patience));
        let (stream, name, transcript) = (
            Arc::clone(&self.stream),
            self.name.clone(),
            self.transcript.clone(),
        );
        Sending {
            thread: Some(thread),
            stream,
            name,
            transcript,
        }
    }

    /// Waits until the program on the other side has read every byte that was sent.
    ///
    /// It asks the kernel ([`sockets`]), so the other side must be on this machine, and may be a program in any
    /// language. A connection that is gone counts as read.
    ///
    /// # Panics
    ///
    /// Panics if it does not read in time.
    #[track_caller]
    pub fn wait_until_read(&self) {
        let deadline = Deadline::after(self.patience);
        if !holds_by(deadline, &mut || self.unread_by_peer() == 0) {
            let left = diff::count(usize::try_from(self.unread_by_peer()).unwrap_or(usize::MAX));
            self.fail(&format!(
                "waited {:?}, but the program does not read: {left} are still unread",
                deadline.allowed()
            ))
            .raise();
        }
    }

    /// Returns how many bytes are in flight to the other side or in its receive buffer, unread.
    #[must_use]
    pub fn unread_by_peer(&self) -> u64 {
        // In this order, because a byte that leaves the first queue in between is then counted in the second.
        let mine = sockets::find(self.local, self.remote).map_or(0, |row| row.unsent);
        let theirs = sockets::find(self.remote, self.local).map_or(0, |row| row.unread);
        mine + theirs
    }

    #[track_caller]
    fn send_quietly(&self, bytes: &[u8]) {
        let (sent, result) = self.write_within(bytes, self.patience);
        if let Err(error) = result {
            let (sent, all) = (diff::count(sent), diff::count(bytes.len()));
            let symptom = if error.kind() == ErrorKind::TimedOut {
                Symptom::Silence
            } else {
                Symptom::Gone
            };
            self.fail(&format!("could send only {sent} of {all}: {error}"))
                .symptom(symptom)
                .raise();
        }
    }

    fn write_within(&self, bytes: &[u8], patience: Duration) -> (usize, io::Result<()>) {
        write_all(&self.stream, bytes, patience)
    }
}

/// Bytes that a thread sends in the background: see [`Peer::send_in_background`].
#[derive(Debug)]
pub struct Sending {
    thread: Option<JoinHandle<(usize, io::Result<()>)>>,
    stream: Arc<TcpStream>,
    name: String,
    transcript: Transcript,
}

impl Sending {
    /// Returns whether everything has been sent (or the sending has failed).
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until everything is sent.
    ///
    /// # Panics
    ///
    /// Panics if the other side did not read everything in time.
    #[track_caller]
    pub fn join(mut self) {
        if let Err(problem) = self.result() {
            let headline = format!(
                "{} could not send everything in the background: {problem}.",
                self.name
            );
            Failure::new(headline)
                .in_transcript(&self.transcript)
                .raise();
        }
    }

    fn result(&mut self) -> Result<(), String> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        match thread.join() {
            Ok((_, Ok(()))) => Ok(()),
            Ok((sent, Err(error))) => Err(format!("{error} after {}", diff::count(sent))),
            Err(_) => Err("the sending thread panicked".into()),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.is_done() {
            // The test no longer wants the result, so a blocked write may fail.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        let _ = self.result();
    }
}

/// Writes all of `bytes`; returns how many were written, even if it fails.
fn write_all(mut stream: &TcpStream, bytes: &[u8], patience: Duration) -> (usize, io::Result<()>) {
    let (mut sent, mut flow) = (0, Flow::new(patience));
    while sent < bytes.len() {
        let Some(left) = flow.after(sent).remaining() else {
            return (sent, Err(ErrorKind::TimedOut.into()));
        };
        // A blocking write returns only after its last byte, so a large one goes in pieces, each with a fresh time limit.
        let piece = &bytes[sent..bytes.len().min(sent + PIECE)];
        let result = stream
            .set_write_timeout(Some(left))
            .and_then(|()| stream.write(piece));
        match result {
            Ok(length) => sent += length,
            Err(error) if is_retry(&error) => {}
            Err(error) => return (sent, Err(error)),
        }
    }
    (sent, Ok(()))
}
