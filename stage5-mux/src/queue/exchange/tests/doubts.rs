//! A kept connection that is silent: whether the kernel is asked to end it.

use super::*;

/// The bound on acknowledgements that a doubt sets.
const DOUBT: Option<Duration> = Some(DOUBT_AFTER);

impl Fixture {
    /// Serves one request, sends this one over the kept connection, and lets a silent second pass.
    fn in_doubt(&mut self, request: &[u8]) -> TcpStream {
        let mut upstream = self.sent(GET);
        self.answer(&mut upstream);
        self.begin(request);
        self.until(State::AwaitingHead);
        let step = self.exchange.expire(Reader::HasRoom, self.now);
        assert_eq!(step, Step::Again);
        upstream
    }

    /// Sends a whole response, up to its delivery.
    fn answer(&mut self, upstream: &mut TcpStream) {
        upstream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        let to = Some(client());
        assert_eq!(self.next(), Step::Finished { to, keep: true });
    }

    /// Returns how long the kernel waits for an acknowledgement of the upstream.
    fn unacknowledged_for(&self) -> Option<Duration> {
        self.exchange.link.endpoint().unwrap().unacknowledged_for()
    }
}

#[test]
fn a_doubt_ends_with_the_first_byte() {
    let mut fixture = fixture();
    let mut upstream = fixture.in_doubt(GET);
    assert_eq!(fixture.unacknowledged_for(), DOUBT);
    upstream.write_all(b"H").unwrap();
    assert_eq!(fixture.next(), Step::Deliver { to: client() });
    assert_ne!(fixture.unacknowledged_for(), DOUBT);
}

#[test]
fn a_request_that_may_fill_the_window_is_not_doubted() {
    let put = |length: usize| {
        let head = format!("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; length]].concat()
    };
    let mut large = fixture();
    let _upstream = large.in_doubt(&put(16 * 1024));
    assert_ne!(large.unacknowledged_for(), DOUBT);
    let mut small = fixture();
    let _upstream = small.in_doubt(&put(15 * 1024));
    assert_eq!(small.unacknowledged_for(), DOUBT);
}
