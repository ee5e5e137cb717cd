use harness::expect_value;

use super::*;

/// What a direction may be in the middle of.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Open, without pending bytes.
    Open,
    /// Open, with pending bytes.
    Pending,
    /// Its source has ended, and bytes are pending.
    LastBytes,
    /// Its source has ended, and only the FIN is owed.
    Owing,
    /// Its FIN was sent.
    Closed,
}

const ALL: [At; 5] = [At::Open, At::Pending, At::LastBytes, At::Owing, At::Closed];

impl At {
    fn flow(self) -> Flow {
        let mut flow = Flow::default();
        if matches!(self, Self::Pending | Self::LastBytes) {
            flow.half.keep(b"bytes");
        }
        if matches!(self, Self::LastBytes | Self::Owing | Self::Closed) {
            flow.half.end_of_input();
        }
        if matches!(self, Self::Closed) {
            flow.half.fin_sent();
        }
        flow
    }

    /// Returns whether close(2) can do the rest.
    fn is_over(self) -> bool {
        matches!(self, Self::Owing | Self::Closed)
    }
}

#[test]
fn a_session_is_over_when_both_directions_are() {
    for up in ALL {
        for down in ALL {
            expect_value(
                format!("Whether the session is over with {up:?} up and {down:?} down"),
                &(up.is_over() && down.is_over()),
                &are_over([&up.flow(), &down.flow()]),
                "both directions must have ended, and an end counts once nothing but its FIN is owed: bytes that are pending \
                 would be lost.",
            );
        }
    }
}
