//! The way from the client to the upstream: which proxies, and what to say to each of them.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use socket2::Socket;

use crate::conversation::{Answer, Conversation, Step};
use crate::load::connect;

/// How a client tells proxies where it wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Not at all: each proxy has one upstream.
    Plain,
    /// By SOCKS5 to each of them in turn, without a password: RFC 1928.
    Socks5,
    /// By CONNECT to each of them in turn: RFC 9110 section 9.3.6.
    Connect,
    /// By the request headers of all hops at once.
    Hops,
    /// The same, but without waiting for the answers.
    HopsUnawaited,
    /// By the addresses alone, in front of the first byte: shadowsocks without encryption, which answers nothing.
    Addresses,
}

/// An address to connect to, and the steps until the bytes go to the upstream.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    first: SocketAddr,
    pub(crate) steps: Vec<Step>,
    /// The first bytes for the upstream do not wait for the answers of the hops.
    is_early: bool,
}

impl Dial {
    /// Creates it from the proxies in their order; without one it leads to the upstream itself.
    pub(crate) fn new(way: Way, proxies: &[SocketAddr], upstream: SocketAddr) -> Self {
        let first = proxies.first().copied().unwrap_or(upstream);
        // Each proxy is told of the next address: the one behind it.
        let behind = proxies.iter().skip(1).copied().chain([upstream]);
        let next = behind.take(proxies.len());
        let steps = match way {
            Way::Plain => Vec::new(),
            Way::Socks5 => next.flat_map(socks5).collect(),
            Way::Connect => next.map(http_connect).collect(),
            Way::Hops | Way::HopsUnawaited => vec![hops(&next.collect::<Vec<_>>())],
            Way::Addresses => vec![addresses(next)],
        };
        Self {
            first,
            steps,
            is_early: way == Way::HopsUnawaited,
        }
    }

    /// Creates the way through one SOCKS5 proxy to a name, which the proxy has to resolve.
    pub(crate) fn to_name(proxy: SocketAddr, name: &str, port: u16) -> Self {
        Self {
            first: proxy,
            steps: socks5_to(&wire_name(name, port)).to_vec(),
            is_early: false,
        }
    }

    /// Returns the same way with one more step at its end; what comes behind no answer is sent at once, and so is what
    /// comes behind answers that are not awaited: then, the upstream has to answer with one byte.
    pub(crate) fn then(&self, send: &[u8], answer: Answer) -> Self {
        let mut dial = self.clone();
        let is_early = self.is_early;
        let is_unawaited = |last: &mut Step| is_early || last.answer == Answer::Nothing;
        let last = dial.steps.pop_if(is_unawaited);
        let answer = match last.as_ref().map(|last| last.answer) {
            Some(Answer::Hops(count)) => Answer::HopsAndByte(count),
            Some(_) | None => answer,
        };
        let before = last.map_or(Vec::new(), |last| last.send);
        let send = [&before, send].concat();
        dial.steps.push(Step { send, answer });
        dial
    }

    /// Opens the connection to the first proxy, and says nothing.
    pub(crate) fn connect(&self) -> io::Result<Socket> {
        connect(self.first)
    }

    /// Opens a connection all the way, blocking.
    pub(crate) fn open(&self) -> io::Result<Socket> {
        let socket = self.connect()?;
        let mut talk = Conversation::default();
        while let Some(bytes) = talk.to_send(&self.steps) {
            (&socket).write_all(bytes)?;
            // Some answers are of no bytes, and a read would wait for them forever.
            let mut is_answered = talk.take(&self.steps, &[])?;
            while !is_answered {
                is_answered = self.receive(&socket, &mut talk)?;
            }
        }
        Ok(socket)
    }

    /// Reads once; returns whether the answer of this step is complete.
    pub(crate) fn receive(&self, socket: &Socket, talk: &mut Conversation) -> io::Result<bool> {
        const ROOM: usize = 4096;
        let mut room = [0; ROOM];
        let mut socket = socket;
        match socket.read(&mut room)? {
            0 => Err(io::Error::other("the proxy closed instead of an answer")),
            count => talk.take(&self.steps, &room[..count]),
        }
    }
}

/// Returns the greeting and the request: RFC 1928 sections 3 and 4.
fn socks5(target: SocketAddr) -> [Step; 2] {
    socks5_to(&wire_address(target))
}

/// Returns the same for a target that is encoded already.
fn socks5_to(target: &[u8]) -> [Step; 2] {
    let greeting = vec![5, 1, 0];
    let request = [&[5, 1, 0], target].concat();
    [
        Step {
            send: greeting,
            answer: Answer::SocksMethod,
        },
        Step {
            send: request,
            answer: Answer::SocksReply,
        },
    ]
}

fn http_connect(target: SocketAddr) -> Step {
    let send = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").into_bytes();
    let answer = Answer::HttpHead;
    Step { send, answer }
}

/// Returns `01 │ address` for each hop.
fn hops(next: &[SocketAddr]) -> Step {
    let header = |&address: &SocketAddr| [&[1][..], &wire_address(address)].concat();
    let send = next.iter().flat_map(header).collect();
    let answer = Answer::Hops(next.len());
    Step { send, answer }
}

/// Returns the addresses, one behind the other: each proxy takes the first one off.
fn addresses(next: impl Iterator<Item = SocketAddr>) -> Step {
    let send = next.flat_map(wire_address).collect();
    let answer = Answer::Nothing;
    Step { send, answer }
}

/// Encodes an address as in RFC 1928 section 5.
pub(super) fn wire_address(address: SocketAddr) -> Vec<u8> {
    let (kind, octets) = match address.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (4, ip.octets().to_vec()),
    };
    [&[kind][..], &octets, &address.port().to_be_bytes()].concat()
}

/// Encodes a name in the same way; of a name that is too long, the rest is missing.
fn wire_name(name: &str, port: u16) -> Vec<u8> {
    const KIND: u8 = 3;
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    let name = &name.as_bytes()[..usize::from(length)];
    [&[KIND, length][..], name, &port.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(way: Way, proxies: &[&str]) -> Dial {
        let proxies: Vec<SocketAddr> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        Dial::new(way, &proxies, "127.0.0.9:256".parse().unwrap())
    }

    fn sent(dial: &Dial) -> Vec<Vec<u8>> {
        dial.steps.iter().map(|step| step.send.clone()).collect()
    }

    #[test]
    fn without_a_proxy_nothing_is_said() {
        for way in [Way::Plain, Way::Socks5, Way::Connect] {
            let dial = dial(way, &[]);
            assert_eq!(dial.first.port(), 256);
            assert!(dial.steps.is_empty(), "{way:?}");
        }
    }

    #[test]
    fn each_proxy_is_told_of_the_one_behind_it() {
        let dial = dial(Way::Socks5, &["127.0.0.1:1", "127.0.0.2:2"]);
        assert_eq!(dial.first.port(), 1);
        let greeting = vec![5, 1, 0];
        let second = vec![5, 1, 0, 1, 127, 0, 0, 2, 0, 2];
        let upstream = vec![5, 1, 0, 1, 127, 0, 0, 9, 1, 0];
        assert_eq!(sent(&dial), [greeting.clone(), second, greeting, upstream]);
    }

    #[test]
    fn a_name_goes_to_the_proxy_as_it_is() {
        let dial = Dial::to_name("127.0.0.1:1".parse().unwrap(), "a.b", 258);
        let request = [&[5, 1, 0, 3, 3][..], b"a.b", &[1, 2]].concat();
        assert_eq!(sent(&dial), [vec![5, 1, 0], request]);
    }

    #[test]
    fn hops_get_all_headers_at_once() {
        let dial = dial(Way::Hops, &["127.0.0.1:1", "[::1]:2"]);
        let mut second = vec![1, 4];
        second.extend([0; 15]);
        second.extend([1, 0, 2]);
        let upstream = [1, 1, 127, 0, 0, 9, 1, 0];
        assert_eq!(sent(&dial), [[&second[..], &upstream].concat()]);
        assert_eq!(dial.steps[0].answer, Answer::Hops(2));
    }

    #[test]
    fn addresses_without_an_answer_go_with_the_first_byte() {
        let dial = dial(Way::Addresses, &["127.0.0.1:1", "127.0.0.2:2"]);
        let both = vec![1, 127, 0, 0, 2, 0, 2, 1, 127, 0, 0, 9, 1, 0];
        assert_eq!(sent(&dial), std::slice::from_ref(&both));
        let more = dial.then(b"?", Answer::Byte);
        assert_eq!(sent(&more), [[&both[..], b"?"].concat()]);
        assert_eq!(more.steps[0].answer, Answer::Byte);
    }

    #[test]
    fn the_first_byte_may_go_with_all_headers() {
        let awaited = dial(Way::Hops, &["127.0.0.1:1", "127.0.0.2:2"]);
        let more = dial(Way::HopsUnawaited, &["127.0.0.1:1", "127.0.0.2:2"]);
        let more = more.then(b"?", Answer::Byte);
        assert_eq!(sent(&more), [[&sent(&awaited)[0][..], b"?"].concat()]);
        assert_eq!(more.steps[0].answer, Answer::HopsAndByte(2));
    }

    #[test]
    fn connect_names_the_target_twice() {
        let dial = dial(Way::Connect, &["127.0.0.1:1"]);
        let text = "CONNECT 127.0.0.9:256 HTTP/1.1\r\nHost: 127.0.0.9:256\r\n\r\n";
        assert_eq!(sent(&dial), [text.as_bytes().to_vec()]);
    }
}
