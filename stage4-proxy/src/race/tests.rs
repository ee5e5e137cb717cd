use super::*;

use std::io;
use std::rc::Rc;

use nix::errno::Errno;
use proptest::collection::vec;
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_secs(1);

/// An address of each family, told apart by its port.
fn ipv4(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

fn ipv6(port: u16) -> SocketAddr {
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], port).into()
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A race whose sockets are their ports, and the time at which it began.
fn race(addresses: &[SocketAddr]) -> (Race<u16>, Instant) {
    let now = Instant::now();
    (Race::new(addresses, LIMIT, now), now)
}

/// Begins what is due, and returns the ports.
fn dial(race: &mut Race<u16>, now: Instant) -> Vec<u16> {
    let mut begun = Vec::new();
    while let Step::Dial(address) = race.step(now) {
        begun.push(address.port());
        race.dialled(Ok::<_, ()>(address.port()), now).unwrap();
    }
    begun
}

/// Ends the attempt to a port.
fn end(race: &mut Race<u16>, port: u16, now: Instant) -> bool {
    race.end(|attempt| attempt.socket == port, now).is_some()
}

#[test]
fn the_next_address_is_tried_beside_the_first_after_the_delay() {
    let (mut race, start) = race(&[ipv6(1), ipv4(2)]);
    assert_eq!(dial(&mut race, start), [1]);
    assert_eq!(race.deadline(), Some(start + DELAY));
    assert!(dial(&mut race, start + DELAY - millis(1)).is_empty());
    assert_eq!(dial(&mut race, start + DELAY), [2]);
    let running: Vec<_> = race.sockets_mut().map(|socket| *socket).collect();
    assert_eq!(running, [1, 2], "the first goes on");
    assert_eq!(race.deadline(), Some(start + LIMIT), "no address is left");
}

#[test]
fn a_failure_makes_the_next_address_due_at_once() {
    let (mut race, start) = race(&[ipv6(1), ipv4(2), ipv4(3)]);
    assert_eq!(dial(&mut race, start), [1]);
    assert!(end(&mut race, 1, start + millis(1)));
    assert_eq!(race.deadline(), Some(start + millis(1)));
    assert_eq!(dial(&mut race, start + millis(1)), [2]);
    assert_eq!(race.deadline(), Some(start + millis(1) + DELAY));
}

#[test]
fn an_address_that_fails_while_it_is_dialled_is_passed_over() {
    let (mut race, start) = race(&[ipv6(1), ipv4(2)]);
    assert_eq!(race.step(start), Step::Dial(ipv6(1)));
    assert_eq!(race.dialled(Err("no route"), start), Err("no route"));
    assert_eq!(race.step(start), Step::Dial(ipv4(2)));
    assert_eq!(race.dialled(Err("no route"), start), Err("no route"));
    assert_eq!(race.step(start), Step::Over);
    assert_eq!(race.deadline(), None);
}

#[test]
fn each_attempt_has_the_whole_time_limit() {
    let (mut race, start) = race(&[ipv6(1), ipv4(2)]);
    dial(&mut race, start);
    dial(&mut race, start + DELAY);
    assert_eq!(race.step(start + LIMIT), Step::Wait);
    assert!(!end(&mut race, 1, start + LIMIT), "the first is closed");
    assert_eq!(race.deadline(), Some(start + DELAY + LIMIT));
    assert_eq!(race.step(start + DELAY + LIMIT), Step::Over);
}

#[test]
fn no_more_than_a_few_attempts_are_in_progress_at_the_same_time() {
    let addresses: Vec<_> = (1..10).map(ipv4).collect();
    let (mut race, start) = race(&addresses);
    let begun: Vec<_> = (0..=MAX_ATTEMPTS)
        .zip((0..).map(|number| start + DELAY * number))
        .map(|(_, now)| dial(&mut race, now).len())
        .collect();
    assert_eq!(begun, [1, 1, 1, 0]);
    assert_eq!(race.deadline(), Some(start + LIMIT), "or one of them fails");
    assert_eq!(dial(&mut race, start + LIMIT), [4]);
}

#[test]
fn an_attempt_without_a_descriptor_is_put_off() {
    let (mut race, start) = race(&[ipv6(1), ipv4(2)]);
    dial(&mut race, start);
    assert_eq!(race.step(start + DELAY), Step::Dial(ipv4(2)));
    race.put_off(start + DELAY);
    assert_eq!(race.step(start + DELAY), Step::Wait);
    assert_eq!(race.deadline(), Some(start + DELAY * 2));
    assert!(end(&mut race, 1, start + DELAY), "and a failure makes room");
    assert_eq!(dial(&mut race, start + DELAY), [2]);
}

#[test]
fn an_address_for_which_there_was_no_descriptor_is_not_dropped() {
    let none = || Err(io::Error::from(Errno::EMFILE).into());
    let (mut race, start) = race(&[ipv6(1), ipv4(2)]);
    dial(&mut race, start);
    let later = start + DELAY;
    assert_eq!(race.step(later), Step::Dial(ipv4(2)));
    assert!(race.dialled_or_put_off(none(), later).is_ok());
    assert_eq!(race.step(later), Step::Wait);
    assert!(end(&mut race, 1, later), "it gives its descriptor back");
    assert_eq!(race.step(later), Step::Dial(ipv4(2)), "once more");
    assert!(race.dialled_or_put_off(none(), later).is_err(), "the only");
    assert_eq!(race.step(later), Step::Over);

    let (mut race, start) = self::race(&[ipv6(1), ipv4(2), ipv6(3)]);
    dial(&mut race, start);
    let refused = Err(ConnectError::Refused);
    assert!(race.dialled_or_put_off(refused, start).is_err());
    assert_eq!(race.step(start), Step::Dial(ipv6(3)), "others are dropped");
}

#[test]
#[should_panic(expected = "the first attempt needs no permit")]
fn the_only_attempt_is_never_put_off() {
    let (mut race, start) = race(&[ipv6(1), ipv4(2)]);
    race.put_off(start);
}

#[test]
fn a_race_without_addresses_is_over() {
    let (mut race, start) = race(&[]);
    assert_eq!(race.step(start), Step::Over);
}

#[test]
fn the_families_alternate() {
    let order = |addresses: &[SocketAddr]| -> Vec<u16> {
        interleave(addresses).iter().map(SocketAddr::port).collect()
    };
    assert_eq!(
        order(&[ipv6(1), ipv6(2), ipv6(3), ipv4(4), ipv4(5)]),
        [1, 4, 2, 5, 3]
    );
    assert_eq!(order(&[ipv4(1), ipv6(2), ipv6(3)]), [1, 2, 3]);
    assert_eq!(order(&[ipv4(1), ipv4(2)]), [1, 2]);
    assert!(order(&[]).is_empty());
}

#[test]
fn a_favourite_comes_first_and_a_stranger_does_not_come_in() {
    let (mut race, start) = race(&[ipv6(1), ipv4(2), ipv6(3)]);
    race.favour(ipv6(3));
    race.favour(ipv4(9));
    let order: Vec<_> = (0..3)
        .map(|number| dial(&mut race, start + DELAY * number))
        .collect();
    assert_eq!(order, [[3], [1], [2]]);
}

/// What becomes of the connect to an address, and how long after it has begun.
#[derive(Clone, Copy, Debug)]
enum Fate {
    FailsAtOnce,
    Fails(u64),
    Connects(u64),
    StaysSilent,
}

impl Fate {
    /// Returns when the fate shows, if it does within the time limit.
    fn shows(self, since: Instant) -> Option<Instant> {
        match self {
            Self::Fails(after) | Self::Connects(after) => Some(since + millis(after)),
            Self::FailsAtOnce | Self::StaysSilent => None,
        }
    }
}

fn any_fate() -> impl Strategy<Value = Fate> {
    let within_limit = 0..1000_u64;
    prop_oneof![
        Just(Fate::FailsAtOnce),
        Just(Fate::StaysSilent),
        within_limit.clone().prop_map(Fate::Fails),
        within_limit.prop_map(Fate::Connects),
    ]
}

/// A race to its end: its sockets, whose clones the test counts, are the numbers of the addresses.
struct Simulation {
    race: Race<(usize, Rc<()>)>,
    fates: Vec<Fate>,
    alive: Rc<()>,
    start: Instant,
    now: Instant,
    /// The addresses in the order in which they were dialled, with the times.
    dialled: Vec<(usize, Instant)>,
    /// When attempts have ended.
    ends: Vec<Instant>,
}

impl Simulation {
    fn new(fates: Vec<Fate>) -> Self {
        let count = u16::try_from(fates.len()).unwrap();
        let addresses: Vec<_> = (0..count).map(ipv4).collect();
        let start = Instant::now();
        Self {
            race: Race::new(&addresses, LIMIT, start),
            fates,
            alive: Rc::new(()),
            start,
            now: start,
            dialled: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Runs the race; returns the address that has won.
    fn run(&mut self) -> Option<usize> {
        loop {
            match self.race.step(self.now) {
                Step::Dial(address) => self.dial(usize::from(address.port())),
                Step::Over => return None,
                Step::Wait => {
                    if let Some(winner) = self.wait() {
                        return Some(winner);
                    }
                }
            }
            let open = Rc::strong_count(&self.alive) - 1;
            assert!(open <= MAX_ATTEMPTS, "{open} sockets are open");
        }
    }

    fn dial(&mut self, number: usize) {
        self.dialled.push((number, self.now));
        let begun = match self.fates[number] {
            Fate::FailsAtOnce => {
                self.ends.push(self.now);
                Err(())
            }
            Fate::Fails(_) | Fate::Connects(_) | Fate::StaysSilent => {
                Ok((number, Rc::clone(&self.alive)))
            }
        };
        let _ = self.race.dialled(begun, self.now);
    }

    /// Moves the clock to the next event or deadline; returns the winner if it is one.
    fn wait(&mut self) -> Option<usize> {
        let shows = |attempt: &Attempt<(usize, Rc<()>)>| {
            let number = attempt.socket.0;
            Some((self.fates[number].shows(attempt.since)?, number))
        };
        let event = self.race.attempts.iter().filter_map(shows).min();
        let deadline = self.race.deadline().expect("it does not wait forever");
        let Some((at, number)) = event.filter(|&(at, _)| at < deadline) else {
            assert!(deadline >= self.now, "the deadline has passed already");
            self.now = deadline;
            let limit = |&(_, begun): &(_, Instant)| begun + LIMIT == deadline;
            if self.dialled.iter().any(limit) {
                self.ends.push(self.now);
            }
            return None;
        };
        self.now = at;
        self.ends.push(at);
        let ended = self.race.end(|attempt| attempt.socket.0 == number, at);
        assert!(
            ended.is_some(),
            "the attempt that has an event is in progress"
        );
        matches!(self.fates[number], Fate::Connects(_)).then_some(number)
    }
}

proptest! {
    #[test]
    fn a_race_ends_well_if_an_address_answers(fates in vec(any_fate(), 0..8)) {
        let mut simulation = Simulation::new(fates.clone());
        let winner = simulation.run();
        let answers = |fate: &Fate| matches!(fate, Fate::Connects(_));
        prop_assert_eq!(winner.is_some(), fates.iter().any(answers));
        // Each address once, in order.
        let order: Vec<_> = simulation.dialled.iter().map(|&(number, _)| number).collect();
        prop_assert_eq!(&order, &(0..order.len()).collect::<Vec<_>>());
        // Nothing is dialled before the delay, unless an attempt has ended.
        for pair in simulation.dialled.windows(2) {
            let (before, at) = (pair[0].1, pair[1].1);
            let ended = simulation.ends.iter().any(|&end| before <= end && end <= at);
            prop_assert!(at >= before + DELAY || ended, "{:?}", simulation.dialled);
        }
        // The first that connects has won, among those that had begun.
        if let Some(winner) = winner {
            for &(number, since) in &simulation.dialled {
                if let (Fate::Connects(_), Some(at)) = (fates[number], fates[number].shows(since)) {
                    prop_assert!(number == winner || at >= simulation.now);
                }
            }
        }
        // The others are closed with the race.
        let alive = Rc::clone(&simulation.alive);
        drop(simulation);
        prop_assert_eq!(Rc::strong_count(&alive), 1);
    }

    /// Two silent addresses cost half a second, and not two time limits.
    #[test]
    fn silent_addresses_cost_the_delay(silent in 0..MAX_ATTEMPTS) {
        let mut fates = vec![Fate::StaysSilent; silent];
        fates.push(Fate::Connects(1));
        let mut simulation = Simulation::new(fates);
        prop_assert_eq!(simulation.run(), Some(silent));
        let delays = u32::try_from(silent).unwrap();
        prop_assert_eq!(simulation.now - simulation.start, DELAY * delays + millis(1));
    }

    #[test]
    fn interleaving_keeps_the_first_and_the_order_of_each_family(is_ipv4 in vec(any::<bool>(), 0..12)) {
        let addresses: Vec<_> = (0..).zip(is_ipv4)
            .map(|(port, is_ipv4)| if is_ipv4 { ipv4(port) } else { ipv6(port) })
            .collect();
        let mixed = Vec::from(interleave(&addresses));
        prop_assert_eq!(mixed.first(), addresses.first());
        for family in [SocketAddr::is_ipv4, SocketAddr::is_ipv6] {
            let of = |list: &[SocketAddr]| list.iter().copied().filter(family).collect::<Vec<_>>();
            prop_assert_eq!(of(&mixed), of(&addresses));
        }
        // Two neighbours of one family mean that the other has no address left.
        for (place, pair) in mixed.windows(2).enumerate() {
            if pair[0].is_ipv4() == pair[1].is_ipv4() {
                prop_assert!(mixed[place..].iter().all(|it| it.is_ipv4() == pair[0].is_ipv4()));
            }
        }
    }
}
