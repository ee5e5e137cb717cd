//! Level and edge: a browser presses buttons at random, and two polls of the kernel are asked the same.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde::Deserialize;

use crate::interactive::visit;

/// Presses 400 buttons that a generator chooses, then the keys, and tells the record of each beginning.
const VISITOR: &str = r#"
const records = [];
let seed = 20251;
const names = ["send", "wait", "read", "drain", "send", "wait", "read", "wait"];
const press = (name) => document.querySelector(`button[data-does=${name}]`).click();
for (let round = 0; round < 8; round += 1) {
  for (let count = 0; count < 50; count += 1) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    press(count === 40 ? "end" : names[(seed >> 16) % names.length]);
  }
  records.push(socket.record);
  press("again");
}
const texts = [];
for (const key of ["s", "w", "r", "w"]) {
  document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  texts.push([get("level").textContent, get("edge").textContent, get("stuck").textContent]);
}
tell({ records, texts });
"#;

#[derive(Deserialize)]
struct Visit {
    records: Vec<Vec<Call>>,
    texts: Vec<[String; 3]>,
}

#[derive(Debug, Deserialize)]
struct Call {
    kind: String,
    /// The answers of a wait.
    level: Option<bool>,
    edge: Option<bool>,
    /// The result of a read of 2 bytes; -1 is EAGAIN.
    read: Option<i64>,
}

/// One socket in two polls.
struct Kernel {
    peer: UnixStream,
    ours: UnixStream,
    level: Epoll,
    edge: Epoll,
}

impl Kernel {
    fn new() -> Self {
        let (peer, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let poll = |flags| {
            let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
            poll.add(&ours, EpollEvent::new(flags, 0)).unwrap();
            poll
        };
        let level = poll(EpollFlags::EPOLLIN);
        let edge = poll(EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
        Self {
            peer,
            ours,
            level,
            edge,
        }
    }

    fn repeat(&mut self, call: &Call) {
        match call.kind.as_str() {
            "send" => self.peer.write_all(b"abc").unwrap(),
            "end" => self.peer.shutdown(Shutdown::Write).unwrap(),
            "wait" => {
                let answers = [Some(reports(&self.level)), Some(reports(&self.edge))];
                assert_eq!(answers, [call.level, call.edge], "level and edge: {call:?}");
            }
            "read" => assert_eq!(Some(self.read()), call.read, "{call:?}"),
            other => panic!("{other} is no call"),
        }
    }

    fn read(&mut self) -> i64 {
        match self.ours.read(&mut [0; 2]) {
            Ok(count) => i64::try_from(count).unwrap(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => -1,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Returns whether a poll has an event now.
fn reports(poll: &Epoll) -> bool {
    let mut events = [EpollEvent::empty()];
    poll.wait(&mut events, EpollTimeout::ZERO).unwrap() == 1
}

#[test]
fn the_page_of_edges_says_what_the_kernel_says() {
    let Some(visit) = visit::<Visit>("edges", VISITOR) else {
        return;
    };
    let calls: usize = visit.records.iter().map(Vec::len).sum();
    assert!(calls > 300, "{calls} calls");
    for record in &visit.records {
        let mut kernel = Kernel::new();
        for call in record {
            kernel.repeat(call);
        }
    }
    let [level, edge, warning] = visit.texts.last().unwrap();
    assert_eq!([level, edge], ["EPOLLIN", "sleeps"], "one byte is left");
    assert!(warning.starts_with("1 bytes are there"), "{warning}");
}
