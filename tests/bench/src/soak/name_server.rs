//! A name server with a script: names that begin with `quick-` are answered at once, with `slow-` late, with `silent-` never.
//!
//! ```text
//!   getaddrinfo(3) in the proxy ── A? slow-7.soak. ──▶ 127.210.0.53:53 ── 300 ms ──▶ 127.0.0.1
//!                               ── AAAA? slow-7.soak. ──▶              ── 300 ms ──▶ no address
//! ```

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A loopback address of its own, because a machine may have a name server at the usual one.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 210, 0, 53);
/// `resolv.conf(5)` has no way to name another port.
const PORT: u16 = 53;

const SLOW: Duration = Duration::from_millis(300);

/// A name server that runs; dropping it ends its thread.
#[derive(Debug)]
pub(super) struct NameServer {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Starts it; only the superuser may.
    pub(super) fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((ADDRESS, PORT))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = thread::Builder::new()
            .name("name server".into())
            .spawn(move || serve(&socket, &flag))?;
        Ok(Self {
            is_over,
            thread: Some(thread),
        })
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// An answer that is not due yet.
struct Late {
    due: Instant,
    answer: Vec<u8>,
    peer: SocketAddr,
}

fn serve(socket: &UdpSocket, is_over: &AtomicBool) {
    const LARGEST_QUERY: usize = 512;
    const PATIENCE: Duration = Duration::from_millis(10);
    // All late answers are equally late, so this is in the order of their times.
    let mut late: VecDeque<Late> = VecDeque::new();
    let mut query = [0; LARGEST_QUERY];
    if socket.set_read_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    while !is_over.load(Ordering::Relaxed) {
        if let Ok((count, peer)) = socket.recv_from(&mut query)
            && let Some(question) = Question::parse(&query[..count])
        {
            let answer = question.answer();
            match question.manner {
                Manner::Silent => {}
                Manner::Quick => drop(socket.send_to(&answer, peer)),
                Manner::Slow => late.push_back(Late {
                    due: Instant::now() + SLOW,
                    answer,
                    peer,
                }),
            }
        }
        while late.front().is_some_and(|next| next.due <= Instant::now())
            && let Some(next) = late.pop_front()
        {
            // An answer that is lost is one more silent name.
            let _ = socket.send_to(&next.answer, next.peer);
        }
    }
}

/// How a name is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Quick,
    Slow,
    Silent,
}

/// The one question of a query: RFC 1035 section 4.
#[derive(Debug)]
struct Question<'a> {
    id: &'a [u8],
    /// Name, type and class, as they came.
    bytes: &'a [u8],
    manner: Manner,
    is_for_ipv4: bool,
}

impl<'a> Question<'a> {
    /// Reads a query; `None` if it is none.
    fn parse(query: &'a [u8]) -> Option<Self> {
        const HEADER: usize = 12;
        const TYPE_A: u8 = 1;
        const TYPE_AND_CLASS: usize = 4;
        let question = query.get(HEADER..)?;
        let mut at = 0;
        while *question.get(at)? != 0 {
            at += 1 + usize::from(question[at]);
        }
        let bytes = question.get(..at + 1 + TYPE_AND_CLASS)?;
        let label = bytes.get(1..1 + usize::from(bytes[0]))?;
        let manner = match label {
            label if label.starts_with(b"slow-") => Manner::Slow,
            label if label.starts_with(b"silent-") => Manner::Silent,
            _ => Manner::Quick,
        };
        Some(Self {
            id: &query[..2],
            bytes,
            manner,
            is_for_ipv4: bytes[at + 1..at + 3] == [0, TYPE_A],
        })
    }

    /// Returns 127.0.0.1, or no address for any other type of record.
    fn answer(&self) -> Vec<u8> {
        /// A response, recursion desired and available.
        const FLAGS: [u8; 2] = [0x81, 0x80];
        /// The name at offset 12, type A, class IN, 1 s to live, four bytes of address.
        const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1];
        let record = if self.is_for_ipv4 { &RECORD[..] } else { &[] };
        let counts = [0, 1, 0, u8::from(self.is_for_ipv4), 0, 0, 0, 0];
        [self.id, &FLAGS, &counts, self.bytes, record].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(label: &str, record_type: u8) -> Vec<u8> {
        let length = u8::try_from(label.len()).unwrap();
        let header = [7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let end = [&[4][..], b"soak", &[0, 0, record_type, 0, 1]].concat();
        [&header[..], &[length], label.as_bytes(), &end].concat()
    }

    #[test]
    fn the_first_label_says_how_a_name_is_answered() {
        for (label, manner) in [
            ("quick-1", Manner::Quick),
            ("slow-1", Manner::Slow),
            ("silent-1", Manner::Silent),
        ] {
            let query = query(label, 1);
            assert_eq!(Question::parse(&query).unwrap().manner, manner);
        }
    }

    #[test]
    fn only_a_question_for_ipv4_has_an_address() {
        let ipv4 = query("quick-1", 1);
        let answer = Question::parse(&ipv4).unwrap().answer();
        assert_eq!(answer[..2], [7, 9]);
        assert_eq!(answer[4..8], [0, 1, 0, 1]);
        assert_eq!(answer[12..ipv4.len()], ipv4[12..]);
        assert!(answer.ends_with(&[127, 0, 0, 1]));
        let ipv6 = query("quick-1", 28);
        let answer = Question::parse(&ipv6).unwrap().answer();
        assert_eq!(answer[4..8], [0, 1, 0, 0]);
        assert_eq!(answer.len(), ipv6.len());
    }

    #[test]
    fn a_query_that_is_cut_is_none() {
        let query = query("slow-1", 1);
        for cut in 0..query.len() {
            assert!(Question::parse(&query[..cut]).is_none(), "cut at {cut}");
        }
    }
}
