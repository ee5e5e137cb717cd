//! Every phase, and everything that a peer can do in it.

use harness::expect_value;

use super::*;

#[derive(Clone, Copy, Debug)]
enum At {
    Handshake,
    Delayed,
    Resolving,
    Connecting,
    Relay,
    Lingering,
}

impl At {
    fn rig(self) -> Rig {
        let mut rig = Rig::new();
        match self {
            Self::Handshake => {}
            Self::Delayed => rig.give_a_wrong_password(),
            Self::Resolving => rig.begin_resolving(),
            Self::Connecting => rig.begin_connecting(),
            Self::Relay => rig.reach_upstream(),
            Self::Lingering => rig.refuse(b"no\n"),
        }
        // What was owed to the client from before does not belong to the answer.
        assert_eq!(word(&rig.advance()), "wait");
        rig
    }
}

/// What a peer does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Sends,
    Ends,
    Resets,
}

impl Act {
    fn of(self, peer: &mut Option<Peer>) {
        match self {
            Self::Sends => peer.as_ref().unwrap().send(b"some bytes"),
            Self::Ends => peer.as_ref().unwrap().half_close(),
            Self::Resets => peer.take().unwrap().reset(),
        }
    }
}

impl Rig {
    /// Waits for what the session makes of an act. Our own FIN brings an event, too, when it is
    /// acknowledged; so the first event need not be the peer's.
    fn answer(&mut self, expected: &str) -> Next {
        match expected {
            "wait" => self.next(),
            _ => self.outcome(),
        }
    }
}

const ACTS: [Act; 3] = [Act::Sends, Act::Ends, Act::Resets];

#[test]
fn every_phase_and_what_the_client_does() {
    let table = [
        // Sends, Ends, Resets
        (At::Handshake, ["wait", "gone", "client reset"]),
        (At::Delayed, ["wait", "wait", "unauthorized"]),
        (At::Resolving, ["wait", "wait", "gone"]),
        (At::Connecting, ["wait", "wait", "gone"]),
        (At::Relay, ["wait", "wait", "client reset"]),
        (At::Lingering, ["wait", "finished", "gone"]),
    ];
    for (phase, expected) in table {
        for (act, expected) in ACTS.into_iter().zip(expected) {
            let mut rig = phase.rig();
            act.of(&mut rig.client);
            expect_value(
                format!("What the session needs in {phase:?} when its client {act:?}"),
                &expected,
                &word(&rig.answer(expected)),
                "in Relay, a client that has reset is a broken side: abort. The other phases are given.",
            );
        }
    }
}

/// Only a session in `Relay` has an upstream that can say something.
#[test]
fn what_the_upstream_does_in_a_relay() {
    for (act, expected) in ACTS.into_iter().zip(["wait", "wait", "upstream reset"]) {
        let mut rig = At::Relay.rig();
        act.of(&mut rig.upstream);
        expect_value(
            format!("What the session needs in Relay when its upstream {act:?}"),
            &expected,
            &word(&rig.answer(expected)),
            "only a reset is a break, and it names the side that broke.",
        );
    }
}
