//! A client that was served and asks nothing more.

use super::*;

use crate::http::body::Body;
use crate::http::exchange::{Exchange, Upload};
use crate::http::response::{Asked, Response};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// Takes everything that comes in one piece for a request, and passes it on as it is.
#[derive(Clone, Debug)]
struct Requests(Arc<Target>);

impl Ingress for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::new(self.clone()))
    }
}

impl Handshake for Requests {
    fn advance(&mut self, input: &[u8]) -> Step {
        if input.is_empty() {
            return Step::more();
        }
        let asked = Asked {
            head_only: false,
            minor: 1,
            persistent: true,
        };
        let (upload, response) = (Upload::new(Body::Length(0)), Response::new(asked));
        Step {
            consumed: input.len(),
            reply: Vec::new(),
            forward: input.to_vec(),
            exchange: Some(Box::new(Exchange::new(upload, response, None))),
            verdict: Verdict::Connect(Arc::clone(&self.0)),
        }
    }

    fn connected(&mut self, _: Option<SocketAddr>) -> Vec<u8> {
        Vec::new()
    }

    fn failed(&mut self, _: &Failure<'_>) -> Vec<u8> {
        Vec::new()
    }
}

#[test]
fn a_client_that_was_served_is_closed_in_order() {
    let hand = Hand::start();
    let limits = Limits {
        handshake_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let ingress = Requests(Arc::new(target(&hand.addr().to_string())));
    let proxy = Running::start(ingress, answering(Vec::new()), limits);
    let client = proxy.client();
    client.send(REQUEST);
    let upstream = hand.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    upstream.send(RESPONSE);
    let _ = client.read_until(b"\r\n\r\nhi");
    let end = client.expect_closed();
    assert_eq!(
        end,
        End::Eof,
        "the client has got its response, and its time for a further request is over. Nothing has failed, so it is closed in \
         order, with a FIN; a reset tells it that something was lost"
    );
}
