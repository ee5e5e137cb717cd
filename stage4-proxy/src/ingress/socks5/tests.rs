//! The handshake is driven as a session drives it: all bytes at once, in pieces, and with failures.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use harness::{expect_bytes, expect_value, fail};
use proptest::prelude::*;
use stage2_client::{Host, Target};

use super::*;
use crate::access::Denial;
use crate::connect_error::ConnectError;
use crate::ingress::Verdict;
use crate::ingress::conversation::Conversation;

mod users;

/// A greeting that offers no authentication, and is accepted.
const GREETING: [u8; 3] = [5, 1, 0];

/// What a client has got, and what the proxy makes of it.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    reply: Vec<u8>,
    target: Option<Target>,
    /// Whether datagrams are asked for, and with which hint.
    associated: Option<Option<SocketAddr>>,
    refused: Option<String>,
    /// Bytes that are left for the target.
    rest: Vec<u8>,
}

/// Gives a new handshake the pieces, one read each.
fn converse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    converse_with(None, pieces)
}

/// The same, of a proxy with users or without.
fn converse_with<'a>(users: Option<Users>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut handshake = Conversation::new(Box::new(Socks5Handshake::new(users)), 4096);
    let (mut pending, mut reply) = (Vec::new(), Vec::new());
    let (mut target, mut refused, mut associated) = (None, None, None);
    for piece in pieces {
        pending.extend_from_slice(piece);
        if target.is_some() || refused.is_some() || associated.is_some() {
            continue;
        }
        let step = handshake.advance(&pending);
        pending.drain(..step.consumed);
        reply.extend(step.reply);
        match step.verdict {
            Verdict::More => {}
            Verdict::Connect(it) => target = Some((*it).clone()),
            Verdict::Refuse(why) => refused = Some(why),
            Verdict::Associate(hint) => associated = Some(hint),
            Verdict::Identified(_) => panic!("SOCKS5 has no such verdict"),
            Verdict::Unauthorized(wrong) => refused = Some(wrong.to_string()),
            Verdict::TooLong => refused = Some("too long".to_owned()),
        }
    }
    Outcome {
        reply,
        target,
        associated,
        refused,
        rest: pending,
    }
}

/// Encodes a CONNECT request to an address of this type.
fn request(kind: u8, address: &[u8], port: u16) -> Vec<u8> {
    [&[5, 1, 0, kind], address, &port.to_be_bytes()].concat()
}

fn named(name: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    request(3, &[&[length], name.as_bytes()].concat(), port)
}

/// Refused after the greeting: the reply's code, and the reason for the log.
fn refusal(request: &[u8]) -> (u8, String) {
    let outcome = converse([&GREETING[..], request]);
    let (Some(why), [5, 0, 5, code, ..]) = (&outcome.refused, &outcome.reply[..]) else {
        fail(format!(
            "The request {request:?} is to be refused with a reply, but this came of it: {outcome:?}."
        ));
    };
    expect_value(
        format!("The length of the replies to a greeting and to the request {request:?}"),
        &12,
        &outcome.reply.len(),
        "a reply ends with an address and a port, although nothing is connected: 10 bytes behind the 2 of the greeting.",
    );
    (*code, why.clone())
}

#[test]
fn every_type_of_address_is_read() {
    let table = [
        (request(1, &[192, 0, 2, 1], 80), "192.0.2.1:80"),
        (named("example.org", 443), "example.org:443"),
        (
            request(4, &Ipv6Addr::LOCALHOST.octets(), 65535),
            "[::1]:65535",
        ),
        // curl --socks5-hostname sends addresses as names, too.
        (named("127.0.0.1", 8080), "127.0.0.1:8080"),
        (named("::1", 8080), "[::1]:8080"),
    ];
    for (request, target) in table {
        let outcome = converse([&GREETING[..], &request]);
        expect_value(
            format!("The target of the request {request:?}"),
            &Some(target.parse().unwrap()),
            &outcome.target,
            "the type of the address says where its host ends; the port is behind, its high byte first.",
        );
        expect_bytes(
            &format!("What the client of {target} has got before its target is connected"),
            &[5, 0],
            &outcome.reply,
        );
    }
}

#[test]
fn bytes_behind_the_request_are_the_target_s() {
    let all = [
        &GREETING[..],
        &named("example.org", 80),
        b"GET / HTTP/1.0\r\n",
    ]
    .concat();
    let outcome = converse([&all[..]]);
    expect_value(
        "The target of a request that came with its greeting and the first bytes for the target",
        &Some("example.org:80".parse().unwrap()),
        &outcome.target,
        "what lies behind the request belongs to the target.",
    );
    expect_bytes(
        "What is left for the target",
        b"GET / HTTP/1.0\r\n",
        &outcome.rest,
    );
}

#[test]
fn a_client_without_a_fitting_method_is_told_so() {
    for greeting in [&[5, 0][..], &[5, 2, 1, 2]] {
        let outcome = converse([greeting]);
        assert_eq!(outcome.reply, [5, 0xff]);
        assert!(outcome.refused.unwrap().contains("authentication method"));
    }
    let several = converse([&[5, 3, 2, 0, 1][..]]);
    assert_eq!((several.reply, several.refused), (vec![5, 0], None));
}

#[test]
fn another_protocol_gets_an_answer_of_its_own() {
    let socks4 = converse([&[4, 1, 0, 80, 127, 0, 0, 1, 0][..]]);
    assert_eq!(socks4.reply[..2], [0, 91]);
    assert!(socks4.refused.unwrap().contains("SOCKS4"));

    let http = converse([&b"CONNECT example.org:443 HTTP/1.1\r\n"[..]]);
    let text = String::from_utf8(http.reply).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{text}"
    );
    assert!(http.refused.unwrap().contains("HTTP"));

    // TLS.
    assert_eq!(converse([&[22, 3, 1][..]]).refused.unwrap(), "not SOCKS5");
}

#[test]
fn datagrams_are_asked_for_with_an_address_or_without() {
    let table = [
        (vec![5, 3, 0, 1, 0, 0, 0, 0, 0, 0], Some("0.0.0.0:0")),
        (vec![5, 3, 0, 1, 127, 0, 0, 1, 0, 80], Some("127.0.0.1:80")),
        (
            [&[5, 3, 0, 4][..], &[0; 15], &[1, 0, 80]].concat(),
            Some("[::1]:80"),
        ),
        (vec![5, 3, 0, 3, 1, b'a', 0, 80], None),
        (vec![5, 3, 0, 3, 0, 0, 0], None),
    ];
    for (request, hint) in table {
        let outcome = converse([&GREETING[..], &request]);
        let hint = hint.map(|hint| hint.parse().unwrap());
        expect_value(
            format!(
                "What is made of the request {request:?} (Some: an association, with a hint or without)"
            ),
            &Some(hint),
            &outcome.associated,
            "the command 3 asks for datagrams, and its address may be zeros, or a name of no bytes.",
        );
        for end in 0..request.len() {
            let outcome = converse([&GREETING[..], &request[..end]]);
            expect_value(
                format!(
                    "What is made of the first {end} bytes of {request:?} (an association, a refusal)"
                ),
                &(None, None),
                &(outcome.associated, outcome.refused),
                "a part of a request is Incomplete: more may come.",
            );
        }
    }
}

#[test]
fn requests_that_cannot_be_carried_out_have_their_reply() {
    let loopback = [127, 0, 0, 1, 0, 80];
    let with = |command, kind| [&[5, command, 0, kind], &loopback[..]].concat();
    let table = [
        (with(2, 1), 7, "BIND"),
        (with(3, 2), 8, "type of the address"),
        (with(0, 1), 7, "unknown"),
        (with(1, 2), 8, "type of the address"),
        (with(1, 0xff), 8, "type of the address"),
        (request(1, &[127, 0, 0, 1], 0), 1, "port"),
        (named("", 80), 1, "host name"),
        (named("exa mple", 80), 1, "host name"),
        (request(3, &[2, 0xff, 0xff], 80), 1, "host name"),
        (vec![4, 1, 0, 1], 1, "not of SOCKS5"),
    ];
    for (request, code, word) in table {
        let (reply, why) = refusal(&request);
        expect_value(
            format!("The code of the reply to {request:?}"),
            &code,
            &reply,
            "first the version is tested, then the command, and then the address.",
        );
        assert!(
            why.contains(word),
            "the reason in the log for {request:?} is to have the word {word:?}, but is: {why}"
        );
    }
}

#[test]
fn the_reply_carries_the_proxy_s_address() {
    let mut handshake = Socks5Handshake::new(None);
    let mut reply = |address: Option<&str>| {
        let address = address.map(|text| text.parse().unwrap());
        handshake.connected(address)
    };
    let four = [5, 0, 0, 1, 192, 0, 2, 7, 1, 2];
    let six: Vec<u8> = (Ipv6Addr::LOCALHOST.octets().into_iter())
        .chain([1, 2])
        .collect();
    let table = [
        (Some("192.0.2.7:258"), four.to_vec()),
        (Some("[::1]:258"), [&[5, 0, 0, 4], &six[..]].concat()),
        (None, vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ];
    for (address, expected) in table {
        let what = format!("The reply with the proxy's address {address:?}");
        expect_bytes(&what, &expected, &reply(address));
    }
}

#[test]
fn every_failure_has_its_reply() {
    let errors = [
        (ConnectError::Resolve(io::Error::other("no such name")), 4),
        (ConnectError::Denied(Denial::OwnListener), 2),
        (ConnectError::Refused, 5),
        (ConnectError::TimedOut, 6),
        (ConnectError::Unreachable, 3),
        (ConnectError::Other(io::Error::other("no ports left")), 1),
    ];
    let mut handshake = Socks5Handshake::new(None);
    handshake.advance(&GREETING);
    for (error, code) in errors {
        let reply = handshake.failed(&Failure::Unreached(&error));
        expect_bytes(
            &format!("The reply when the target is not reached ({error})"),
            &[5, code, 0, 1, 0, 0, 0, 0, 0, 0],
            &reply,
        );
    }
    assert_eq!(handshake.failed(&Failure::TooSlow)[1], 1);
}

#[test]
fn before_its_greeting_a_slow_client_gets_no_request_s_reply() {
    let mut handshake = Socks5Handshake::new(None);
    assert_eq!(handshake.failed(&Failure::TooSlow), [5, 0xff]);
}

fn any_target() -> impl Strategy<Value = Target> {
    let host = prop_oneof![
        any::<[u8; 4]>().prop_map(|it| Host::Address(IpAddr::V4(Ipv4Addr::from(it)))),
        any::<[u8; 16]>().prop_map(|it| Host::Address(IpAddr::V6(Ipv6Addr::from(it)))),
        "[a-z][a-z0-9.-]{0,200}".prop_map(Host::Name),
    ];
    (host, 1u16..).prop_map(|(host, port)| Target { host, port })
}

fn encode(target: &Target) -> Vec<u8> {
    match &target.host {
        Host::Address(IpAddr::V4(address)) => request(1, &address.octets(), target.port),
        Host::Address(IpAddr::V6(address)) => request(4, &address.octets(), target.port),
        Host::Name(name) => named(name, target.port),
    }
}

proptest! {
    #[test]
    fn any_target_is_understood_however_its_bytes_are_cut(
        target in any_target(),
        rest in proptest::collection::vec(any::<u8>(), 0..50),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let all = [&GREETING[..], &encode(&target), &rest].concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(all.len())).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let outcome = converse(cuts.windows(2).map(|pair| &all[pair[0]..pair[1]]));
        prop_assert_eq!(outcome, Outcome { reply: vec![5, 0], target: Some(target), associated: None, refused: None, rest });
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let outcome = converse(pieces.iter().map(Vec::as_slice));
        prop_assert!(outcome.reply.len() < 200);
    }

    #[test]
    fn after_a_greeting_arbitrary_bytes_do_no_harm(request in proptest::collection::vec(any::<u8>(), 0..300)) {
        converse([&GREETING[..], &request]);
    }
}
