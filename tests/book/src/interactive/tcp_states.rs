//! Both ends of a TCP connection: a browser presses buttons at random, and real sockets make the same calls.
//!
//! They do so in a network of their own. While its loopback is down, no packet arrives, so that the states that otherwise last
//! for microseconds, such as FIN-WAIT-1, stay until they are read; afterwards TCP sends again. CLOSING still comes by too fast.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::interactive::visit;

/// Goes through 60 connections, each in groups of calls after which everything is delivered.
///
/// A call that closes a descriptor is alone in its group, because the order of crossing packets would decide what comes of it.
const VISITOR: &str = r#"
let seed = 20251;
const random = (most) => { seed = (seed * 1103515245 + 12345) % 2147483648; return (seed >> 16) % most; };
const find = (does) => document.querySelector(`button[data-does="${does}"]`);
const press = (...all) => all.forEach((does) => find(does).click());
const names = ["client", "server"].flatMap((end) => ["send", "send", "read", "read", "shutdown", "close", "abort"].map((does) => `${end} ${does}`));
const rounds = [], timed = [], closes = /close|abort/;
for (let round = 0; round < 60; round += 1) {
  press("again", "client connect", "all");
  const groups = [];
  for (let group = 0; group < 7; group += 1) {
    const from = connection.record.length, calls = 1 + random(3);
    for (let call = 0; call < calls; call += 1) {
      const can = names.filter((name) => !find(name).disabled);
      const name = can[random(can.length)];
      if (name === undefined || (closes.test(name) && call > 0)) break;
      press(name);
      if (closes.test(name)) break;
    }
    const resets = connection.wire.some((packet) => packet.kind === "RST");
    press("all");
    const made = connection.record.slice(from).filter((entry) => entry.end);
    if (made.length > 0) groups.push({ calls: made, rest: connection.view(), resets });
  }
  rounds.push(groups);
  timed.push({ client: connection.times(connection.client), server: connection.times(connection.server) });
}
press("again", "client connect");
const asking = connection.view();
press("client deliver", "server deliver");
const answered = connection.view();
const shown = ["Home", "c", "a", "w", "W", "ArrowRight", "a"].map((key) => {
  document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  return [...get("lines").children].map((row) => [...row.children].slice(1, 4).map((cell) => cell.textContent).join(" "));
});
press("pass");
tell({ rounds, timed, handshake: { asking: asking.client, client: answered.client, server: answered.server }, shown, left: connection.view() });
"#;

/// Makes the calls of all connections side by side, and prints what they return and what `/proc/net/tcp` says after each.
const SCRIPT: &str = r#"
import errno, json, socket, struct, subprocess, sys, time

NAMES = {1: "ESTAB", 2: "SYN-SENT", 3: "SYN-RECV", 4: "FIN-WAIT-1", 5: "FIN-WAIT-2", 6: "TIME-WAIT", 8: "CLOSE-WAIT", 9: "LAST-ACK", 11: "CLOSING"}
TIMEWAIT_TIMER, TICKS = 3, 100

def lo(state):
    subprocess.run(["ip", "link", "set", "lo", state], check=True)

def table():
    """The lines by their two ports: state, Recv-Q and Send-Q, and the seconds of a TIME-WAIT timer."""
    lines = {}
    for text in open("/proc/self/net/tcp").read().splitlines()[1:]:
        _, local, remote, state, queues, timer = text.split()[:6]
        ports = (int(local[-4:], 16), int(remote[-4:], 16))
        sent, received = (int(number, 16) for number in queues.split(":"))
        kind, ticks = (int(number, 16) for number in timer.split(":"))
        if int(state, 16) in NAMES:
            lines[ports] = ([NAMES[int(state, 16)], received, sent], ticks / TICKS if kind == TIMEWAIT_TIMER else None)
    return lines

class Pair:
    def __init__(self, listener):
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        here, there = client.getsockname()[1], listener.getsockname()[1]
        self.sockets = {"client": client, "server": server}
        self.ports = {"client": (here, there), "server": (there, here)}

    def call(self, name, does):
        end = self.sockets[name]
        end.setblocking(False)
        try:
            if does == "send":
                return str(end.send(b"abc"))
            if does == "read":
                return str(len(end.recv(100)))
            if does == "shutdown":
                return str(end.shutdown(socket.SHUT_WR) or 0)
            if does == "abort":
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
            return "0"
        except OSError as error:
            return errno.errorcode[error.errno]

    def view(self, lines):
        return {name: lines.get(ports, [None])[0] for name, ports in self.ports.items()}

    def timers(self, lines):
        return {name: lines.get(ports, [None, None])[1] for name, ports in self.ports.items()}

def make(made):
    """Makes the first call of each group, then each second one, and notes the views between them."""
    for place in range(max((len(group["calls"]) for _, group, _ in made), default=0)):
        now = [one for one in made if place < len(one[1]["calls"])]
        results = [pair.call(group["calls"][place]["end"], group["calls"][place]["does"]) for pair, group, _ in now]
        lines = table()
        for (pair, _, seen), result in zip(now, results):
            seen["calls"].append({"result": result, "view": pair.view(lines)})

def settle(made):
    """Waits until every connection has come to rest as the page says, and notes how it is in the end."""
    deadline = time.monotonic() + 20
    while True:
        lines = table()
        for pair, _, seen in made:
            seen["rest"] = pair.view(lines)
        if all(seen["rest"] == group["rest"] for _, group, seen in made) or time.monotonic() > deadline:
            return
        time.sleep(0.01)

def handshake():
    """A SYN for which a full queue has no room, and an ACK that its listener ignores (tcp(7), TCP_DEFER_ACCEPT)."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    late = socket.create_server(("127.0.0.1", 0))
    late.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 20)
    only = socket.create_connection(full.getsockname())
    asking, answered = socket.socket(), socket.socket()
    for one, place in [(asking, full), (answered, late)]:
        one.setblocking(False)
        one.connect_ex(place.getsockname())
    ports = [(one.getsockname()[1], place.getsockname()[1]) for one, place in [(asking, full), (answered, late)]]
    deadline, seen = time.monotonic() + 20, {}
    while seen.get("client", [None])[0] != "ESTAB" and time.monotonic() < deadline:
        lines = table()
        found = [lines.get(key, [[None]])[0] for key in [*ports, ports[1][::-1]]]
        seen = dict(zip(["asking", "client", "server"], found))
    return seen

lo("up")
rounds = json.load(sys.stdin)
listener = socket.create_server(("127.0.0.1", 0), backlog=100)
pairs = [Pair(listener) for _ in rounds]
told = [[] for _ in rounds]
for step in range(max(len(groups) for groups in rounds)):
    now = []
    for pair, groups, seen in zip(pairs, rounds, told):
        if step < len(groups):
            seen.append({"calls": []})
            now.append((pair, groups[step], seen[-1]))
    make([one for one in now if one[1]["resets"]])  # a reset that is lost is not sent again
    lo("down")
    make([one for one in now if not one[1]["resets"]])
    lo("up")
    settle(now)
time.sleep(0.3)  # a state that has only come by is not there any more
lines = table()
print(json.dumps({"rounds": told, "handshake": handshake(), "last": [pair.view(lines) for pair in pairs], "timers": [pair.timers(lines) for pair in pairs]}))
"#;

/// State, Recv-Q and Send-Q; `None` without a line.
type Line = Option<(String, u32, u32)>;

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct View {
    client: Line,
    server: Line,
}

#[derive(Debug, Deserialize)]
struct Visit {
    rounds: Vec<Vec<Group>>,
    /// Whether each end's line waits for a timer, after each round.
    timed: Vec<Both<bool>>,
    handshake: Handshake,
    /// The two lines of the table after each key.
    shown: Vec<[String; 2]>,
    /// The lines 60 seconds later.
    left: View,
}

/// Calls, after which everything is delivered.
#[derive(Debug, Deserialize, Serialize)]
struct Group {
    calls: Vec<Call>,
    rest: View,
    /// Whether one of the calls sends a reset.
    resets: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Call {
    end: String,
    does: String,
    result: String,
    view: View,
}

#[derive(Debug, Deserialize)]
struct Both<T> {
    client: T,
    server: T,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Handshake {
    /// The client's line before its SYN has arrived.
    asking: Line,
    /// Both lines before the last packet of the handshake has arrived.
    client: Line,
    server: Line,
}

/// The same in the kernel.
#[derive(Debug, Deserialize)]
struct Seen {
    rounds: Vec<Vec<SeenGroup>>,
    handshake: Handshake,
    last: Vec<View>,
    /// The seconds that are left of each line's timer.
    timers: Vec<Both<Option<f64>>>,
}

#[derive(Debug, Deserialize)]
struct SeenGroup {
    calls: Vec<SeenCall>,
    rest: View,
}

#[derive(Debug, Deserialize)]
struct SeenCall {
    result: String,
    view: View,
}

/// Asks the kernel; `None` where a network of our own is not allowed.
fn ask_the_kernel(rounds: &[Vec<Group>]) -> Option<Seen> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--"]);
        command
    };
    let mut tried = unshare();
    tried.args(["ip", "link", "set", "lo", "up"]);
    let tried = tried.stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine allows no namespaces");
        return None;
    }
    let mut command = unshare();
    command.args(["python3", "-c", SCRIPT]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(&serde_json::to_vec(rounds).unwrap())
        .unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    Some(serde_json::from_slice(&output.stdout).expect("what the kernel has said"))
}

#[test]
fn the_page_of_tcp_states_says_what_the_kernel_says() {
    let Some(visit) = visit::<Visit>("tcp-states", VISITOR) else {
        return;
    };
    check_keys(&visit);
    check_coverage(&visit.rounds);
    let Some(seen) = ask_the_kernel(&visit.rounds) else {
        return;
    };
    assert_eq!(seen.handshake, visit.handshake);
    for (groups, seen) in visit.rounds.iter().zip(&seen.rounds) {
        assert_eq!(groups.len(), seen.len());
        for (place, (group, seen)) in groups.iter().zip(seen).enumerate() {
            compare(group, seen, &groups[..place]);
        }
    }
    for (groups, last) in visit.rounds.iter().zip(&seen.last) {
        let rest = groups.last().map(|group| &group.rest);
        assert_eq!(rest, Some(last), "a moment later: {groups:?}");
    }
    for (timed, timers) in visit.timed.iter().zip(&seen.timers) {
        for (timed, timer) in [(timed.client, timers.client), (timed.server, timers.server)] {
            assert_eq!(timed, timer.is_some(), "{timers:?}");
            assert!(timer.is_none_or(|seconds| seconds <= 60.0), "{timers:?}");
        }
    }
}

fn compare(group: &Group, seen: &SeenGroup, before: &[Group]) {
    assert_eq!(group.calls.len(), seen.calls.len());
    for (call, seen) in group.calls.iter().zip(&seen.calls) {
        assert_eq!(call.result, seen.result, "{call:?} after {before:?}");
        // The packets of a group with a reset were not held.
        if !group.resets {
            assert_eq!(call.view, seen.view, "{call:?} after {before:?}");
        }
    }
    assert_eq!(group.rest, seen.rest, "{group:?} after {before:?}");
}

/// Checks the page itself, by its keys: both ends shut down at the same time.
fn check_keys(visit: &Visit) {
    let expected = [
        ["no line  ", "LISTEN 0 0"],
        ["SYN-SENT 0 1", "LISTEN 0 0"],
        ["ESTAB 0 0", "ESTAB 0 0"],
        ["FIN-WAIT-1 0 1", "ESTAB 0 0"],
        ["FIN-WAIT-1 0 1", "FIN-WAIT-1 0 1"],
        ["FIN-WAIT-1 0 1", "CLOSING 1 1"],
        ["TIME-WAIT 0 0", "TIME-WAIT 0 0"],
    ];
    assert_eq!(visit.shown, expected.map(|lines| lines.map(str::to_owned)));
    let none = View {
        client: None,
        server: None,
    };
    assert_eq!(visit.left, none, "60 seconds later");
}

/// Checks that the random calls have come to all states and results.
fn check_coverage(rounds: &[Vec<Group>]) {
    let calls = || rounds.iter().flatten().flat_map(|group| &group.calls);
    let lines = calls().flat_map(|call| [&call.view.client, &call.view.server]);
    let rests = rounds
        .iter()
        .flatten()
        .flat_map(|group| [&group.rest.client, &group.rest.server]);
    let states: BTreeSet<&str> = lines
        .chain(rests)
        .flatten()
        .map(|(state, ..)| state.as_str())
        .collect();
    let expected = [
        "CLOSE-WAIT",
        "ESTAB",
        "FIN-WAIT-1",
        "FIN-WAIT-2",
        "LAST-ACK",
        "TIME-WAIT",
    ];
    assert_eq!(states.into_iter().collect::<Vec<_>>(), expected);
    let results: BTreeSet<&str> = calls().map(|call| call.result.as_str()).collect();
    for result in ["0", "3", "6", "EAGAIN", "ECONNRESET", "ENOTCONN", "EPIPE"] {
        assert!(results.contains(result), "{result} in {results:?}");
    }
}
