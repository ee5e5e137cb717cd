//! Conversations with the line service of every stage: each line comes back reversed, its newline in place.
//!
//! Stage 1 and stage 3 must pass the same conversations, so both use these. Each takes an address, connects one or more
//! clients, and fails with a transcript.

use std::net::SocketAddr;
use std::time::Duration;

use crate::connect::Connect;
use crate::deadline::{Deadline, holds_by};
use crate::diff;
use crate::failure::fail;
use crate::peer::Peer;
use crate::rng::Rng;

/// The longest line that the service promises to accept, without its newline.
pub const LONGEST_LINE: usize = 64 * 1024;
/// The length of a pause in the middle of a line.
const PAUSE: Duration = Duration::from_millis(300);
/// How long no byte may move before a stream counts as stalled.
const STALL: Duration = Duration::from_millis(100);
/// The buffers of a slow client: small, so that the service soon has to wait for it.
const SMALL: usize = 32 * 1024;

/// Computes the answer of the service to `input`, line by line; a last line without newline counts, too.
#[must_use]
pub fn reversed(input: &[u8]) -> Vec<u8> {
    let mut answer = Vec::with_capacity(input.len());
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let (text, newline) = match line.strip_suffix(b"\n") {
            Some(text) => (text, &b"\n"[..]),
            None => (line, &b""[..]),
        };
        answer.extend(text.iter().rev());
        answer.extend_from_slice(newline);
    }
    answer
}

/// Returns about `length` random bytes that end with a newline: lines of every length, empty ones too.
#[must_use]
pub fn random_lines(rng: &mut Rng, length: usize) -> Vec<u8> {
    let mut lines = rng.nonce(length);
    lines.extend_from_slice(b"\n\n\r\n");
    lines
}

/// Sends one line with awkward bytes from a connected client and expects its answer.
#[track_caller]
pub fn one_line(client: &Peer, rng: &mut Rng) {
    let line = rng.line(40);
    client.send(&line);
    client.expect(&reversed(&line));
}

/// A new client sends a line and gets its answer, while it stays connected.
#[track_caller]
pub fn served(address: SocketAddr) {
    one_line(&Peer::connect(address), &mut Rng::for_test());
}

/// The short conversations, one after the other, each with a client of its own.
#[track_caller]
pub fn short_conversations(address: SocketAddr) {
    lines_in_turn(address);
    several_lines_in_one_write(address);
    one_byte_at_a_time(address);
    awkward_bytes(address);
    a_last_line_without_newline(address);
    an_empty_conversation(address);
}

/// Three lines in turn on one connection: each is answered before the next is sent, without an end of input.
#[track_caller]
pub fn lines_in_turn(address: SocketAddr) {
    let client = Peer::connect(address);
    for line in ["hello\n", "\n", "a b\n"] {
        client.send(line.as_bytes());
        client.expect(&reversed(line.as_bytes()));
    }
}

/// Bytes 00, FF, CR and others that are not text.
#[track_caller]
pub fn awkward_bytes(address: SocketAddr) {
    let client = Peer::connect(address);
    let every_byte: Vec<u8> = (0..=255)
        .filter(|byte| *byte != b'\n')
        .chain([b'\n'])
        .collect();
    for line in [
        &b"\0\xff\r\n"[..],
        "gr\u{fc}\u{df}e\n".as_bytes(),
        &every_byte,
    ] {
        client.send(line);
        client.expect(&reversed(line));
    }
    one_line(&client, &mut Rng::for_test());
}

/// A line in pieces of one byte; each piece is read before the next is sent.
#[track_caller]
pub fn one_byte_at_a_time(address: SocketAddr) {
    let client = Peer::connect(address);
    let line = Rng::for_test().line(24);
    client.send_chunked(&line, 1);
    client.expect(&reversed(&line));
}

/// Two and a half lines in one write, then the rest.
#[track_caller]
pub fn several_lines_in_one_write(address: SocketAddr) {
    let client = Peer::connect(address);
    client.send(b"one\ntwo\nthr");
    client.expect(b"eno\nowt\n");
    client.send(b"ee\n");
    client.expect(b"eerht\n");
}

/// A pause in the middle of a line: neither an answer nor an end may come before the line is complete.
#[track_caller]
pub fn a_pause_within_a_line(address: SocketAddr) {
    let client = Peer::connect(address);
    client.send(b"first ha");
    client.wait_until_read();
    client.expect_silence(PAUSE);
    client.send(b"lf\n");
    client.expect(b"flah tsrif\n");
}

/// The end of the input: a last line without newline is answered, then the stream ends.
#[track_caller]
pub fn a_last_line_without_newline(address: SocketAddr) {
    let client = Peer::connect(address);
    client.send(b"one\nlast");
    client.half_close();
    client.expect(b"eno\ntsal");
    client.expect_eof();
}

/// A client that ends its input without sending a byte gets the end of the stream.
#[track_caller]
pub fn an_empty_conversation(address: SocketAddr) {
    let client = Peer::connect(address);
    client.half_close();
    client.expect_eof();
}

/// 1 MiB of lines and the end of the input at once: every answer arrives, then the end.
#[track_caller]
pub fn a_mebibyte_before_the_end(address: SocketAddr) {
    let client = Peer::connect(address);
    let lines = random_lines(&mut Rng::for_test(), 1 << 20);
    let sending = client.send_in_background(lines.clone());
    client.expect(&reversed(&lines));
    sending.join();
    client.half_close();
    client.expect_eof();
}

/// 300 KiB in one burst and then nothing: every answer must arrive although no further byte wakes the service.
#[track_caller]
pub fn a_burst(address: SocketAddr) {
    let client = Peer::connect(address);
    let lines = random_lines(&mut Rng::for_test(), 300 * 1024);
    let sending = client.send_in_background(lines.clone());
    client.expect(&reversed(&lines));
    sending.join();
    client.expect_silence(STALL);
}

/// A client that sends 8 MiB and does not read until the stream has stalled: the service must wait, lose nothing and
/// go on.
#[track_caller]
pub fn a_slow_reader(address: SocketAddr) {
    let client = Connect::new()
        .receive_buffer(SMALL)
        .send_buffer(SMALL)
        .to(address);
    let lines = random_lines(&mut Rng::for_test(), 8 << 20);
    let sending = client.send_in_background(lines.clone());
    wait_until_stalled(&client, || sending.is_done());
    client.expect(&reversed(&lines));
    sending.join();
    client.half_close();
    client.expect_eof();
}

/// Lets a client send lines and read nothing until the service stops reading; returns the client and its input.
#[must_use]
#[track_caller]
pub fn a_stalled_client(address: SocketAddr) -> (Peer, Vec<u8>) {
    let client = Connect::new()
        .receive_buffer(SMALL)
        .send_buffer(SMALL)
        .to(address);
    let block = random_lines(&mut Rng::for_test(), 64 * 1024);
    let sent = client.send_until_blocked(&block, 2 * STALL, 64 << 20);
    let input = block.iter().copied().cycle().take(sent).collect();
    (client, input)
}

/// The longest line passes whole; a longer one ends its own client only, after the lines before it were answered.
#[track_caller]
pub fn the_longest_line(address: SocketAddr) {
    let mut line = vec![b'x'; LONGEST_LINE];
    line[0] = b'a';
    line.push(b'\n');
    let client = Peer::connect(address);
    client.send(&line);
    client.expect(&reversed(&line));
    client.close();

    let client = Peer::connect(address);
    client.send(b"before\n");
    client.expect(b"erofeb\n");
    // This may fail, because the service may close the connection while the rest is still in flight.
    let _ = client.try_send(&vec![b'x'; 4 * LONGEST_LINE]);
    client.expect_closed();
    served(address);
}

/// A client that resets its connection must not end the service or another client.
#[track_caller]
pub fn a_reset_and_then_another(address: SocketAddr) {
    let mut rng = Rng::for_test();
    let client = Peer::connect(address);
    one_line(&client, &mut rng);
    client.reset();
    let client = Peer::connect(address);
    client.send(b"half a li");
    client.wait_until_read();
    client.reset();
    served(address);
}

/// A client that sends much, reads nothing and resets: its answers can no longer be delivered.
#[track_caller]
pub fn gone_with_answers_pending(address: SocketAddr) {
    let (client, _) = a_stalled_client(address);
    client.reset();
    served(address);
    let (client, _) = a_stalled_client(address);
    client.close();
    served(address);
}

/// `count` clients at once, all connected before the first one sends; each gets its own line back, in any order of service.
#[track_caller]
pub fn a_crowd(address: SocketAddr, count: usize) {
    let mut rng = Rng::for_test();
    let crowd: Vec<_> = (0..count)
        .map(|_| (Peer::connect(address), rng.line(32)))
        .collect();
    for (client, line) in &crowd {
        client.send(line);
        client.half_close();
    }
    for (client, line) in crowd {
        client.expect(&reversed(&line));
        client.expect_eof();
    }
}

/// Waits until no byte has moved for a while although some are unread, or until `done`.
///
/// # Panics
///
/// Panics if neither happens in time.
#[track_caller]
pub fn wait_until_stalled(client: &Peer, done: impl Fn() -> bool) {
    let mut quiet = Deadline::after(STALL);
    let mut before = client.unread_by_peer();
    let stalled = holds_by(Deadline::patience(), &mut || {
        let waiting = client.unread_by_peer();
        if waiting != before || waiting == 0 {
            (before, quiet) = (waiting, Deadline::after(STALL));
        }
        done() || quiet.passed()
    });
    if !stalled {
        let left = diff::count(usize::try_from(before).unwrap_or(usize::MAX));
        fail(format!(
            "The stream neither ended nor stalled; {left} are in flight."
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_reverses_by_hand() {
        assert_eq!(reversed(b"abc\n\nde\r\nf"), b"cba\n\n\red\nf");
        assert_eq!(reversed(b""), b"");
        let lines = random_lines(&mut Rng::from_seed(3), 5000);
        assert_eq!(reversed(&reversed(&lines)), lines);
        assert!(lines.ends_with(b"\n"));
    }
}
