use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use std::time::Duration;

const LIMITS: ResolverLimits = ResolverLimits {
    threads: 4,
    names: 3,
    lifetime: Duration::from_secs(10),
    failure_lifetime: Duration::from_secs(1),
};

fn name(number: u8) -> Arc<Target> {
    Arc::new(format!("name-{number}:80").parse().unwrap())
}

fn found(number: u8) -> Found {
    Ok(vec![([127, 0, 0, number], 80).into()])
}

fn failed() -> Found {
    Err(Arc::new(io::Error::other("no such host")))
}

/// A cache whose waiters are letters, and its clock.
struct Fixture {
    cache: NameCache<char>,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        Self {
            cache: NameCache::new(LIMITS),
            now: Instant::now(),
        }
    }

    fn ask(&mut self, number: u8, waiter: char) -> Asked {
        self.cache.ask(&name(number), || waiter, self.now)
    }

    /// Asks for a name, and returns the number under which the client waits.
    fn wait(&mut self, number: u8, waiter: char) -> u64 {
        let asked = self.ask(number, waiter);
        let Asked::Waits(place) = asked else {
            panic!("{asked:?} and no waiting");
        };
        place
    }

    fn is_known(&mut self, number: u8) -> bool {
        matches!(self.ask(number, '?'), Asked::Known(_))
    }

    /// Lets the next lookup end; returns its name and the clients that get its answer.
    fn answer(&mut self, found: &Found) -> (String, String) {
        let name = self.cache.next_lookup().expect("a name to look up");
        let waiters = self.cache.answered(&name, found, self.now).collect();
        (name.to_string(), waiters)
    }
}

#[test]
fn one_lookup_answers_all_who_wait_in_their_order() {
    let mut fixture = Fixture::new();
    for waiter in 'a'..='c' {
        fixture.wait(1, waiter);
    }
    let running = fixture.cache.next_lookup().unwrap();
    fixture.wait(1, 'd');
    assert_eq!(fixture.cache.next_lookup(), None, "one lookup for a name");
    let answered = fixture.cache.answered(&running, &found(1), fixture.now);
    assert_eq!(answered.collect::<String>(), "abcd");
    let Asked::Known(Ok(addresses)) = fixture.ask(1, 'e') else {
        panic!("the answer is in the cache");
    };
    assert_eq!(addresses, found(1).unwrap());
    let counts = Counts {
        lookups: 1,
        cached: 1,
    };
    assert_eq!(fixture.cache.counts(), counts);
}

#[test]
fn an_answer_is_kept_for_its_lifetime_and_a_failure_for_a_shorter_one() {
    for (answer, lifetime) in [
        (found(1), LIMITS.lifetime),
        (failed(), LIMITS.failure_lifetime),
    ] {
        let mut fixture = Fixture::new();
        fixture.wait(1, 'a');
        fixture.answer(&answer);
        let end = fixture.now + lifetime;
        fixture.now = end.checked_sub(Duration::from_nanos(1)).unwrap();
        assert!(fixture.is_known(1));
        fixture.now = end;
        fixture.wait(1, 'b');
        fixture.wait(1, 'c');
        assert_eq!(fixture.answer(&answer), ("name-1:80".into(), "bc".into()));
    }
}

#[test]
fn addresses_that_do_not_work_are_used_no_longer_than_a_failure() {
    let mut fixture = Fixture::new();
    fixture.wait(1, 'a');
    fixture.answer(&found(1));
    fixture.cache.distrust(&name(1), fixture.now);
    fixture.now += LIMITS.failure_lifetime / 2;
    assert!(fixture.is_known(1), "a crowd does not ask again and again");
    fixture.now += LIMITS.failure_lifetime / 2;
    fixture.wait(1, 'b');
    fixture.answer(&found(1));
    fixture.now += LIMITS.lifetime / 2;
    assert!(fixture.is_known(1), "a new answer is trusted");
}

#[test]
fn a_name_without_clients_leaves_the_queue() {
    let mut fixture = Fixture::new();
    let (first, second) = (fixture.wait(1, 'a'), fixture.wait(1, 'b'));
    fixture.wait(2, 'c');
    assert_eq!(fixture.cache.leave(&name(1), first), Some('a'));
    assert_eq!(fixture.cache.leave(&name(1), first), None, "it has left");
    assert_eq!(fixture.cache.leave(&name(1), second), Some('b'));
    assert_eq!(fixture.answer(&found(2)), ("name-2:80".into(), "c".into()));
    assert_eq!(fixture.cache.next_lookup(), None);
}

#[test]
fn a_lookup_without_clients_goes_on_for_the_next() {
    let mut fixture = Fixture::new();
    let place = fixture.wait(1, 'a');
    let running = fixture.cache.next_lookup().unwrap();
    fixture.cache.leave(&running, place);
    fixture.wait(1, 'b');
    assert_eq!(fixture.cache.next_lookup(), None);
    let answered = fixture.cache.answered(&running, &found(1), fixture.now);
    assert_eq!(answered.collect::<String>(), "b");
}

#[test]
fn the_answer_that_is_too_old_first_makes_room() {
    let mut fixture = Fixture::new();
    for number in 1..=3 {
        fixture.wait(number, 'a');
        fixture.answer(&found(number));
        fixture.now += Duration::from_secs(1);
    }
    fixture.wait(4, 'b');
    assert!(fixture.is_known(2) && fixture.is_known(3));
    fixture.wait(1, 'c');
    fixture.wait(2, 'd');
    assert!(
        matches!(fixture.ask(3, 'e'), Asked::Full),
        "4, 1 and 2 wait"
    );
    fixture.wait(2, 'f');
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(u8),
    Leave(prop::sample::Index),
    Take,
    End(prop::sample::Index, bool),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u8).prop_map(Step::Ask),
        2 => any::<prop::sample::Index>().prop_map(Step::Leave),
        2 => Just(Step::Take),
        2 => any::<(prop::sample::Index, bool)>().prop_map(|(index, good)| Step::End(index, good)),
        1 => (0..12u64).prop_map(Step::Pass),
    ]
}

/// The clients that wait and the lookups in flight, as a test sees them.
#[derive(Default)]
struct Model {
    waiting: Vec<(Arc<Target>, u64)>,
    running: Vec<Arc<Target>>,
}

impl Model {
    /// Takes the clients of one name, the oldest first.
    fn take(&mut self, name: &Target) -> Vec<u64> {
        let (mine, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(waited, _)| **waited == *name);
        self.waiting = others;
        let mine: Vec<_> = mine;
        mine.into_iter().map(|(_, client)| client).collect()
    }

    fn apply(&mut self, step: Step, cache: &mut NameCache<u64>, now: &mut Instant) {
        match step {
            Step::Ask(number) => self.ask(&name(number), cache, *now),
            Step::Leave(index) if !self.waiting.is_empty() => {
                let (name, client) = self.waiting.remove(index.index(self.waiting.len()));
                assert_eq!(cache.leave(&name, client), Some(client));
            }
            Step::Take => {
                if let Some(name) = cache.next_lookup() {
                    assert!(!self.running.contains(&name), "one lookup for a name");
                    assert!(self.waiting.iter().any(|(waited, _)| *waited == name));
                    self.running.push(name);
                }
            }
            Step::End(index, good) if !self.running.is_empty() => {
                let name = self.running.remove(index.index(self.running.len()));
                let found = if good { found(1) } else { failed() };
                let answered: Vec<u64> = cache.answered(&name, &found, *now).collect();
                assert_eq!(answered, self.take(&name));
            }
            Step::Pass(seconds) => *now += Duration::from_secs(seconds),
            Step::Leave(_) | Step::End(..) => {}
        }
    }

    fn ask(&mut self, name: &Arc<Target>, cache: &mut NameCache<u64>, now: Instant) {
        let mut boxed = false;
        let next = cache.last_number + 1;
        let waiter = || {
            boxed = true;
            next
        };
        match cache.ask(name, waiter, now) {
            Asked::Known(_) => {
                assert!(!self.running.contains(name), "an answer ends the lookup");
                assert!(!boxed, "nothing is made for a client that does not wait");
            }
            Asked::Waits(client) => self.waiting.push((Arc::clone(name), client)),
            Asked::Full => {
                let pending = |entry: &Name<u64>| !matches!(entry.state, State::Known { .. });
                assert!(cache.names.values().all(pending));
            }
        }
    }
}

proptest! {
    #[test]
    fn every_client_gets_one_answer_or_leaves(steps in vec(any_step(), 0..200)) {
        let mut cache = NameCache::new(LIMITS);
        let (mut model, mut now) = (Model::default(), Instant::now());
        for step in steps {
            model.apply(step, &mut cache, &mut now);
            cache.check_invariants();
        }
        let waiting: usize = cache.names.values().map(|name| name.waiting.len()).sum();
        prop_assert_eq!(waiting, model.waiting.len());
    }
}
