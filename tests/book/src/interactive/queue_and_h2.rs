//! A queue and streams under loss: the page's model against a simulation that goes tick by tick.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use serde::Deserialize;
use stage5_mux::queue::request_queue::RequestQueue;

use crate::interactive::visit;

/// Tells when each packet reaches its client, in 360 runs, and what the page shows after some keys.
const VISITOR: &str = r#"
const runs = [];
for (const way of Object.keys(WAYS)) for (const isSlow of [true, false]) for (const loss of [0, 2, 10, 20]) {
  for (let roll = 0; roll < 15; roll += 1) {
    const streams = run(way, { loss, roll, isSlow });
    runs.push({ way, loss, roll, isSlow, delivered: streams.map((stream) => stream.packets.map((packet) => packet.delivered)) });
  }
}
for (const key of ["ArrowRight", "r", "r", "a", "a", "ArrowLeft"]) document.dispatchEvent(new KeyboardEvent("keydown", { key }));
const shown = [...document.querySelectorAll(".lane .done")].map((cell) => Number(cell.textContent));
const table = [...get("means").children].map((row) => [...row.children].slice(1).map((cell) => Number(cell.textContent)));
tell({ runs, shown, means: table, requests: REQUESTS, text: get("loss-text").textContent });
"#;

const ONE_WAY: u32 = 5;
const CLIENTS: usize = 4;

#[derive(Deserialize)]
struct Visit {
    runs: Vec<Run>,
    /// When each of the lanes ends.
    shown: Vec<u32>,
    means: Vec<Vec<f64>>,
    requests: [Request; CLIENTS],
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    way: Way,
    loss: u32,
    roll: u32,
    is_slow: bool,
    delivered: Vec<Vec<u32>>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Way {
    Queue,
    Tcp,
    Streams,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Request {
    think: u32,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    stream: usize,
    index: usize,
    /// Its place among all packets of the connection.
    place: usize,
    attempt: u32,
}

/// Delivers in order; what is early is kept.
#[derive(Debug, Default)]
struct Receiver {
    next: usize,
    early: BTreeMap<usize, Packet>,
}

impl Receiver {
    fn arrive(&mut self, number: usize, packet: Packet) -> Vec<Packet> {
        self.early.insert(number, packet);
        let mut ready = Vec::new();
        while let Some(packet) = self.early.remove(&self.next) {
            self.next += 1;
            ready.push(packet);
        }
        ready
    }
}

struct Simulation {
    way: Way,
    loss: u32,
    roll: u32,
    requests: [Request; CLIENTS],
    now: u32,
    /// When the server has each request.
    asked: [Option<u32>; CLIENTS],
    sent: [usize; CLIENTS],
    turn: usize,
    under_way: VecDeque<(u32, Packet)>,
    lost: VecDeque<(u32, Packet)>,
    receivers: [Receiver; CLIENTS],
    delivered: Vec<Vec<u32>>,
    waiting: RequestQueue,
    in_flight: Option<usize>,
}

impl Simulation {
    fn new(way: Way, loss: u32, roll: u32, requests: [Request; CLIENTS]) -> Self {
        let mut waiting = RequestQueue::new(CLIENTS);
        for row in 0..4 {
            waiting.join(row, Instant::now()).unwrap();
        }
        let at_once = (way != Way::Queue).then_some(ONE_WAY);
        Self {
            way,
            loss,
            roll,
            requests,
            now: 0,
            asked: [at_once; CLIENTS],
            sent: [0; CLIENTS],
            turn: 0,
            under_way: VecDeque::new(),
            lost: VecDeque::new(),
            receivers: Default::default(),
            delivered: vec![Vec::new(); CLIENTS],
            waiting,
            in_flight: None,
        }
    }

    /// Returns when each packet of each client is delivered.
    fn run(mut self) -> Vec<Vec<u32>> {
        while (0..CLIENTS).any(|client| !self.has_ended(client)) {
            self.receive();
            if self.way == Way::Queue {
                self.begin_next();
            }
            self.send();
            self.now += 1;
        }
        self.delivered
    }

    fn has_ended(&self, client: usize) -> bool {
        self.delivered[client].len() == self.requests[client].count
    }

    fn receive(&mut self) {
        while let Some(packet) = due(&mut self.under_way, self.now) {
            let ready = match self.way {
                Way::Streams => self.receivers[packet.stream].arrive(packet.index, packet),
                Way::Queue | Way::Tcp => self.receivers[0].arrive(packet.place, packet),
            };
            for packet in ready {
                self.delivered[packet.stream].push(self.now);
            }
        }
    }

    /// Takes the next request, once the response to the last one is whole.
    fn begin_next(&mut self) {
        if self.in_flight.is_none_or(|client| self.has_ended(client))
            && let Some((row, _)) = self.waiting.take_first()
        {
            self.in_flight = Some(row as usize);
            self.asked[row as usize] = Some(self.now + ONE_WAY);
        }
    }

    fn send(&mut self) {
        let again = due(&mut self.lost, self.now);
        let again = again.map(|packet| Packet {
            attempt: packet.attempt + 1,
            ..packet
        });
        let Some(packet) = again.or_else(|| self.next_packet()) else {
            return;
        };
        if self.is_lost(packet) {
            self.lost.push_back((self.now + 2 * ONE_WAY, packet));
        } else {
            self.under_way.push_back((self.now + ONE_WAY, packet));
        }
    }

    /// Gives each response that is ready its turn.
    fn next_packet(&mut self) -> Option<Packet> {
        let mut turns = (self.turn..self.turn + CLIENTS).map(|turn| turn % CLIENTS);
        let stream = turns.find(|&client| {
            let request = self.requests[client];
            let ready = self.asked[client].is_some_and(|at| self.now >= at + request.think);
            ready && self.sent[client] < request.count
        })?;
        self.turn = stream + 1;
        let packet = Packet {
            stream,
            index: self.sent[stream],
            place: self.sent.iter().sum(),
            attempt: 0,
        };
        self.sent[stream] += 1;
        Some(packet)
    }

    /// The page's dice.
    fn is_lost(&self, packet: Packet) -> bool {
        let number = |number: usize| u32::try_from(number + 1).unwrap();
        let mut mixed = (self.roll + 1).wrapping_mul(0x9E37_79B1)
            ^ number(packet.stream).wrapping_mul(0x85EB_CA6B)
            ^ number(packet.index).wrapping_mul(0xC2B2_AE35)
            ^ (packet.attempt + 1).wrapping_mul(0x27D4_EB2F);
        mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x2C1B_3C6D);
        mixed = (mixed ^ (mixed >> 12)).wrapping_mul(0x297A_2D39);
        (mixed ^ (mixed >> 15)) % 100 < self.loss
    }
}

/// Takes the first packet whose time has come.
fn due(packets: &mut VecDeque<(u32, Packet)>, now: u32) -> Option<Packet> {
    let (_, packet) = *packets.front().filter(|(due, _)| *due <= now)?;
    packets.pop_front();
    Some(packet)
}

#[test]
fn the_page_of_a_queue_under_loss_says_what_a_simulation_says() {
    let Some(visit) = visit::<Visit>("queue-and-h2", VISITOR) else {
        return;
    };
    assert_eq!(visit.runs.len(), 360);
    let simulate = |way: Way, loss: u32, roll: u32, is_slow: bool| {
        let mut requests = visit.requests;
        if !is_slow {
            requests[0].think = 0;
        }
        Simulation::new(way, loss, roll, requests).run()
    };
    for run in &visit.runs {
        let delivered = simulate(run.way, run.loss, run.roll, run.is_slow);
        assert_eq!(delivered, run.delivered, "{run:?}");
        check_claims(run, &simulate(Way::Tcp, run.loss, run.roll, run.is_slow));
    }
    assert_eq!(visit.text, "5 % of the packets get lost");
    let ways = [Way::Queue, Way::Tcp, Way::Streams];
    let shown: Vec<u32> = ways
        .into_iter()
        .flat_map(|way| ends(&simulate(way, 5, 2, true)))
        .collect();
    assert_eq!(visit.shown, shown, "the lanes");
    let means = |way: Way, loss: u32, is_slow: bool| {
        let runs: Vec<_> = (0..100)
            .map(|roll| ends(&simulate(way, loss, roll, is_slow)))
            .collect();
        [0, 1, 2, 3]
            .map(|client| runs.iter().map(|ends| f64::from(ends[client])).sum::<f64>() / 100.0)
    };
    for (way, shown) in ways.into_iter().zip(&visit.means) {
        for (mean, shown) in means(way, 5, true).iter().zip(shown) {
            assert!((mean - shown).abs() < 0.051, "{way:?}: {mean} and {shown}");
        }
    }
    check_chapter(&means);
}

/// Checks the chapter's sentences on the means of a way, a loss, and whether A is slow.
fn check_chapter(means: &dyn Fn(Way, u32, bool) -> [f64; CLIENTS]) {
    let (queue, streams) = (means(Way::Queue, 0, false), means(Way::Tcp, 0, false));
    let are_better = [0, 1, 2, 3].map(|client| queue[client] < streams[client]);
    assert_eq!(are_better, [true, true, false, false], "with the queue");
    for is_slow in [true, false] {
        let sound = means(Way::Streams, 0, is_slow);
        let (own, all) = (
            means(Way::Streams, 20, is_slow),
            means(Way::Tcp, 20, is_slow),
        );
        let suffer =
            [0, 1, 2, 3].map(|client| all[client] - own[client] > own[client] - sound[client]);
        assert_eq!(suffer, [false, false, true, false], "from the others");
    }
}

/// Returns when each client has its whole response.
fn ends(delivered: &[Vec<u32>]) -> Vec<u32> {
    delivered
        .iter()
        .map(|packets| *packets.last().unwrap())
        .collect()
}

/// Checks the page's sentences on the run of one way, against the same losses with streams over TCP.
fn check_claims(run: &Run, over_tcp: &[Vec<u32>]) {
    let (ends, over_tcp) = (ends(&run.delivered), ends(over_tcp));
    match run.way {
        Way::Queue => assert!(ends.is_sorted(), "a client waits for all before it"),
        Way::Streams if run.loss == 0 => assert_eq!(ends, over_tcp, "without loss"),
        Way::Streams => assert!(
            ends.iter().zip(&over_tcp).all(|(own, all)| own <= all),
            "{run:?}"
        ),
        Way::Tcp => {}
    }
}
