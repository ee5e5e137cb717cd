//! Turns of the event loop: a browser steps through the page, and the code of stage 3 repeats its every turn.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;

use serde::Deserialize;
use stage3_epoll::{Client, ClientTable, Event, Interest, Readiness, State, Token};

use crate::interactive::visit;

/// Presses "Next" to the end, then some keys, and tells everything that it has seen.
const VISITOR: &str = r#"
const seen = [], where = () => get("count").textContent;
const look = () => seen.push({ title: get("title").textContent, rows: [...get("rows").children].map((row) =>
  [...row.children].map((cell) => cell.textContent).join(" ")) });
look();
while (!get("next").disabled) { get("next").click(); look(); }
const keys = ["ArrowLeft", "ArrowLeft", "ArrowRight", "Home", "ArrowLeft", "End"].map((key) => {
  document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  return where();
});
tell({ seen, keys, turns: loop.record });
"#;

#[derive(Debug, Deserialize)]
struct Visit {
    seen: Vec<Seen>,
    keys: Vec<String>,
    turns: Vec<Turn>,
}

/// The content of a step.
#[derive(Debug, Deserialize)]
struct Seen {
    title: String,
    rows: Vec<String>,
}

/// A step of the page's model for a client.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Turn {
    Accepted {
        accepted: String,
        row: u64,
        generation: u64,
    },
    Served(Served),
}

#[derive(Debug, Deserialize)]
struct Served {
    row: u64,
    generation: u64,
    flags: String,
    /// The bytes that the read returned, if there was one.
    read: Option<Bytes>,
    /// The bytes that the write accepted, if there was one.
    write: Option<usize>,
    state: String,
    output: usize,
    interest: String,
    changed: bool,
}

#[derive(Debug, Deserialize)]
struct Bytes {
    count: usize,
    /// How much of the input was answered.
    answered: usize,
}

/// The behaviour of a client's socket in a turn, and the calls made so far.
#[derive(Debug, Default)]
struct Script {
    reads: VecDeque<Vec<u8>>,
    writes: VecDeque<usize>,
    /// How many bytes were offered to the last write.
    offered: usize,
    /// Reads and writes.
    calls: (usize, usize),
}

/// A socket that follows a script, to which the test appends.
#[derive(Debug, Default)]
struct Scripted(Rc<RefCell<Script>>);

impl Read for Scripted {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let mut script = self.0.borrow_mut();
        script.calls.0 += 1;
        let bytes = script.reads.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        scratch[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut script = self.0.borrow_mut();
        script.calls.1 += 1;
        script.offered = bytes.len();
        match script.writes.pop_front() {
            Some(0) | None => Err(io::ErrorKind::WouldBlock.into()),
            Some(count) => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_interactive_page_does_what_the_code_does() {
    let Some(visit) = visit::<Visit>("event-loop", VISITOR) else {
        return;
    };
    check_steps(&visit);
    let mut clients = ClientTable::new();
    for turn in &visit.turns {
        match turn {
            Turn::Accepted {
                accepted,
                row,
                generation,
            } => {
                let client = Client::new(Scripted::default(), "192.0.2.1:1024".parse().unwrap());
                let token = clients.insert(client);
                assert_eq!(token, Token(generation << 32 | row), "{accepted}'s token");
            }
            Turn::Served(served) => replay(&mut clients, served),
        }
    }
    assert_eq!(clients.len(), 1, "C is left for the end");
}

/// Checks the page itself: every step can be reached, and the decisive ones show what their text says.
fn check_steps(visit: &Visit) {
    let count = visit.seen.len();
    assert!(count > 30, "{count} steps");
    let at = |step| format!("step {step} of {count}");
    let expected = [
        at(count - 1),
        at(count - 2),
        at(count - 1),
        at(1),
        at(1),
        at(count),
    ];
    assert_eq!(visit.keys, expected, "the keys");
    for (title, row, shown) in [
        ("A write finds no room", 1, "1 0 B Open 16 KiB BOTH"),
        (
            "64 KiB wait: B is not read any more",
            1,
            "1 0 B Open 64 KiB WRITABLE",
        ),
        ("A is closed", 0, "0 1 free   "),
        ("It finds nobody", 0, "0 1 C Open 0 B READABLE"),
        (
            "The rest is answered, the state is Draining",
            1,
            "1 0 B Draining 3 B WRITABLE",
        ),
        ("Next::Stop", 1, "1 1 free   "),
    ] {
        let step = visit.seen.iter().find(|step| step.title == title);
        let step = step.unwrap_or_else(|| panic!("no step is called {title}"));
        assert_eq!(step.rows[row], shown, "{title}");
    }
}

/// Gives the code the model's input, and compares the results.
fn replay(clients: &mut ClientTable<Client<Scripted>>, served: &Served) {
    let token = Token(served.generation << 32 | served.row);
    let client = clients.get_mut(token).expect("the token finds its client");
    let script = Rc::clone(&client.socket().0);
    *script.borrow_mut() = Script {
        reads: served.read.iter().map(Bytes::invent).collect(),
        writes: served.write.into_iter().collect(),
        ..Script::default()
    };
    let event = Event::new(token, readiness(&served.flags));
    client.on_event(event, &mut vec![0; 16 * 1024]).unwrap();
    let told = (
        usize::from(served.read.is_some()),
        usize::from(served.write.is_some()),
    );
    assert_eq!(script.borrow().calls, told, "reads and writes: {served:?}");
    assert_eq!(format!("{:?}", client.state()), served.state, "{served:?}");
    assert_eq!(client.interest(), interest(&served.interest), "{served:?}");
    let changed = client.change_of_interest().is_some();
    assert_eq!(changed, served.changed, "{served:?}");
    if let Some(taken) = served.write {
        let left = script.borrow().offered - taken;
        assert_eq!(left, served.output, "{served:?}");
    }
    if client.state() == State::Closed {
        clients.remove(token);
    }
}

impl Bytes {
    /// Invents input that is answered as far as the model says: all bytes so far, or none.
    fn invent(&self) -> Vec<u8> {
        let mut bytes = vec![b'x'; self.count];
        if let Some(last) = bytes.last_mut()
            && self.answered > 0
        {
            *last = b'\n';
        }
        bytes
    }
}

fn readiness(flags: &str) -> Readiness {
    flags
        .split('|')
        .map(|flag| Readiness::from_name(flag).expect("a flag of epoll"))
        .collect()
}

fn interest(name: &str) -> Interest {
    let (read, write) = match name {
        "READABLE" => (true, false),
        "WRITABLE" => (false, true),
        "BOTH" => (true, true),
        "NONE" => (false, false),
        other => panic!("{other} is no interest"),
    };
    Interest::wanting(read, write)
}
