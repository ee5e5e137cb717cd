//! Headers of both versions, byte for byte, cut anywhere, and bytes that are none.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::ingress::{Handshake, Verdict};

/// The fixed part of a header of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn client(source: &str, destination: &str) -> Origin {
    Origin::Client {
        source: address(source),
        destination: address(destination),
    }
}

/// A header of version 2 with this family and these bytes behind its length.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

fn encoded(version: Version, source: &str, destination: &str) -> Vec<u8> {
    version.encode(Some(address(source)), Some(address(destination)))
}

/// Parses a header, and checks that every part of it is one, and that further bytes change nothing.
#[track_caller]
fn origin(header: &[u8]) -> Origin {
    for end in 0..header.len() {
        assert_eq!(parse(&header[..end]), Parsed::Incomplete, "{end} bytes");
    }
    let with_rest = [header, b"\r\nthe rest"].concat();
    match parse(&with_rest) {
        Parsed::Complete { origin, length } => {
            assert_eq!(length, header.len());
            origin
        }
        other @ (Parsed::Incomplete | Parsed::Malformed(_)) => panic!("{other:?}"),
    }
}

#[track_caller]
fn malformed(bytes: &[u8]) -> &'static str {
    match parse(bytes) {
        Parsed::Malformed(why) => why,
        other @ (Parsed::Incomplete | Parsed::Complete { .. }) => panic!("{other:?}: {bytes:?}"),
    }
}

#[test]
fn lines_of_version_1() {
    let (v4, v6) = (
        ("192.0.2.7:50312", "198.51.100.1:443"),
        ("[2001:db8::7]:1", "[::1]:65535"),
    );
    let table = [
        (v4, &b"PROXY TCP4 192.0.2.7 198.51.100.1 50312 443\r\n"[..]),
        (v6, b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n"),
    ];
    for ((source, destination), line) in table {
        assert_eq!(encoded(Version::V1, source, destination), line);
        assert_eq!(origin(line), client(source, destination));
    }
}

#[test]
fn headers_of_version_2() {
    let v4 = encoded(Version::V2, "192.0.2.7:50312", "198.51.100.1:443");
    let bytes = b"\xc0\0\x02\x07\xc6\x33\x64\x01\xc4\x88\x01\xbb";
    assert_eq!(v4, binary(0x21, 0x11, bytes));
    assert_eq!(origin(&v4), client("192.0.2.7:50312", "198.51.100.1:443"));

    let v6 = encoded(Version::V2, "[2001:db8::7]:258", "[::1]:3");
    let bytes = b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\x02\0\x03";
    assert_eq!(v6, binary(0x21, 0x21, bytes));
    assert_eq!(origin(&v6), client("[2001:db8::7]:258", "[::1]:3"));
}

#[test]
fn a_sender_may_speak_for_itself_or_not_know() {
    let longest = format!(
        "PROXY UNKNOWN {0} {0} 65535 65535\r\n",
        "ffff:".repeat(7) + "ffff"
    );
    assert_eq!(longest.len(), 107);
    let headers = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN whatever\x00\xff\r\n".to_vec(),
        longest.into_bytes(),
        binary(0x20, 0x00, b""),
        // What a LOCAL header says besides is skipped, even if it looks like addresses.
        binary(
            0x20,
            0x11,
            b"\xc0\0\x02\x07\xc6\x33\x64\x01\xc4\x88\x01\xbb",
        ),
        binary(0x21, 0x00, b"\x04\0\x01x"),
        binary(0x21, 0x31, &[0; 216]),
    ];
    for header in headers {
        assert_eq!(origin(&header), Origin::Sender, "{header:?}");
    }
    assert_eq!(Version::V1.encode(None, None), b"PROXY UNKNOWN\r\n");
    assert_eq!(Version::V2.encode(None, None), binary(0x21, 0x00, b""));
}

#[test]
fn tlvs_are_skipped() {
    let addresses = b"\xc0\0\x02\x07\xc6\x33\x64\x01\xc4\x88\x01\xbb";
    let tlvs = b"\x02\0\x0bexample.org\x20\0\x05\x01\0\0\0\0";
    let header = binary(0x21, 0x11, &[&addresses[..], tlvs].concat());
    assert_eq!(
        origin(&header),
        client("192.0.2.7:50312", "198.51.100.1:443")
    );
    let longest = binary(0x21, 0x11, &[&addresses[..], &[0; 4096 - 12]].concat());
    assert_eq!(
        origin(&longest),
        client("192.0.2.7:50312", "198.51.100.1:443")
    );
}

#[test]
fn a_client_has_one_address_in_both_families() {
    let mapped = b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n";
    assert_eq!(origin(mapped), client("192.0.2.7:1", "[2001:db8::1]:2"));
    assert_eq!(
        encoded(Version::V1, "192.0.2.7:1", "[2001:db8::1]:2"),
        mapped
    );
}

#[test]
fn other_bytes_are_told_by_their_first_ones() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"P\r",
        b"PROXX",
        b"proxy ",
        b"\x05\x01\0",
        b"\r\n\r\nG",
        b"PROXY\tTCP4",
    ] {
        assert_eq!(
            malformed(bytes),
            "the first bytes are those of another protocol"
        );
    }
}

#[test]
fn wrong_lines_are_refused() {
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 50312\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 50312 443 \r\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 50312 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 050312 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 1 443\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 1 443\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 1 443\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
    ] {
        assert_eq!(
            malformed(line.as_bytes()),
            "the line has no addresses of its family",
            "{line}"
        );
    }
    let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 93]].concat();
    assert!(malformed(&endless).contains("107"));
    assert_eq!(parse(&endless[..106]), Parsed::Incomplete);
}

#[test]
fn wrong_headers_are_refused() {
    let table = [
        (binary(0x11, 0x11, &[0; 12]), "version"),
        (binary(0x22, 0x11, &[0; 12]), "command"),
        (binary(0x21, 0x11, &[0; 11]), "cut off"),
        (binary(0x21, 0x21, &[0; 35]), "cut off"),
        (binary(0x21, 0x31, &[0; 215]), "cut off"),
        (binary(0x21, 0x12, &[0; 12]), "datagram"),
        (binary(0x21, 0x41, &[0; 12]), "family"),
        (binary(0x21, 0x11, &[0; 4097])[..16].to_vec(), "4096"),
    ];
    for (header, word) in table {
        let why = malformed(&header);
        assert!(why.contains(word), "{why}");
    }
}

#[test]
fn the_preamble_takes_the_header_only() {
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 50312 443\r\n";
    let step = Preamble.advance(&[&line[..], b"GET /"].concat());
    assert_eq!((step.consumed, step.reply.len()), (line.len(), 0));
    let expected = client("192.0.2.7:50312", "198.51.100.1:443");
    assert!(matches!(step.verdict, Verdict::Identified(origin) if *origin == expected));
    assert!(Preamble.advance(&line[..20]).verdict.is_more());
    let step = Preamble.advance(b"GET / HTTP/1.1\r\n");
    assert!(step.reply.is_empty(), "the peer is reset");
    assert!(matches!(step.verdict, Verdict::Refuse(why) if why.contains("another protocol")));
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        any::<([u16; 8], u16)>().prop_map(SocketAddr::from),
    ]
}

/// The same address, as a header that is read shows it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_again(source in any_address(), destination in any_address(), rest: Vec<u8>) {
        for version in [Version::V1, Version::V2] {
            let header = version.encode(Some(source), Some(destination));
            let expected = Origin::Client { source: canonical(source), destination: canonical(destination) };
            for end in 0..header.len() {
                prop_assert_eq!(parse(&header[..end]), Parsed::Incomplete);
            }
            let parsed = parse(&[&header[..], &rest].concat());
            prop_assert_eq!(parsed, Parsed::Complete { origin: expected, length: header.len() });
        }
    }

    /// Whatever comes, the verdict is the same with more bytes behind it, and comes after 4112 bytes at the latest.
    #[test]
    fn a_verdict_is_final(
        begin in prop_oneof![Just(b"".to_vec()), Just(b"PROXY ".to_vec()), Just(SIGNATURE.to_vec()), Just([SIGNATURE, b"\x21\x11"].concat())],
        rest in prop::collection::vec(any::<u8>(), 0..300),
        padding in prop_oneof![Just(0usize), Just(4112)],
    ) {
        let bytes = [begin, rest, vec![b'x'; padding]].concat();
        let mut first = None;
        for end in 0..=bytes.len() {
            let parsed = parse(&bytes[..end]);
            if let Parsed::Complete { length, .. } = parsed {
                prop_assert!(length <= end);
            }
            match first {
                None if parsed != Parsed::Incomplete => first = Some(parsed),
                Some(first) => prop_assert_eq!(parsed, first),
                None => {}
            }
        }
        prop_assert!(first.is_some() || bytes.len() < 4112);
    }
}
