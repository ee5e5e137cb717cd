//! Shared by the tests of the tunnel: one end of a link by hand, frame by frame, as a peer that is strange or hostile.

use std::net::SocketAddr;

use harness::{Client, Peer, expect_bytes};

pub(crate) const DATA: u8 = 0;
pub(crate) const UPDATE: u8 = 1;
pub(crate) const PING: u8 = 2;
pub(crate) const GO_AWAY: u8 = 3;

pub(crate) const SYN: u16 = 1;
pub(crate) const ACK: u16 = 2;
pub(crate) const FIN: u16 = 4;
pub(crate) const RST: u16 = 8;

/// Encodes a header of yamux.
pub(crate) fn header(kind: u8, flags: u16, stream: u32, length: u32) -> Vec<u8> {
    let mut bytes = vec![0, kind];
    bytes.extend(flags.to_be_bytes());
    bytes.extend(stream.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}

/// Encodes a frame of yamux with payload.
pub(crate) fn data(flags: u16, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it fits into 32 bits");
    [&header(DATA, flags, stream, length), payload].concat()
}

/// A frame that has come over a link of yamux.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u16,
    pub(crate) stream: u32,
    pub(crate) length: u32,
    pub(crate) payload: Vec<u8>,
}

/// One end of a link of yamux by hand.
#[derive(Debug)]
pub(crate) struct Link(Peer);

impl From<Peer> for Link {
    fn from(peer: Peer) -> Self {
        Self(peer)
    }
}

impl Link {
    /// Connects to a server's end, and waits until it has taken the link.
    #[track_caller]
    pub(crate) fn to(address: SocketAddr) -> Self {
        let link = Self(Client::connect(address));
        link.ping(1);
        link
    }

    /// Asks for a sign of life, and waits for it; only other pings may come before.
    #[track_caller]
    pub(crate) fn ping(&self, value: u32) {
        self.send(&header(PING, SYN, 0, value));
        self.expect(PING, ACK, 0, value);
    }

    #[track_caller]
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.0.send(bytes);
    }

    /// Returns the connection.
    pub(crate) fn peer(&self) -> &Peer {
        &self.0
    }

    /// Reads the next frame.
    #[track_caller]
    pub(crate) fn next(&self) -> Frame {
        let bytes = self.0.read_exact(12);
        let number = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let (kind, length) = (bytes[1], number(8));
        let payload = match kind {
            DATA => self.0.read_exact(length as usize),
            _ => Vec::new(),
        };
        Frame {
            kind,
            flags: u16::from_be_bytes([bytes[2], bytes[3]]),
            stream: number(4),
            length,
            payload,
        }
    }

    /// Checks that the next frame is this one.
    #[track_caller]
    pub(crate) fn expect(&self, kind: u8, flags: u16, stream: u32, length: u32) {
        let frame = self.next();
        let seen = (frame.kind, frame.flags, frame.stream, frame.length);
        assert_eq!(
            seen,
            (kind, flags, stream, length),
            "(type, flags, stream, length)"
        );
    }

    /// Checks that these bytes come next on a stream, in one frame or several, with nothing but credit between them.
    #[track_caller]
    pub(crate) fn expect_data(&self, stream: u32, expected: &[u8]) {
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            let frame = self.next();
            if frame.kind == UPDATE && frame.flags == 0 {
                continue;
            }
            assert_eq!((frame.kind, frame.stream), (DATA, stream), "{frame:?}");
            seen.extend(frame.payload);
        }
        expect_bytes("The data of the stream", expected, &seen);
    }

    /// Checks that the peer gives the link up because of an error of ours, and closes it.
    #[track_caller]
    pub(crate) fn expect_protocol_error(&self) {
        loop {
            let frame = self.next();
            if frame.kind == GO_AWAY {
                assert_eq!(frame.length, 1, "1 is a protocol error");
                break;
            }
        }
        self.0.expect_closed();
    }
}
