//! Targets: what stage 4, and the tunnel with it, reads from clients and hops before any byte is relayed.
//!
//! Bytes that are cut elsewhere mean the same, what is decided stays decided, and no parser uses bytes that have not come.

use std::os::fd::AsFd as _;

use stage4_proxy::chain::{Request, Response};
use stage4_proxy::ingress::conversation::Conversation;
use stage4_proxy::ingress::{Client, Handshake, Http, Ingress, Opening, Socks5, Verdict};
use stage4_proxy::proxy_protocol::{self, Parsed};

use crate::script::Script;

/// More bytes than any input has.
const MAX_BYTES: usize = 64 * 1024;

/// The handshake of a SOCKS5 client.
pub(crate) fn socks5(input: &[u8]) {
    check_handshake(&Socks5::new(None), input);
}

/// The first request of a client of an HTTP proxy.
pub(crate) fn http(input: &[u8]) {
    check_handshake(&Http::new(None), input);
}

/// The headers of a chain, and those of the PROXY protocol.
pub(crate) fn headers(input: &[u8]) {
    check_prefixes(input, |bytes| match Request::parse(bytes) {
        Request::Incomplete => Prefix::Incomplete,
        Request::Connect { next, length } => {
            // A name in the form of an address comes back as that address, so the length may differ.
            let again = Request::encode(&next);
            let same = Request::parse(&again);
            assert!(
                matches!(same, Request::Connect { next: target, length } if target == next && length == again.len())
            );
            Prefix::Complete(length, format!("{next:?}"))
        }
        Request::Malformed(_) => Prefix::Malformed,
    });
    check_prefixes(input, |bytes| match Response::parse(bytes) {
        Ok(None) => Prefix::Incomplete,
        Ok(Some((response, length))) => Prefix::Complete(length, format!("{response:?}")),
        Err(_) => Prefix::Malformed,
    });
    check_prefixes(input, |bytes| match proxy_protocol::parse(bytes) {
        Parsed::Incomplete => Prefix::Incomplete,
        Parsed::Complete { origin, length } => Prefix::Complete(length, format!("{origin:?}")),
        Parsed::Malformed(_) => Prefix::Malformed,
    });
}

/// What the first bytes of something are.
#[derive(Debug, PartialEq, Eq)]
enum Prefix {
    Incomplete,
    /// All of it: its length, and what it says.
    Complete(usize, String),
    Malformed,
}

/// Checks that what is decided with some bytes stays decided with more of them.
fn check_prefixes(input: &[u8], parse: impl Fn(&[u8]) -> Prefix) {
    let mut decided = Prefix::Incomplete;
    for end in 0..=input.len() {
        let now = parse(&input[..end]);
        match decided {
            Prefix::Incomplete => decided = now,
            Prefix::Complete(..) | Prefix::Malformed => assert_eq!(now, decided),
        }
        if let Prefix::Complete(length, _) = decided {
            assert!(length <= end, "{length} bytes of {end}");
        }
    }
}

/// What has come of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    verdict: String,
    /// The bytes that do not belong to the target; those of a client that is refused count for nothing.
    used: Option<usize>,
    reply: Vec<u8>,
    forward: Vec<u8>,
    has_exchange: bool,
}

impl Outcome {
    /// Takes over from another outcome what depends on when bytes come: the reason of a refusal, and how much of a
    /// request's body goes with its head.
    fn alike(mut self, other: &Self) -> Self {
        // A body that is wrong refuses its request only if it has come with the head.
        if self.has_exchange && other.verdict == "Refuse"
            || self.verdict == "Refuse" && other.has_exchange
        {
            return other.clone();
        }
        if self.verdict == "Refuse" && other.verdict == "Refuse" {
            self.reply.clone_from(&other.reply);
        }
        if self.has_exchange && other.forward.starts_with(&self.forward) {
            self.forward.clone_from(&other.forward);
            self.used = other.used;
        }
        self
    }
}

fn check_handshake(ingress: &impl Ingress, input: &[u8]) {
    let mut script = Script::new(input);
    let size = usize::from(script.byte()) + 1;
    let bytes = script.take_all();
    let expected = play(ingress, [bytes]);
    for size in [size, 1] {
        let outcome = play(ingress, bytes.chunks(size)).alike(&expected);
        assert_eq!(outcome, expected, "cut after {size}");
    }
}

fn play<'a>(ingress: &impl Ingress, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut conversation = Conversation::new(begin(ingress), MAX_BYTES);
    let (mut pending, mut consumed) = (Vec::new(), 0);
    let mut outcome = Outcome {
        verdict: "More".to_owned(),
        used: None,
        reply: Vec::new(),
        forward: Vec::new(),
        has_exchange: false,
    };
    for piece in [&[][..]].into_iter().chain(pieces) {
        pending.extend_from_slice(piece);
        let step = conversation.advance(&pending);
        pending.drain(..step.consumed);
        consumed += step.consumed;
        outcome.reply.extend(step.reply);
        outcome.forward.extend(step.forward);
        if let Verdict::Connect(_) | Verdict::Associate(_) | Verdict::Identified(_) = step.verdict {
            outcome.used = Some(consumed);
        }
        if !step.verdict.is_more() {
            outcome.verdict = describe(&step.verdict);
            outcome.has_exchange = conversation.take_exchange().is_some();
            break;
        }
    }
    outcome
}

/// Begins the handshake of a client; its socket is of no interest to the protocols here.
fn begin(ingress: &impl Ingress) -> Box<dyn Handshake> {
    let socket = std::io::stdin();
    let address = std::net::SocketAddr::from(([192, 0, 2, 1], 1));
    let opening = ingress.open(&Client::new(address, socket.as_fd()));
    let Opening::Handshake(handshake) = opening else {
        panic!("{opening:?} is no handshake");
    };
    handshake
}

/// Describes a verdict, without the reason of a refusal: of several, the first that has come is told.
fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Refuse(_) => "Refuse".to_owned(),
        Verdict::More
        | Verdict::Connect(_)
        | Verdict::Associate(_)
        | Verdict::Identified(_)
        | Verdict::Unauthorized(_)
        | Verdict::TooLong => format!("{verdict:?}"),
    }
}
