//! Exercise 4.6 through the library: an answer of the resolver for a client that was told of a failure meanwhile.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::deadline::holds_by;
use harness::{
    Deadline, Gate, PATIENCE, Peer, Scripted, Test, ensure, eventually, eventually_equal,
};
use stage2_client::Target;
use stage4_proxy::Limits;
use stage4_proxy::ingress::{Client, Failure, Handshake, Ingress, Opening, Step};

use crate::addresses::{Injected, one_at_a_time, snapshot};

const LIMIT: Duration = Duration::from_secs(2);
const REPLY: &[u8] = b"not reached";

/// Holds the worker in the middle of a turn.
#[derive(Clone, Debug)]
struct Hold {
    entered: Gate,
    release: Gate,
}

impl Hold {
    fn new() -> Self {
        Self {
            entered: Gate::new("the worker is held"),
            release: Gate::new("the worker goes on"),
        }
    }
}

/// A way in whose clients send one byte: 0 or 1 for a hold, or the name of their target; they are told of a failure.
#[derive(Clone, Debug)]
struct Telling([Hold; 2]);

impl Ingress for Telling {
    fn name(&self) -> &'static str {
        "telling"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::new(self.clone()))
    }
}

impl Handshake for Telling {
    fn advance(&mut self, input: &[u8]) -> Step {
        let Some(&byte) = input.first() else {
            return Step::more();
        };
        if let Some(hold) = self.0.get(usize::from(byte)) {
            hold.entered.open();
            hold.release.wait();
            return Step::more();
        }
        let target: Target = format!("{}.example:80", char::from(byte))
            .parse()
            .expect("a target");
        Step::connect(1, target)
    }

    fn connected(&mut self, _: Option<SocketAddr>) -> Vec<u8> {
        Vec::new()
    }

    fn failed(&mut self, _: &Failure<'_>) -> Vec<u8> {
        REPLY.to_vec()
    }
}

/// Sends a byte, and waits until the proxy has it, if it is held, or has read it.
fn ask(client: &Peer, byte: u8, is_held: bool) {
    client.send(&[byte]);
    if is_held {
        eventually("the byte is there", PATIENCE, || {
            client.unread_by_peer() == 1
        });
    } else {
        client.wait_until_read();
    }
}

/// The answer is in the worker's mailbox when the client's time is over.
///
/// The test holds the worker twice to fix that order. The time passes during the first hold; the turn of the second one
/// knows that, and the answer comes while it is held. At the end of this turn the client is refused; the mail is read in
/// the next one.
#[test]
fn e46_a_late_answer_does_not_serve_a_client_that_was_refused() {
    let _test = Test::begin(
        "The token still finds a session, but not one that waits for a name: look at its phase as well.",
    );
    let (gate, upstream) = (Gate::new("first lookup"), Scripted::silent());
    let (inside, address) = (gate.clone(), upstream.addr());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let limits = Limits {
        connect_timeout: LIMIT,
        accepts_per_turn: Limits::default().accepts_per_turn,
        ..one_at_a_time()
    };
    let holds = [(); 2].map(|()| Hold::new());
    let proxy = Injected::start_with(Telling(holds.clone()), limits, move |_| {
        // The second client gets no address, so that each connection is one for the first.
        if counter.fetch_add(1, Ordering::SeqCst) > 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        inside.wait();
        Ok(vec![address])
    });
    let control = proxy.proxy().control();
    let [client, other, first, second] = [(); 4].map(|()| proxy.connect());
    eventually_equal("sessions", &4, || snapshot(&control).sessions.len());
    ask(&client, b'a', false);
    let begun = Instant::now();
    eventually_equal("lookups", &1, || asked.load(Ordering::SeqCst));
    // There is one thread: once it looks up this client's name, the answer before is in the worker's mailbox.
    ask(&other, b'b', false);
    first.send(&[0]);
    holds[0].entered.wait();
    eventually("the time of the client is over", PATIENCE, || {
        begun.elapsed() > LIMIT
    });
    ask(&second, 1, true);
    holds[0].release.open();
    holds[1].entered.wait();
    gate.open();
    eventually_equal("lookups", &2, || asked.load(Ordering::SeqCst));
    holds[1].release.open();
    // It stays, so that its session lingers after the reply.
    client.expect(REPLY);
    client.expect_eof();
    // On a machine that is too busy for the first hold, the client left the queue of those that wait before the answer.
    holds_by(Deadline::after(LIMIT), &mut || {
        snapshot(&control).totals.stale_events > 0 || upstream.accepts() > 0
    });
    ensure(
        upstream.accepts() == 0,
        "A client was told that its target is not reached, and then a connection to it was made, because an answer of the \
         resolver came late. In on_resolved, an answer for a session in another phase than Resolving is stale.",
    );
}
