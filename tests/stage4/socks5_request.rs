//! Exercise 4.8 through the library: the bytes of a SOCKS5 client, and the replies to them.

use std::net::{Ipv6Addr, SocketAddr};

use harness::{Rng, Test, ensure, expect_bytes};
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::ingress::Socks5;

use crate::handshakes::{Talk, other_error};
use crate::socks5::{named, request};

/// A greeting that offers no authentication, and the reply to it.
const GREETING: &[u8] = &[5, 1, 0];
const GREETED: &[u8] = &[5, 0];

/// The ingress, for clients without authentication.
fn socks5() -> Socks5 {
    Socks5::default()
}

/// Begins the handshake of a client that has greeted, and then sends these pieces.
fn ask(pieces: &[&[u8]]) -> Talk {
    Talk::of(&socks5(), &[&[GREETING], pieces].concat())
}

/// One request for each type of address, and its target.
fn requests() -> [(Vec<u8>, &'static str); 3] {
    let [v4, v6] =
        ["192.0.2.1:80", "[2001:db8::1:2]:443"].map(|it| it.parse().expect("an address"));
    [
        (request(v4), "192.0.2.1:80"),
        (named("example.org", 8080), "example.org:8080"),
        (request(v6), "[2001:db8::1:2]:443"),
    ]
}

/// Checks that a request is refused, and with which code.
#[track_caller]
fn is_refused(request: &[u8], code: u8, because: &str) {
    let talk = ask(&[request]);
    ensure(
        talk.refused,
        format!("{because}, so {request:02x?} gets no connection."),
    );
    expect_bytes(
        &format!("The reply ({because}: code {code}, and an address of zeros)"),
        &[GREETED, &[5, code, 0, 1, 0, 0, 0, 0, 0, 0]].concat(),
        &talk.reply,
    );
}

#[test]
fn e4_8_each_type_of_address_has_its_own_length() {
    let _test = Test::begin("Type 1 has 4 bytes, type 4 has 16, type 3 says its length itself.");
    for (request, target) in requests() {
        let talk = ask(&[&request]);
        let seen = talk.target.as_deref();
        assert_eq!(seen, Some(target), "the target of {request:02x?}");
        expect_bytes(
            "The reply before the target is connected, to the greeting alone,",
            GREETED,
            &talk.reply,
        );
    }
}

#[test]
fn e4_8_a_request_may_end_anywhere() {
    let _test = Test::begin(
        "A read brings any number of bytes. Decide when the last one is there: is the slice long enough?",
    );
    for (request, target) in requests() {
        for end in 0..request.len() {
            let (first, second) = request.split_at(end);
            let mut talk = ask(&[first]);
            ensure(
                !talk.is_over(),
                format!("{first:02x?} is only the beginning of a request: wait for the rest."),
            );
            assert_eq!(talk.rest(), first, "a part of a request is not consumed");
            talk.hear(second);
            let seen = talk.target.as_deref();
            assert_eq!(seen, Some(target), "{first:02x?}, then {second:02x?}");
        }
    }
}

#[test]
fn e4_8_a_request_may_come_byte_by_byte() {
    let _test = Test::begin("Each byte comes alone: nothing may be read twice, or forgotten.");
    for (request, target) in requests() {
        let all = [GREETING, &request].concat();
        let mut talk = Talk::begin(&socks5());
        all.iter().for_each(|&byte| talk.hear(&[byte]));
        assert_eq!(
            talk.target.as_deref(),
            Some(target),
            "the target of the request"
        );
        assert_eq!(talk.rest(), b"", "bytes behind the request");
    }
}

#[test]
fn e4_8_bytes_behind_the_request_belong_to_the_target() {
    let _test = Test::begin(
        "A client may send its first bytes with the request: say how long the request was, and leave the rest.",
    );
    let payload = Rng::for_test().nonce(40);
    for (request, target) in requests() {
        let talk = ask(&[&[&request[..], &payload].concat()]);
        assert_eq!(
            talk.target.as_deref(),
            Some(target),
            "the target of the request"
        );
        expect_bytes(
            &format!("The rest behind the request to {target}, which is for the target,"),
            &payload,
            talk.rest(),
        );
    }
}

#[test]
fn e4_8_everything_may_come_at_once() {
    let _test = Test::begin("Greeting, request and payload may come in one segment.");
    let (request, target) = &requests()[1];
    let all = [GREETING, request, b"GET / HTTP/1.0\r\n"].concat();
    let talk = Talk::of(&socks5(), &[&all]);
    assert_eq!(
        talk.target.as_deref(),
        Some(*target),
        "the target of the request"
    );
    expect_bytes(
        "The rest behind the request, which is for the target,",
        b"GET / HTTP/1.0\r\n",
        talk.rest(),
    );
    expect_bytes("The reply to the greeting", GREETED, &talk.reply);
}

#[test]
fn e4_8_a_greeting_lists_any_number_of_methods() {
    let _test = Test::begin("The second byte of a greeting says how many methods follow.");
    let request = &requests()[0].0;
    for methods in [&[0][..], &[1, 0], &[0, 1], &[0x80, 0xfe, 1, 0]] {
        let count = u8::try_from(methods.len()).unwrap();
        let greeting = [&[5, count], methods].concat();
        for end in 0..greeting.len() {
            let (first, second) = greeting.split_at(end);
            let talk = Talk::of(&socks5(), &[first, second, request]);
            expect_bytes(
                &format!(
                    "The reply to the methods {methods:02x?}, of which 0 is the one without authentication,"
                ),
                GREETED,
                &talk.reply,
            );
            assert_eq!(
                talk.target.as_deref(),
                Some("192.0.2.1:80"),
                "the target of the request"
            );
        }
    }
}

#[test]
fn e4_8_the_high_byte_of_a_port_comes_first() {
    let _test = Test::begin("Numbers in network protocols are big-endian: u16::from_be_bytes.");
    for port in [1, 255, 256, 258, 0x1234, 65535] {
        let address = SocketAddr::from(([192, 0, 2, 1], port));
        let seen = ask(&[&request(address)]).target;
        assert_eq!(
            seen,
            Some(address.to_string()),
            "the address that was encoded and parsed again"
        );
    }
}

#[test]
fn e4_8_a_name_may_be_an_address() {
    let _test = Test::begin(
        "curl --socks5-hostname sends every target as a name: an address in text is an address.",
    );
    for (name, target) in [
        ("127.0.0.1", "127.0.0.1:80"),
        ("::1", "[::1]:80"),
        ("a", "a:80"),
        ("A.Example.Org.", "A.Example.Org.:80"),
    ] {
        let seen = ask(&[&named(name, 80)]).target;
        assert_eq!(seen.as_deref(), Some(target), "the name {name:?}");
    }
    let longest = vec!["a".repeat(63); 4].join(".")[..253].to_owned();
    let seen = ask(&[&named(&longest, 80)]).target;
    assert_eq!(seen, Some(format!("{longest}:80")), "253 bytes");
}

#[test]
fn e4_8_what_is_no_target_is_refused() {
    let _test = Test::begin("A request with a target that cannot be is answered, with code 1.");
    is_refused(&named("", 80), 1, "An empty name is none");
    is_refused(&named("exa mple", 80), 1, "A name has no space");
    is_refused(
        &named("example.org\0", 80),
        1,
        "A name does not end in a zero",
    );
    is_refused(&named("example.org", 0), 1, "No program listens on port 0");
    let bytes = [5, 1, 0, 3, 2, 0xff, 0xfe, 0, 80];
    is_refused(&bytes, 1, "A name is text, and these bytes are none");
}

#[test]
fn e4_8_each_reason_has_its_own_code() {
    let _test =
        Test::begin("The code in the reply says why: 7 the command, 8 the type of address.");
    is_refused(
        &[5, 2, 0, 1, 127, 0, 0, 1, 0, 80],
        7,
        "Command 2, BIND, is not supported",
    );
    is_refused(&[5, 2], 7, "The command is known before the address");
    is_refused(
        &[5, 9, 0, 1, 127, 0, 0, 1, 0, 80],
        7,
        "There is no command 9",
    );
    is_refused(
        &[5, 1, 0, 2, 127, 0, 0, 1, 0, 80],
        8,
        "There is no type 2, so the length is unknown",
    );
    is_refused(&[5, 1, 0, 0], 8, "There is no type 0");
    is_refused(&[4, 1, 0, 80], 1, "4 is the version of another protocol");
}

#[test]
fn e4_8_the_reserved_byte_has_no_meaning() {
    let _test = Test::begin("Some clients leave garbage in the third byte: do not look at it.");
    let mut bytes = requests()[0].0.clone();
    bytes[2] = 0xaa;
    assert_eq!(
        ask(&[&bytes]).target.as_deref(),
        Some("192.0.2.1:80"),
        "the target of the request"
    );
}

#[test]
fn e4_8_a_reply_is_as_long_as_its_address() {
    let _test = Test::begin(
        "A reply carries an address, too, and a client reads as many bytes as its type says: 10, or 22 with IPv6.",
    );
    let mut talk = ask(&[&requests()[0].0]);
    let replied = |talk: &mut Talk, local: &str| talk.connected(Some(local.parse().unwrap()));
    expect_bytes(
        "The reply with the proxy's end 192.0.2.7:258",
        &[5, 0, 0, 1, 192, 0, 2, 7, 1, 2],
        &replied(&mut talk, "192.0.2.7:258"),
    );
    let six: Ipv6Addr = "2001:db8::7".parse().unwrap();
    expect_bytes(
        "The reply with the proxy's end [2001:db8::7]:258",
        &[&[5, 0, 0, 4], &six.octets()[..], &[1, 2]].concat(),
        &replied(&mut talk, "[2001:db8::7]:258"),
    );
    let none = talk.connected(None);
    let zeros = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    expect_bytes(
        "The reply with zeros for an address that is unknown",
        &zeros,
        &none,
    );
}

#[test]
fn e4_8_a_failure_is_a_reply_and_not_silence() {
    let _test = Test::begin(
        "A client that only sees the connection close cannot tell a wrong name from a proxy that has crashed.",
    );
    let table = [
        (ConnectError::Refused, 5),
        (ConnectError::TimedOut, 6),
        (ConnectError::Unreachable, 3),
        (other_error(), 1),
    ];
    for (error, code) in table {
        let reply = ask(&[&requests()[0].0]).failed(&error);
        let expected = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        expect_bytes(&format!("The reply to \"{error}\""), &expected, &reply);
    }
}

#[test]
fn e4_8_arbitrary_bytes_do_no_harm() {
    let _test = Test::begin("A peer may send anything. No input may be an index out of bounds.");
    let mut rng = Rng::for_test();
    for _ in 0..3000 {
        let length = rng.below(40);
        let mut bytes = rng.bytes(length);
        // So that most of them pass the first checks.
        for (byte, likely) in bytes.iter_mut().zip([5, 1, 0]) {
            *byte = likely;
        }
        if let Some(kind) = bytes.get_mut(3) {
            *kind %= 6;
        }
        let cut = rng.below(length + 1);
        let talk = ask(&[&bytes[..cut], &bytes[cut..]]);
        ensure(
            talk.rest().len() <= length,
            "A handshake cannot make up bytes of the client.",
        );
    }
}
