//! A direction that gathers: when it may, and what wakes it.

use super::*;

/// A time in which an event would have come.
const A_WHILE: Duration = Duration::from_millis(100);

/// Returns a direction that carries bulk and has emptied its source.
fn ready() -> Rig {
    let mut rig = Rig::new(tcp, &limits());
    rig.stall_in_bulk();
    rig.resume();
    rig.pump_until("the source is empty", |rig| !rig.source.readable);
    assert!(rig.flow.wants_more_bulk());
    rig
}

impl Rig {
    /// Waits for whatever comes to the source, and drops the reader's bytes, until nothing has come for a while.
    fn pump_until_silence(&mut self) {
        while self.note_events(A_WHILE) {
            self.pump_until("the source is empty", |rig| {
                while rig.read().is_ok() {}
                !rig.source.readable && !rig.flow.half.has_pending()
            });
        }
    }
}

#[test]
fn only_bulk_that_waits_for_its_source_wants_more() {
    let mut rig = ready();
    rig.flow.bulk = Bulk::default();
    assert!(!rig.flow.wants_more_bulk(), "it is no bulk");
    let mut rig = ready();
    rig.flow.half.keep(b"!");
    assert!(!rig.flow.wants_more_bulk(), "its sink is what it waits for");
    let mut rig = ready();
    rig.flow.half.end_of_input();
    assert!(!rig.flow.wants_more_bulk(), "its source has ended");
}

#[test]
fn a_few_bytes_wait_for_the_end_of_gathering() {
    let mut rig = ready();
    rig.flow.gather(&rig.source);
    rig.pump_until_silence();
    let moved = rig.flow.half.moved();
    rig.send(b"the last ones");
    assert!(!rig.note_events(A_WHILE), "the kernel has reported them");
    rig.flow.end_gathering(&mut rig.source);
    rig.pump().unwrap();
    assert_eq!(rig.flow.half.moved(), moved + 13);
    rig.send(b"!");
    assert!(rig.note_events(PATIENCE), "one byte is enough again");
}

#[test]
fn many_bytes_and_the_end_do_not_wait() {
    let mut rig = ready();
    rig.flow.gather(&rig.source);
    let sender = rig.sender.try_clone().unwrap();
    sender.set_nonblocking(false).unwrap();
    let sending = std::thread::spawn(move || {
        // So many that the rest is a part of one splice, and too few to be reported.
        (&sender).write_all(&vec![7; usize::try_from(GATHER).unwrap() + 1000])?;
        io::Result::Ok(())
    });
    let begin = rig.flow.half.moved();
    rig.pump_until("much has come", |rig| {
        while rig.read().is_ok() {}
        rig.flow.half.moved() > begin
    });
    sending.join().unwrap().unwrap();
    rig.pump_until_silence();
    assert!(
        rig.flow.wants_more_bulk(),
        "a short splice is no end of bulk"
    );
    rig.send(b"the last ones");
    shut(&rig.sender);
    rig.pump_until("the end has passed", |rig| {
        while rig.read().is_ok_and(|count| count > 0) {}
        rig.flow.half.state() == HalfState::Closed
    });
    assert_eq!(rig.flow.half.moved(), begin + u64::from(GATHER) + 1013);
}
