//! Both directions of a stream as the inspector shows them: their states, and the bytes that this program holds.
//!
//! ```text
//!   socket ──read──▶ lead ─▶ frames of the stream ──write──▶ link         to the link
//!   socket ◀──write── held ◀──────────────────────── read ── link         from the link
//! ```

use stage4_proxy::inspect::HalfView;
use stage4_proxy::token::Side;

use crate::tunnel::local::{Delivery, Local};
use crate::tunnel::stream::Outbound;

/// Returns the directions up and down. `outbound` is that of the stream, if there is one, and `planned` its bytes that wait
/// until the link takes them.
pub(super) fn halves(
    local: &Local,
    side: Side,
    outbound: Option<Outbound>,
    planned: usize,
) -> (HalfView, HalfView) {
    let to_link = HalfView {
        state: to_link(outbound, local.has_ended),
        pending: (local.lead.len() + planned) as u64,
    };
    let from_link = HalfView {
        state: from_link(local.delivery),
        pending: local.held.len() as u64,
    };
    in_order(side, to_link, from_link)
}

/// Returns up, then down: a client's bytes go up to the link, and an upstream's come down to it.
fn in_order<T>(side: Side, to_link: T, from_link: T) -> (T, T) {
    match side {
        Side::Client => (to_link, from_link),
        Side::Upstream => (from_link, to_link),
    }
}

fn to_link(outbound: Option<Outbound>, has_ended: bool) -> &'static str {
    match outbound {
        Some(Outbound::Sending) => "open",
        Some(Outbound::Finishing) => "draining",
        Some(Outbound::Finished) => "closed",
        // The stream was not opened yet, or is over.
        None if has_ended => "closed",
        None => "open",
    }
}

fn from_link(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Flowing => "open",
        Delivery::FinOwed | Delivery::AbortOwed => "draining",
        Delivery::FinSent => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::local::Phase;

    #[test]
    fn the_bytes_are_counted_in_the_direction_in_which_they_go() {
        let mut local = Local::new(Phase::Open, None);
        local.lead.append(b"lead");
        local.held.append(b"held bytes");
        for (side, expected) in [(Side::Client, [104, 10]), (Side::Upstream, [10, 104])] {
            let (up, down) = halves(&local, side, Some(Outbound::Sending), 100);
            assert_eq!([up.pending, down.pending], expected, "{side:?}");
        }
    }

    #[test]
    fn each_end_of_a_direction_has_its_state() {
        let mut local = Local::new(Phase::Open, None);
        let outbounds = [
            (Some(Outbound::Sending), "open"),
            (Some(Outbound::Finishing), "draining"),
            (Some(Outbound::Finished), "closed"),
            (None, "open"),
        ];
        let deliveries = [
            (Delivery::Flowing, "open"),
            (Delivery::FinOwed, "draining"),
            (Delivery::AbortOwed, "draining"),
            (Delivery::FinSent, "closed"),
        ];
        for (outbound, up_state) in outbounds {
            for (delivery, down_state) in deliveries {
                local.delivery = delivery;
                let (up, down) = halves(&local, Side::Client, outbound, 0);
                assert_eq!([up.state, down.state], [up_state, down_state]);
                let (up, down) = halves(&local, Side::Upstream, outbound, 0);
                assert_eq!([up.state, down.state], [down_state, up_state]);
            }
        }
        local.has_ended = true;
        assert_eq!(halves(&local, Side::Client, None, 0).0.state, "closed");
    }
}
