//! A stale descriptor: a browser presses buttons at random, and the route table of stage 4 is asked whose event it is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::close;
use serde::Deserialize;
use stage4_proxy::route_table::RouteTable;
use stage4_proxy::token::{Kind, Side, Token};

use crate::interactive::visit;

/// Presses 80 buttons of those that can be pressed, 30 times, then makes the first of the page's experiments.
const VISITOR: &str = r##"
let seed = 20251;
const random = (most) => { seed = (seed * 1103515245 + 12345) % 2147483648; return (seed >> 16) % most; };
const key = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
const records = [];
for (let round = 0; round < 30; round += 1) {
  key("Home");
  for (let count = 0; count < 80; count += 1) {
    const can = [...document.querySelectorAll("#work button:not(:disabled):not([data-does=again])")];
    can[random(can.length)].click();
  }
  records.push(proxy.record);
}
key("Home");
key("a");
for (const name of ["client 0", "upstream 0"]) document.querySelector(`[data-row="${name}"]`).click();
key("w");
document.querySelector(`[data-row="close 0"]`).click();
key("a");
key("e");
tell({ records, verdicts: ["question", "number", "row", "token"].map((id) => get(id).textContent) });
"##;

/// The first of the descriptors that stand for the page's numbers, far beyond those of other tests.
const BASE: RawFd = 500;
/// The number of the page that it stands for.
const FIRST: RawFd = 5;

#[derive(Deserialize)]
struct Visit {
    records: Vec<Vec<Step>>,
    verdicts: [String; 4],
}

/// One step of the page's model.
#[derive(Debug, Deserialize)]
#[serde(tag = "does", rename_all = "lowercase")]
enum Step {
    Accept {
        name: String,
        row: u32,
        sockets: [Numbered; 2],
    },
    Send {
        row: u32,
        column: usize,
    },
    Close {
        row: u32,
    },
    Wait {
        tokens: Vec<u64>,
    },
    Event(Looked),
}

#[derive(Debug, Deserialize)]
struct Numbered {
    number: RawFd,
    token: u64,
}

/// Whom each way finds for an event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Looked {
    token: u64,
    number: RawFd,
    by_number: Option<String>,
    by_row: Option<String>,
    found: Option<String>,
}

/// A session with its two sockets, the other ends of both, and the numbers that the kernel has given for them.
#[derive(Debug)]
struct Session {
    name: String,
    ours: [UnixStream; 2],
    peers: [UnixStream; 2],
    numbers: [RawFd; 2],
}

struct Proxy {
    table: RouteTable<Session>,
    poll: Epoll,
    /// Who owns a number now.
    owners: HashMap<RawFd, String>,
    null: File,
    stale: usize,
    wrong: usize,
}

impl Proxy {
    fn new() -> Self {
        Self {
            table: RouteTable::new(3),
            poll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap(),
            owners: HashMap::new(),
            null: File::open("/dev/null").unwrap(),
            stale: 0,
            wrong: 0,
        }
    }

    fn repeat(&mut self, step: &Step) {
        match step {
            Step::Accept { name, row, sockets } => self.accept(name, *row, sockets),
            Step::Send { row, column } => {
                let session = self.table.row_mut(*row).unwrap();
                session.peers[*column].write_all(b"x").unwrap();
            }
            Step::Close { row } => self.close(*row),
            Step::Wait { tokens } => assert_eq!(self.wait(), sorted(tokens.clone()), "{step:?}"),
            Step::Event(looked) => self.look_up(looked),
        }
        self.table.check_invariants();
    }

    fn accept(&mut self, name: &str, row: u32, sockets: &[Numbered; 2]) {
        let [client, upstream] = [(); 2].map(|()| UnixStream::pair().unwrap());
        let session = Session {
            name: name.to_owned(),
            ours: [client.0, upstream.0],
            peers: [client.1, upstream.1],
            numbers: [(); 2].map(|()| self.lowest_free_number()),
        };
        for (number, socket) in session.numbers.iter().zip(sockets) {
            assert_eq!(*number, socket.number, "the number of {name}");
            self.owners.insert(*number, name.to_owned());
        }
        assert_eq!(
            self.table.insert(session).unwrap(),
            row,
            "the row of {name}"
        );
        for (side, socket) in [Side::Client, Side::Upstream].into_iter().zip(sockets) {
            let token = self.table.mint(row, side);
            assert_eq!(token.pack(), socket.token, "the token of {name}'s {side}");
            let ours = &self.table.row(row).unwrap().ours[side.column()];
            ours.set_nonblocking(true).unwrap();
            let event = EpollEvent::new(EpollFlags::EPOLLIN, token.pack());
            self.poll.add(ours, event).unwrap();
        }
    }

    /// Opens a descriptor and returns its number, as the page counts.
    fn lowest_free_number(&self) -> RawFd {
        fcntl(&self.null, FcntlArg::F_DUPFD_CLOEXEC(BASE)).unwrap() - BASE + FIRST
    }

    /// Drops the session, which closes its sockets, so that epoll forgets them.
    fn close(&mut self, row: u32) {
        let session = self.table.remove(row).unwrap();
        for number in session.numbers {
            close(number + BASE - FIRST).unwrap();
            self.owners.remove(&number);
        }
    }

    fn wait(&self) -> Vec<u64> {
        let mut events = [EpollEvent::empty(); 8];
        let count = self.poll.wait(&mut events, EpollTimeout::ZERO).unwrap();
        sorted(events[..count].iter().map(EpollEvent::data).collect())
    }

    fn look_up(&mut self, looked: &Looked) {
        let token = Token::unpack(looked.token).unwrap();
        let by_row = self.table.row(token.row()).map(|it| it.name.as_str());
        assert_eq!(by_row, looked.by_row.as_deref(), "{looked:?}");
        let by_number = self.owners.get(&looked.number);
        assert_eq!(by_number, looked.by_number.as_ref(), "{looked:?}");
        self.wrong += usize::from(by_number.is_some() && looked.found.is_none());
        let found = self.table.get_mut(token);
        let name = found.as_ref().map(|session| session.name.as_str());
        assert_eq!(name, looked.found.as_deref(), "{looked:?}");
        match (found, token.kind()) {
            (Some(session), Kind::Session(side)) => {
                let _ = session.ours[side.column()].read(&mut [0; 256]).unwrap();
            }
            _ => self.stale += 1,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for row in 0..self.table.height() {
            if self.table.row(row).is_some() {
                self.close(row);
            }
        }
    }
}

fn sorted(mut tokens: Vec<u64>) -> Vec<u64> {
    tokens.sort_unstable();
    tokens
}

#[test]
fn the_page_of_a_stale_descriptor_says_what_the_route_table_says() {
    let Some(visit) = visit::<Visit>("stale-descriptor", VISITOR) else {
        return;
    };
    let (mut stale, mut wrong) = (0, 0);
    for record in &visit.records {
        let mut proxy = Proxy::new();
        for step in record {
            proxy.repeat(step);
        }
        stale += proxy.stale;
        wrong += proxy.wrong;
    }
    assert!(stale > 50 && wrong > 10, "{stale} stale, {wrong} wrong");
    let expected = [
        "Whose event is it? A's client had descriptor 5.",
        "B's client. Wrong!",
        "B's client. Wrong!",
        "The cell has another generation: None. The event is dropped.",
    ];
    assert_eq!(visit.verdicts, expected);
}
