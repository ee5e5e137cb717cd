//! Datagrams on many flows, at their own pace or at that of a clock.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, sendmmsg, sendmsg};

use socket2::Socket;

use crate::load::association;
use crate::load::sink::{DATAGRAM_BYTES, Sink};
use crate::stop;
use crate::wait;

/// How many datagrams go out on one flow before the next one has its turn.
const RUN: usize = 16;

/// How a run leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// As datagrams, in one system call: `sendmmsg(2)`.
    Each,
    /// As one piece that is cut as late as possible: `UDP_SEGMENT` in `udp(7)`.
    AsOne,
}

/// How the flows come to the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The proxy has one target, or there is none.
    Plain,
    /// Each flow is an association of a SOCKS5 proxy, and each datagram names the sink.
    Association,
}

/// The client's end of a flow.
#[derive(Debug)]
struct Flow {
    socket: UdpSocket,
    /// Its end is the end of the flow.
    _association: Option<Socket>,
}

/// What a stretch of sending came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// Flows through a proxy to one sink.
#[derive(Debug)]
pub(crate) struct Datagrams {
    sink: Sink,
    flows: Vec<Flow>,
    next: usize,
    sending: Sending,
    entrance: Entrance,
    /// In front of each datagram.
    header: Vec<u8>,
    /// A run of datagrams.
    payload: Vec<u8>,
}

impl Datagrams {
    /// Creates it without a flow.
    pub(crate) fn new(sink: Sink, sending: Sending, entrance: Entrance) -> io::Result<Self> {
        let header = match entrance {
            Entrance::Plain => Vec::new(),
            Entrance::Association => association::header(sink.address()?),
        };
        let counted = vec![0x5a; usize::from(DATAGRAM_BYTES)];
        let payload = [header.clone(), counted].concat().repeat(RUN);
        Ok(Self {
            sink,
            flows: Vec::new(),
            next: 0,
            sending,
            entrance,
            header,
            payload,
        })
    }

    /// Opens flows, `at_once` of them side by side: each one has carried a datagram each way.
    pub(crate) fn open(
        &mut self,
        address: SocketAddr,
        count: usize,
        at_once: usize,
    ) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let batch = left.min(at_once);
            let opened = self.open_batch(address, batch)?;
            self.flows.extend(opened);
            left -= batch;
        }
        Ok(())
    }

    /// Leaves all flows and opens as many new ones, side by side.
    pub(crate) fn renew(&mut self, address: SocketAddr, count: usize) -> io::Result<()> {
        self.flows.clear();
        self.next = 0;
        self.open(address, count, count)
    }

    /// Sends questions until each has its answer: the proxy may not be ready, and datagrams may be lost.
    fn open_batch(&mut self, address: SocketAddr, count: usize) -> io::Result<Vec<Flow>> {
        const LIMIT: Duration = Duration::from_secs(10);
        let question = [&self.header[..], b"?"].concat();
        let mut silent = Vec::with_capacity(count);
        for _ in 0..count {
            silent.push(self.connect(address)?);
        }
        let mut open = Vec::with_capacity(count);
        wait::until("answers through the proxy", LIMIT, || {
            for flow in &silent {
                // A refusal (ECONNREFUSED) belongs to a question of when the proxy had no socket yet.
                let _ = flow.socket.send(&question);
            }
            self.answer_all(silent.len())?;
            open.extend(silent.extract_if(.., |flow| flow.socket.recv(&mut [0; 8]).is_ok()));
            Ok(silent.is_empty())
        })?;
        Ok(open)
    }

    /// Creates the client's end of a flow.
    fn connect(&self, address: SocketAddr) -> io::Result<Flow> {
        let (association, address) = match self.entrance {
            Entrance::Plain => (None, address),
            Entrance::Association => {
                let (connection, relay) = association::open(address)?;
                (Some(connection), relay)
            }
        };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        Ok(Flow {
            socket,
            _association: association,
        })
    }

    /// Answers so many questions, or those that come in time, and gives the last answer time to arrive.
    fn answer_all(&mut self, count: usize) -> io::Result<()> {
        const QUIET: Duration = Duration::from_millis(50);
        const WAY_BACK: Duration = Duration::from_millis(2);
        for _ in 0..count {
            if !self.sink.answer(QUIET)? {
                break;
            }
        }
        wait::pass(WAY_BACK)
    }

    /// Returns the number of flows.
    pub(crate) fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Sends as fast as the sink receives, for a while.
    ///
    /// So few are under way that they fit into the receive buffer of one socket, whichever it is: the
    /// proxy is never idle, and loses nothing unless it drops what it could keep.
    pub(crate) fn run_for(&mut self, time: Duration) -> io::Result<Tally> {
        const UNDER_WAY: u64 = 128;
        const LOST_AFTER: Duration = Duration::from_millis(20);
        let end = Instant::now() + time;
        let (mut tally, mut under_way) = (Tally::default(), 0);
        while Instant::now() < end {
            stop::check()?;
            while under_way + RUN as u64 <= UNDER_WAY {
                let sent = self.send()?;
                tally.sent += sent;
                under_way += sent;
            }
            let received = self.sink.wait(LOST_AFTER)?;
            tally.received += received;
            under_way = match received {
                0 => 0,
                received => under_way.saturating_sub(received),
            };
        }
        Ok(tally)
    }

    /// Sends so many in each second, whatever becomes of them.
    ///
    /// They leave in runs, and of the last 2 ms alone: at fewer than 8,000 in a second, none would be due.
    pub(crate) fn run_at(&mut self, per_second: u32, time: Duration) -> io::Result<Tally> {
        const TICK: Duration = Duration::from_millis(1);
        let mut tally = Tally::default();
        let mut clock = Pace::new(per_second);
        let started = Instant::now();
        while started.elapsed() < time {
            stop::check()?;
            while clock.is_due(started.elapsed(), RUN as u64) {
                tally.sent += self.send()?;
            }
            tally.received += self.sink.wait(TICK)?;
        }
        tally.received += self.late()?;
        Ok(tally)
    }

    /// Takes what is still under way.
    pub(crate) fn late(&mut self) -> io::Result<u64> {
        const QUIET: Duration = Duration::from_millis(50);
        let mut total = 0;
        loop {
            match self.sink.wait(QUIET)? {
                0 => return Ok(total),
                received => total += received,
            }
        }
    }

    /// Sends one run on the next flow; returns how many datagrams it had.
    fn send(&mut self) -> io::Result<u64> {
        let flow = &self.flows[self.next].socket;
        self.next = (self.next + 1) % self.flows.len();
        match self.sending {
            Sending::Each => send_each(flow, &self.payload),
            Sending::AsOne => send_as_one(flow, &self.payload),
        }
    }
}

fn send_each(flow: &UdpSocket, payload: &[u8]) -> io::Result<u64> {
    let datagrams = payload.chunks(payload.len() / RUN);
    let slices: Vec<[IoSlice<'_>; 1]> = datagrams.map(|part| [IoSlice::new(part)]).collect();
    let mut headers = MultiHeaders::<()>::preallocate(RUN, None);
    let (fd, flags) = (flow.as_raw_fd(), MsgFlags::empty());
    let sent = sendmmsg(fd, &mut headers, &slices, [None; RUN], [], flags)?;
    Ok(sent.count() as u64)
}

fn send_as_one(flow: &UdpSocket, payload: &[u8]) -> io::Result<u64> {
    let length = u16::try_from(payload.len() / RUN).map_err(io::Error::other)?;
    let control = [ControlMessage::UdpGsoSegments(&length)];
    let slices = [IoSlice::new(payload)];
    let (fd, flags) = (flow.as_raw_fd(), MsgFlags::empty());
    sendmsg::<()>(fd, &slices, &control, flags, None)?;
    Ok(RUN as u64)
}

/// A clock that says how many datagrams are due; without I/O.
#[derive(Clone, Copy, Debug)]
struct Pace {
    per_second: u32,
    /// How many were due so far, sent or given up.
    done: u64,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            done: 0,
        }
    }

    /// Returns whether a run is due, and counts it.
    ///
    /// A load that was held up does not catch up with everything at once: such a burst would overflow
    /// buffers, and the proxy would have nothing to do with it.
    fn is_due(&mut self, elapsed: Duration, run: u64) -> bool {
        const LONGEST_BURST: Duration = Duration::from_millis(2);
        let due = self.due_after(elapsed);
        let given_up = self.due_after(elapsed.saturating_sub(LONGEST_BURST));
        self.done = self.done.max(given_up);
        let is_due = self.done + run <= due;
        if is_due {
            self.done += run;
        }
        is_due
    }

    fn due_after(&self, elapsed: Duration) -> u64 {
        const NANOSECONDS: u128 = 1_000_000_000;
        let due = elapsed.as_nanos() * u128::from(self.per_second) / NANOSECONDS;
        u64::try_from(due).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_kept_in_runs() {
        let mut pace = Pace::new(100_000);
        let after = Duration::from_micros;
        assert!(!pace.is_due(after(159), 16));
        assert!(pace.is_due(after(160), 16));
        assert!(!pace.is_due(after(160), 16));
        let runs = (160..1000).filter(|&us| pace.is_due(after(us), 16)).count();
        assert_eq!(runs, 5);
    }

    #[test]
    fn after_a_delay_the_burst_is_bounded() {
        let mut pace = Pace::new(100_000);
        let late = Duration::from_secs(1);
        let mut runs = 0;
        while pace.is_due(late, 16) {
            runs += 1;
        }
        assert_eq!(runs, 200 / 16);
    }

    #[test]
    fn datagrams_arrive_in_both_ways_of_sending() {
        for sending in [Sending::Each, Sending::AsOne] {
            let sink = Sink::open().unwrap();
            let address = sink.address().unwrap();
            let mut load = Datagrams::new(sink, sending, Entrance::Plain).unwrap();
            load.open(address, 3, 2).unwrap();
            assert_eq!(load.flow_count(), 3);
            let mut tally = load.run_for(Duration::from_millis(20)).unwrap();
            tally.received += load.late().unwrap();
            assert!(tally.sent > 0);
            assert_eq!(tally.sent, tally.received, "{sending:?}");
        }
    }
}
