//! Lookups that are slow, too late, or for a client that has left.

use super::*;

#[test]
fn a_slow_name_delays_no_other_name() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let ingress = InTurn::new(&["slow:80", "quick:80"]);
    let proxy = Running::start(ingress, held.lookup, Limits::default());
    let slow = proxy.client();
    held.asked.wait();
    assert_echoes(&proxy.client());
    held.release.open();
    assert_echoes(&slow);
}

#[test]
fn an_address_waits_for_no_name() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let ingress = InTurn::new(&["slow:80", &echo.addr_text()]);
    let limits = Limits {
        resolver_threads: 1,
        ..Limits::default()
    };
    let proxy = Running::start(ingress, held.lookup, limits);
    let slow = proxy.client();
    held.asked.wait();
    assert_echoes(&proxy.client());
    held.release.open();
    assert_echoes(&slow);
}

#[test]
fn an_answer_for_a_client_that_is_gone_is_counted_and_dropped() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let ingress = InTurn::new(&["slow:80", "quick:80"]);
    let proxy = Running::start(ingress, held.lookup, Limits::default());
    let gone = proxy.client();
    held.asked.wait();
    gone.reset();
    proxy.await_sessions(0);
    let next = proxy.client();
    assert_echoes(&next);
    held.release.open();
    proxy.await_stale_events(1);
    assert_eq!(echo.accepts(), 1, "no connect for a client that has left");
    assert_echoes(&next);
}

/// Sends every client to `slow:80`, and replies with the error if that fails.
#[derive(Debug)]
struct Asking;

impl Ingress for Asking {
    fn name(&self) -> &'static str {
        "asking"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::new(Self))
    }
}

impl Handshake for Asking {
    fn advance(&mut self, input: &[u8]) -> Step {
        let verdict = match input {
            [] => Verdict::More,
            _ => Verdict::Connect(Arc::new(target("slow:80"))),
        };
        Step {
            consumed: 0,
            reply: Vec::new(),
            verdict,
        }
    }

    fn connected(&mut self, _: Option<SocketAddr>) -> Vec<u8> {
        b"connected".to_vec()
    }

    fn failed(&mut self, error: &Failure<'_>) -> Vec<u8> {
        error.to_string().into_bytes()
    }
}

#[test]
fn an_answer_for_a_client_that_was_refused_meanwhile_is_dropped_too() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let limits = Limits {
        connect_timeout: SHORT,
        ..Limits::default()
    };
    let proxy = Running::start(Asking, held.lookup, limits);
    let client = proxy.client();
    client.send(b"please");
    held.asked.wait();
    assert_eq!(client.read_to_end(), b"name resolution failed");
    held.release.open();
    proxy.await_stale_events(1);
    assert_eq!(echo.accepts(), 0, "the client has had its answer");
}
