//! The table agrees with a list that is searched from end to end.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// The most flows of the tables under test.
const BOUND: usize = 4;

/// A list in the order of use, the newest last.
#[derive(Debug, Default)]
struct Model(Vec<(u8, u32, u64)>);

impl Model {
    fn touch(&mut self, key: u8, deadline: u64) {
        if let Some(place) = self.0.iter().position(|flow| flow.0 == key) {
            let (key, value, _) = self.0.remove(place);
            self.0.push((key, value, deadline));
        }
    }

    fn remove(&mut self, key: u8) -> Option<(u8, u32)> {
        let place = self.0.iter().position(|flow| flow.0 == key)?;
        let (key, value, _) = self.0.remove(place);
        Some((key, value))
    }

    fn expire(&mut self, now: u64) -> Vec<(u8, u32)> {
        let (due, left) = self.0.iter().partition(|flow| flow.2 <= now);
        self.0 = left;
        let mut due: Vec<_> = due
            .into_iter()
            .map(|(key, value, _)| (key, value))
            .collect();
        due.sort_unstable();
        due
    }
}

#[derive(Clone, Debug)]
enum Step {
    Use(u8, u64),
    Remove(u8),
    Expire(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..8u8, 0..50u64).prop_map(|(key, at)| Step::Use(key, at)),
        1 => (0..8u8).prop_map(Step::Remove),
        1 => (0..50u64).prop_map(Step::Expire),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn it_agrees_with_a_list(steps in steps()) {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut table = FlowTable::new(BOUND);
        let mut model = Model::default();
        let mut stale = Vec::new();
        for (value, step) in (0..).zip(steps) {
            match step {
                Step::Use(key, deadline) => match table.find(&key) {
                    Some(id) => {
                        table.touch(id, at(deadline));
                        model.touch(key, deadline);
                    }
                    None => {
                        let evicted = (model.0.len() == BOUND).then(|| model.0.remove(0));
                        prop_assert_eq!(table.evict(), evicted.map(|(key, value, _)| (key, value)));
                        stale.push((table.insert(key, value, at(deadline)), value));
                        model.0.push((key, value, deadline));
                    }
                },
                Step::Remove(key) => {
                    let removed = table.find(&key).and_then(|id| table.remove(id));
                    prop_assert_eq!(removed, model.remove(key));
                }
                Step::Expire(now) => {
                    let mut due: Vec<_> = std::iter::from_fn(|| table.expire(at(now))).collect();
                    due.sort_unstable();
                    prop_assert_eq!(due, model.expire(now));
                }
            }
            prop_assert_eq!(table.len(), model.0.len());
            let next = model.0.iter().map(|flow| at(flow.2)).min();
            prop_assert!(table.next_deadline() <= next || next.is_none());
            prop_assert_eq!(table.next_deadline().is_none(), next.is_none());
            for key in 0..8 {
                let known = model.0.iter().find(|flow| flow.0 == key).map(|flow| flow.1);
                let found = table.find(&key).and_then(|id| table.get(id));
                prop_assert_eq!(found.map(|(key, value)| (*key, *value)), known.map(|it| (key, it)));
            }
            // The number of a flow that has ended finds nothing, although its row may be in use again.
            for &(id, value) in &stale {
                let alive = model.0.iter().any(|flow| flow.1 == value);
                prop_assert_eq!(table.get(id).is_some(), alive);
            }
        }
    }
}

#[test]
fn a_used_flow_outlives_its_first_deadline() {
    let start = Instant::now();
    let at = |secs| start + Duration::from_secs(secs);
    let mut table = FlowTable::new(BOUND);
    let id = table.insert("flow", (), at(10));
    table.touch(id, at(30));
    assert_eq!(table.expire(at(10)), None);
    assert_eq!(table.next_deadline(), Some(at(30)));
    table.touch(id, at(20));
    assert_eq!(table.expire(at(20)), Some(("flow", ())));
    assert_eq!(table.next_deadline(), None);
}

#[test]
fn a_full_table_evicts_the_flow_that_was_used_the_longest_time_ago() {
    let deadline = Instant::now();
    let mut table = FlowTable::new(2);
    let first = table.insert(1, "first", deadline);
    let second = table.insert(2, "second", deadline);
    assert!(table.is_full());
    table.touch(first, deadline);
    assert_eq!(table.evict(), Some((2, "second")));
    assert_eq!(table.evict(), None, "there is room");
    let third = table.insert(3, "third", deadline);
    assert_eq!((third.row, third == second), (second.row, false));
    assert_eq!(table.get(second), None);
}
