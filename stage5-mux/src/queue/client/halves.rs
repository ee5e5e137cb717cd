//! Both directions of a client as the inspector shows them: their states, and the bytes that this program holds.
//!
//! ```text
//!   client ──▶ input ─▶ request ─▶ the request in flight ──▶ upstream      up
//!   client ◀── output ◀─────────── the head of the response ◀─ upstream    down
//! ```

use stage4_proxy::inspect::HalfView;

use crate::queue::client::{Client, Phase};
use crate::queue::flight::Flight;
use crate::queue::framing::Framing;

impl<F: Framing> Client<F> {
    /// Returns the directions up and down; `flight` is the request in flight, if it is this client's.
    pub(in crate::queue) fn halves(&self, flight: Option<&Flight<F>>) -> (HalfView, HalfView) {
        let held = self.input.len() + self.request.len();
        let up = (held + flight.map_or(0, |flight| flight.unsent().len())) as u64;
        let down = (self.output.len() + flight.map_or(0, |flight| flight.carry.len())) as u64;
        let up = HalfView {
            state: match (self.input_ended, up) {
                (false, _) => "open",
                (true, 1..) => "draining",
                (true, 0) => "closed",
            },
            pending: up,
        };
        let down = HalfView {
            state: match self.phase {
                Phase::Reading | Phase::Waiting(_) | Phase::InFlight(_) => "open",
                Phase::Lingering { fin_sent: false } => "draining",
                Phase::Lingering { fin_sent: true } => "closed",
            },
            pending: down,
        };
        (up, down)
    }
}
