//! One read and one write, against sockets that follow a script.

use harness::{expect_bytes, fail};

use super::*;

/// A socket that follows a script; where the script ends, it fails the test.
#[derive(Default)]
struct Script {
    reads: VecDeque<io::Result<Vec<u8>>>,
    writes: VecDeque<io::Result<usize>>,
    written: Vec<u8>,
}

impl Read for Script {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some(next) = self.reads.pop_front() else {
            fail(
                "copy() has read twice. It reads once: pump() counts the bytes of a turn between two calls.",
            );
        };
        let piece = next?;
        room[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(next) = self.writes.pop_front() else {
            fail(format!(
                "copy() has written {} bytes that it must not: it writes once, what it has read.",
                bytes.len()
            ));
        };
        let count = next?.min(bytes.len());
        self.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One direction between two scripted sockets, both of them ready.
struct Rig {
    half: Half,
    source: Endpoint<Script>,
    sink: Endpoint<Script>,
}

const ALL: usize = usize::MAX;

impl Rig {
    fn new(read: io::Result<&[u8]>, write: Option<io::Result<usize>>) -> Self {
        let source = Script {
            reads: VecDeque::from([read.map(<[u8]>::to_vec)]),
            ..Script::default()
        };
        let sink = Script {
            writes: write.into_iter().collect(),
            ..Script::default()
        };
        Self {
            half: Half::new(),
            source: ready(source),
            sink: ready(sink),
        }
    }

    fn copy(&mut self) -> Result<Fill, Fault> {
        let room = &mut [0; 8];
        copy(&mut self.half, &mut self.source, &mut self.sink, room)
    }

    fn written(&self) -> &[u8] {
        &self.sink.socket().written
    }
}

fn ready(script: Script) -> Endpoint<Script> {
    let mut endpoint = Endpoint::accepted(script, anywhere());
    endpoint.readable = true;
    endpoint
}

#[test]
fn bytes_that_the_sink_does_not_take_are_kept() {
    // (result of the write, bytes taken, whether the sink stays writable)
    let table = [
        (Ok(ALL), 5, true),
        (Ok(2), 2, false),
        (Err(WouldBlock), 0, false),
        (Err(Interrupted), 0, true),
    ];
    for (write, taken, writable) in table {
        let mut rig = Rig::new(Ok(b"hello"), Some(write.map_err(Into::into)));
        let case = format!("copy() read \"hello\", and the write returned {write:?}");
        let fill = rig.copy();
        assert!(
            matches!(fill, Ok(Fill::Partial)),
            "{case}: it should return Fill::Partial, and returned {fill:?}; a sink without room is no fault"
        );
        expect_bytes(
            &format!("{case}: the written"),
            &b"hello"[..taken],
            rig.written(),
        );
        expect_bytes(
            &format!("{case}: the rest, which the half must keep, is"),
            &b"hello"[taken..],
            rig.half.pending(),
        );
        assert_eq!(
            rig.half.moved(),
            taken as u64,
            "{case}: passed() counts the bytes that the sink has taken, and no others"
        );
        assert_eq!(
            rig.sink.writable, writable,
            "{case}: whether the sink is still writable; write_some() notes that, so leave the field alone"
        );
        assert_eq!(
            rig.half.state(),
            HalfState::Open,
            "{case}: the source has not ended"
        );
    }
}

#[test]
fn a_read_says_whether_another_one_makes_sense() {
    // (result of the read, its fill, whether the source stays readable)
    let table: [(io::Result<&[u8]>, _, _); 4] = [
        (Ok(b"12345678"), Fill::Full, true),
        (Ok(b"1234567"), Fill::Partial, false),
        (Err(WouldBlock.into()), Fill::Partial, false),
        (Err(Interrupted.into()), Fill::Partial, true),
    ];
    for (read, fill, readable) in table {
        let case = format!("The read into 8 bytes returned {read:?}");
        let mut rig = Rig::new(read, Some(Ok(ALL)));
        let seen = rig.copy();
        assert!(
            matches!(&seen, Ok(seen) if *seen == fill),
            "{case}: copy() should return {fill:?}, and returned {seen:?}; only a full buffer says that more may be there"
        );
        assert_eq!(
            rig.source.readable, readable,
            "{case}: whether the source is still readable; read_some() notes that, so leave the field alone"
        );
        assert!(
            rig.half.wants_read(),
            "{case}: everything was written, so the half should want to read on"
        );
    }
}

#[test]
fn a_short_read_is_no_reason_to_stop_when_an_end_was_announced() {
    let mut rig = Rig::new(Ok(b"last"), Some(Ok(ALL)));
    let announcement = Readiness::EPOLLIN | Readiness::EPOLLRDHUP;
    rig.source.note(Event::new(Token(0), announcement));
    rig.copy().unwrap();
    assert!(
        rig.source.readable,
        "the event has announced the end (EPOLLRDHUP), and no further one will: the source has to stay readable"
    );
}

#[test]
fn an_end_is_an_end_and_not_an_empty_write() {
    let mut rig = Rig::new(Ok(b""), None);
    let fill = rig.copy();
    assert!(
        matches!(fill, Ok(Fill::Partial)),
        "a read of 0 bytes is the end: copy() should return Fill::Partial, and returned {fill:?}"
    );
    assert_eq!(
        rig.half.state(),
        HalfState::Draining,
        "a read of 0 bytes is the end of the source: end_of_input() notes it"
    );
}

#[test]
fn a_fault_names_the_side_that_broke() {
    let mut rig = Rig::new(Err(ConnectionReset.into()), None);
    let seen = rig.copy();
    assert!(
        matches!(&seen, Err(Fault::Source(error)) if error.kind() == ConnectionReset),
        "the read failed with ECONNRESET, so the source is broken: Fault::Source with that error, and not {seen:?}"
    );
    let mut rig = Rig::new(Ok(b"hello"), Some(Err(ConnectionReset.into())));
    let seen = rig.copy();
    assert!(
        matches!(&seen, Err(Fault::Sink(error)) if error.kind() == ConnectionReset),
        "the write failed with ECONNRESET, so the sink is broken: Fault::Sink with that error, and not {seen:?}. The caller \
         resets the other side and reports this one; if they are exchanged, the wrong peer is blamed, and what the broken one \
         had sent before is lost"
    );
}

#[test]
fn a_socket_that_would_block_is_not_asked_again() {
    let mut rig = Rig::new(Ok(b"hello"), None);
    rig.sink.writable = false;
    rig.copy().unwrap();
    expect_bytes(
        "The sink is full, so the half keeps",
        b"hello",
        rig.half.pending(),
    );
    rig.source.readable = false;
    let fill = rig.copy();
    assert!(
        matches!(fill, Ok(Fill::Partial)),
        "a source that is known to be empty gives no bytes: copy() should return Fill::Partial, and returned {fill:?}"
    );
}
