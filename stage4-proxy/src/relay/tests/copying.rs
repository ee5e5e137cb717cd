//! One read and one write, against sockets that follow a script.

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
        let piece = self.reads.pop_front().expect("a read that was foreseen")?;
        room[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let next = self.writes.pop_front().expect("a write that was foreseen");
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
        assert_eq!(rig.copy().unwrap(), Fill::Partial);
        assert_eq!(rig.written(), &b"hello"[..taken], "{write:?}");
        assert_eq!(rig.half.pending(), &b"hello"[taken..], "{write:?}");
        assert_eq!(rig.half.moved(), taken as u64, "{write:?}");
        assert_eq!(rig.sink.writable, writable, "{write:?}");
        assert_eq!(rig.half.state(), HalfState::Open);
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
        let what = format!("{read:?}");
        let mut rig = Rig::new(read, Some(Ok(ALL)));
        assert_eq!(rig.copy().unwrap(), fill, "{what}");
        assert_eq!(rig.source.readable, readable, "{what}");
        assert!(rig.half.wants_read(), "{what}");
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
        "no further event would tell of the end"
    );
}

#[test]
fn an_end_is_an_end_and_not_an_empty_write() {
    let mut rig = Rig::new(Ok(b""), None);
    assert_eq!(rig.copy().unwrap(), Fill::Partial);
    assert_eq!(rig.half.state(), HalfState::Draining);
}

#[test]
fn a_fault_names_the_side_that_broke() {
    let mut rig = Rig::new(Err(ConnectionReset.into()), None);
    assert!(matches!(rig.copy(), Err(Fault::Source(error)) if error.kind() == ConnectionReset));
    let mut rig = Rig::new(Ok(b"hello"), Some(Err(ConnectionReset.into())));
    assert!(matches!(rig.copy(), Err(Fault::Sink(error)) if error.kind() == ConnectionReset));
}

#[test]
fn a_socket_that_would_block_is_not_asked_again() {
    let mut rig = Rig::new(Ok(b"hello"), None);
    rig.sink.writable = false;
    rig.copy().unwrap();
    assert_eq!(rig.half.pending(), b"hello");
    rig.source.readable = false;
    assert_eq!(rig.copy().unwrap(), Fill::Partial);
}
