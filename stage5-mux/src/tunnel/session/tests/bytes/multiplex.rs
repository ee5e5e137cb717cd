//! The numbers of `multiplex`, of which both ends have the same.

use std::time::Instant;

use super::{Silent, Text, limits, pass, sent};
use crate::tunnel::multiplex::Multiplex;
use crate::tunnel::session::{Session, State};

#[test]
fn a_multiplex_peer_may_use_a_number_again_after_both_ends() {
    let mut session = Session::new(Multiplex, limits(4), Instant::now());
    let lines = pass(&mut session, b"\x00\x05hello\x02\x02hi\x04\x00").unwrap();
    assert_eq!(lines, ["opened 0", "0: hi", "ended 0"]);
    let key = session.streams.at(0).unwrap();
    session.readable(key);
    assert_eq!(sent(&mut session, &mut Text(b"yo")), b"\x01\x02yo\x03\x00");
    // Our reader has not taken its bytes yet, which is nothing to the peer.
    assert_eq!(session.streams(), 1);
    assert_eq!(
        pass(&mut session, b"\x00\x00\x02\x02ho").unwrap(),
        ["opened 1", "1: ho"]
    );
    session.consumed(key, 2, Instant::now());
    assert_eq!(session.streams(), 1);
    // A channel that is destroyed may be opened again at once; what comes late for it is skipped.
    assert_eq!(
        pass(&mut session, b"\x06\x04boom\x02\x04late\x00\x00").unwrap(),
        ["reset 1", "opened 1"]
    );
    assert_eq!(session.state(), State::Open);
}

#[test]
fn both_ends_of_multiplex_may_use_the_same_number() {
    let mut session = Session::new(Multiplex, limits(4), Instant::now());
    let ours = session.open().unwrap();
    assert_eq!(sent(&mut session, &mut Silent), b"\x00\x00");
    assert_eq!(
        pass(&mut session, b"\x00\x00\x02\x01a\x01\x01b").unwrap(),
        ["opened 1", "1: a", "0: b"]
    );
    session.reset(ours);
    assert_eq!(sent(&mut session, &mut Silent), b"\x06\x00");
    assert_eq!(
        pass(&mut session, b"\x07\x03abc\x02\x01c").unwrap(),
        ["1: c"]
    );
}
