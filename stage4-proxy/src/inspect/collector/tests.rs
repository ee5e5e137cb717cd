//! The collector against a table that changes while it is copied.

use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::inspect::totals::Totals;
use crate::inspect::view::{EndpointView, Protocol, SessionView};

/// A worker with sessions that only know what they have carried.
struct Worker {
    table: RouteTable<Carried>,
    ended: Carried,
    collector: Collector,
}

impl Worker {
    fn new(sessions: u32) -> Self {
        let mut worker = Self {
            table: RouteTable::new(100_000),
            ended: Carried::default(),
            collector: Collector::default(),
        };
        for _ in 0..sessions {
            worker.accept();
        }
        worker
    }

    fn accept(&mut self) -> u32 {
        self.table.insert(Carried::default()).unwrap()
    }

    fn carry(&mut self, row: u32, bytes: u64) {
        if let Some(carried) = self.table.row_mut(row) {
            carried.up += bytes;
            carried.down += 2 * bytes;
        }
    }

    fn close(&mut self, row: u32) {
        if let Some(carried) = self.table.remove(row) {
            self.ended += carried;
            self.collector.session_ended(row, carried);
        }
    }

    fn ask(&mut self, scope: Scope) -> Receiver<Arc<Snapshot>> {
        let (reply, answer) = channel();
        self.collector.ask(Question { scope, reply });
        answer
    }

    fn turn(&mut self) {
        let rest = || Snapshot {
            totals: Totals {
                bytes_up: self.ended.up,
                bytes_down: self.ended.down,
                ..Totals::default()
            },
            ..Snapshot::default()
        };
        self.collector
            .advance(&self.table, |carried| *carried, view, rest);
    }

    /// Counts the turns that it takes until no question is left.
    fn turns(&mut self) -> u32 {
        let mut turns = 0;
        while self.collector.has_work() {
            self.turn();
            turns += 1;
        }
        turns
    }
}

fn view(row: u32, carried: &Carried) -> SessionView {
    SessionView {
        protocol: Protocol::Tcp,
        client: EndpointView {
            fd: i32::try_from(row).unwrap(),
            local: None,
            peer: None,
            unix: None,
            kernel: None,
        },
        upstream: None,
        ingress: "fixed",
        target: None,
        dialled: None,
        hops: Vec::new(),
        phase: "relay",
        description: String::new(),
        bytes_up: carried.up,
        bytes_down: carried.down,
        age_ms: 0,
        up: None,
        down: None,
    }
}

const COPIED: u32 = 64;
const ADDED: u32 = 4096;

#[test]
fn a_turn_visits_a_bounded_number_of_rows() {
    for (sessions, scope, turns) in [
        (0, Scope::Sessions, 1),
        (COPIED, Scope::Sessions, 1),
        (COPIED + 1, Scope::Sessions, 2),
        (7000, Scope::Sessions, 110),
        (ADDED, Scope::Totals, 1),
        (7000, Scope::Totals, 2),
    ] {
        let mut worker = Worker::new(sessions);
        let answer = worker.ask(scope);
        assert_eq!(worker.turns(), turns, "{scope:?} of {sessions}");
        let snapshot = answer.try_recv().unwrap();
        assert_eq!(snapshot.totals.sessions_open, u64::from(sessions));
    }
}

#[test]
fn totals_copy_no_session() {
    let mut worker = Worker::new(3);
    worker.carry(1, 5);
    let (totals, sessions) = (worker.ask(Scope::Totals), worker.ask(Scope::Sessions));
    worker.turns();
    let later = worker.ask(Scope::Totals);
    worker.turns();
    assert_eq!(
        totals.recv().unwrap().sessions.len(),
        3,
        "shared with one that wants them"
    );
    assert_eq!(sessions.recv().unwrap().sessions.len(), 3);
    let later = later.recv().unwrap();
    assert_eq!(later.sessions, []);
    assert_eq!((later.totals.bytes_up, later.totals.bytes_down), (5, 10));
}

#[test]
fn all_that_ask_during_one_copy_share_the_next() {
    let mut worker = Worker::new(10 * COPIED);
    let first = worker.ask(Scope::Sessions);
    worker.turn();
    let later: Vec<_> = (0..50).map(|_| worker.ask(Scope::Sessions)).collect();
    assert_eq!(worker.turns(), 9 + 10);
    let first = first.try_recv().unwrap();
    let second = later[0].try_recv().unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    for answer in &later[1..] {
        assert!(Arc::ptr_eq(&second, &answer.try_recv().unwrap()));
    }
}

#[test]
fn an_asker_that_has_left_ends_nothing() {
    let mut worker = Worker::new(2);
    drop(worker.ask(Scope::Sessions));
    let answer = worker.ask(Scope::Sessions);
    drop(worker.ask(Scope::Sessions));
    worker.turns();
    assert_eq!(answer.try_recv().unwrap().sessions.len(), 2);
}

#[test]
fn a_question_is_dropped_with_its_worker() {
    let mut worker = Worker::new(2 * COPIED);
    let (under_way, waiting) = (worker.ask(Scope::Sessions), worker.ask(Scope::Sessions));
    worker.turn();
    drop(worker);
    assert!(under_way.recv().is_err() && waiting.recv().is_err());
}

/// The counters of Prometheus: what was shown once must be in every later answer.
#[test]
fn bytes_never_fall_while_sessions_come_and_go() {
    let mut worker = Worker::new(8 * COPIED);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut all, mut shown, mut answers) = (0, 0, 0);
    let mut answer = worker.ask(Scope::Sessions);
    for _ in 0..2000 {
        for _ in 0..20 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let row = u32::try_from(random % u64::from(8 * COPIED)).unwrap();
            all += random % 7 * u64::from(worker.table.row(row).is_some());
            worker.carry(row, random % 7);
            match random >> 40 & 3 {
                0 => worker.close(row),
                1 => drop(worker.accept()),
                _ => {}
            }
        }
        worker.turn();
        if let Ok(snapshot) = answer.try_recv() {
            let bytes = snapshot.totals.bytes_up;
            assert!((shown..=all).contains(&bytes), "{shown}, {bytes}, {all}");
            assert_eq!(snapshot.totals.bytes_down, 2 * bytes);
            shown = bytes;
            answers += 1;
            answer = worker.ask(Scope::Sessions);
        }
    }
    assert!(answers > 100, "{answers} answers");
    worker.turns();
    let last = worker.ask(Scope::Totals);
    worker.turns();
    assert_eq!(last.recv().unwrap().totals.bytes_up, all);
}
