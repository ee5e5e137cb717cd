use super::*;

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Duration;

use harness::connect::Connect;
use harness::{Deadline, PATIENCE, Peer, Rng, eventually};
use socket2::Socket;
use stage1_server::{ListenOptions, listen, local_addr};
use stage3_epoll::{Events, Poll, Token};

use crate::connect_error::ConnectError;
use crate::deadline::Timeout;
use crate::ingress::{Failure, Handshake, Step, Verdict};

mod deadlines;
mod handshaking;
mod matrix;
mod relaying;

/// A handshake of lines: `go` connects, `no` is refused, `bad` is a wrong password, `hello` is greeted, anything else ignored.
#[derive(Debug)]
struct Lines;

impl Handshake for Lines {
    fn advance(&mut self, input: &[u8]) -> Step {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
            return step(0, b"", Verdict::More);
        };
        match &input[..end] {
            b"go" => step(end + 1, b"", Verdict::Connect(target())),
            b"no" => step(end + 1, b"no\n", Verdict::Refuse("as asked".to_owned())),
            b"bad" => step(end + 1, b"wrong\n", Verdict::Unauthorized(Wrong::Name)),
            b"hello" => step(end + 1, b"hi\n", Verdict::More),
            _ => step(end + 1, b"", Verdict::More),
        }
    }

    fn tells_local_addr(&self) -> bool {
        true
    }

    fn connected(&mut self, local: Option<SocketAddr>) -> Vec<u8> {
        assert!(local.is_some(), "the upstream's local address is known");
        b"ok\n".to_vec()
    }

    fn failed(&mut self, failure: &Failure<'_>) -> Vec<u8> {
        format!("error: {failure}\n").into_bytes()
    }
}

fn step(consumed: usize, reply: &[u8], verdict: Verdict) -> Step {
    Step {
        consumed,
        reply: reply.to_vec(),
        forward: Vec::new(),
        exchange: None,
        verdict,
    }
}

fn target() -> Arc<Target> {
    Arc::new("example:80".parse().unwrap())
}

/// The bound of the handshakes here.
const MAX_HANDSHAKE: usize = 1000;

/// A session with real sockets, driven as a worker drives it.
struct Rig {
    session: Session,
    /// The far end of the client's connection, until a test resets it.
    client: Option<Peer>,
    /// The far end of the upstream's connection, once there is one.
    upstream: Option<Peer>,
    scratch: Scratch,
    limits: Limits,
    poll: Poll,
    /// The clock; only the tests move it.
    now: Instant,
}

impl Rig {
    /// Accepts a client that begins with a handshake of [`Lines`].
    fn new() -> Self {
        Self::with_handshake(Lines, &Connect::new())
    }

    fn with_handshake(handshake: impl Handshake + 'static, connect: &Connect) -> Self {
        let (near, client) = connection(connect);
        let near = Endpoint::accepted(near, client.local());
        let limits = Limits {
            chunk: 32 * 1024,
            bytes_per_turn: 1024 * 1024,
            ..Limits::default()
        };
        let conversation = Conversation::new(Box::new(handshake), MAX_HANDSHAKE);
        let mut rig = Self {
            session: Session::new(near, Some(conversation), Instant::now()),
            client: Some(client),
            upstream: None,
            scratch: Scratch::new(&limits),
            limits,
            poll: Poll::new().unwrap(),
            now: Instant::now(),
        };
        rig.now = rig.session.opened;
        rig.watch(Side::Client);
        rig
    }

    /// Accepts a client whose session is in `Relay`, without a handshake before.
    fn relaying() -> Self {
        Self::relaying_with(&Connect::new())
    }

    fn relaying_with(connect: &Connect) -> Self {
        let mut rig = Self::with_handshake(Lines, connect);
        rig.forget_handshake();
        rig.reach_upstream();
        rig
    }

    fn watch(&mut self, side: Side) {
        let endpoint = self.session.endpoint_mut(side).unwrap();
        let interest = endpoint.interest();
        self.poll
            .register(&*endpoint, token(side), interest)
            .unwrap();
    }

    /// Makes the session one whose ingress has no handshake.
    fn forget_handshake(&mut self) {
        self.session.handshake = None;
        self.session.phase = Phase::Resolving(None);
    }

    /// Puts the session into the phase in which a connect(2) is in progress.
    fn begin_connecting(&mut self) {
        let since = self.now;
        let phase = Phase::Connecting(Attempts::Only { since });
        self.session.enter(phase, self.now);
    }

    /// Lets the client give a wrong password.
    fn give_a_wrong_password(&mut self) {
        self.client().send(b"bad\n");
        assert_eq!(word(&self.next()), "wait");
    }

    /// Begins to look a name up.
    fn begin_resolving(&mut self) {
        self.session.enter(Phase::Resolving(None), self.now);
    }

    /// Refuses the client as a handshake does that has just sent `reply`.
    fn refuse(&mut self, reply: &[u8]) {
        self.session.down.half.keep(reply);
        self.fail(&Reason::Refused("as the test wants it".to_owned()));
    }

    /// Refuses the client for `reason`.
    fn fail(&mut self, reason: &Reason) {
        let told = self.session.refused(reason, self.now);
        assert!(told, "the handshake has words for it");
    }

    /// Connects the upstream, as a worker does.
    fn reach_upstream(&mut self) {
        let (near, upstream) = connection(&Connect::new());
        self.session.upstream = Some(Endpoint::connecting(near, upstream.local()));
        self.upstream = Some(upstream);
        self.watch(Side::Upstream);
        while !self
            .session
            .upstream
            .as_ref()
            .is_some_and(|near| near.writable)
        {
            self.await_events();
        }
        self.session.connected(self.now);
    }

    fn client(&self) -> &Peer {
        self.client.as_ref().unwrap()
    }

    fn upstream(&self) -> &Peer {
        self.upstream.as_ref().unwrap()
    }

    fn far_end(&mut self, side: Side) -> &mut Option<Peer> {
        match side {
            Side::Client => &mut self.client,
            Side::Upstream => &mut self.upstream,
        }
    }

    fn peer(&self, side: Side) -> &Peer {
        match side {
            Side::Client => self.client(),
            Side::Upstream => self.upstream(),
        }
    }

    /// Waits until `count` unread bytes of one side are in the proxy's socket.
    fn await_arrival(&mut self, side: Side, count: usize) {
        let near = self.session.endpoint_mut(side).unwrap();
        let mut room = vec![MaybeUninit::uninit(); count];
        eventually("the bytes are in the socket", PATIENCE, || {
            near.socket()
                .peek(&mut room)
                .is_ok_and(|seen| seen == count)
        });
    }

    /// Waits for the next events of any side.
    fn await_events(&mut self) {
        let deadline = Deadline::patience();
        while !self.note_events() {
            assert!(
                !deadline.passed(),
                "the session waits for an event, and none came: {:?}",
                self.session
            );
        }
    }

    fn note_events(&mut self) -> bool {
        let mut events = Events::with_capacity(8);
        let wait = Some(Duration::from_millis(5));
        self.poll.poll(&mut events, wait).unwrap();
        for event in events.iter() {
            let mut sides = [Side::Client, Side::Upstream].into_iter();
            let side = sides.find(|&side| token(side) == event.token()).unwrap();
            self.session.endpoint_mut(side).unwrap().note(event);
        }
        !events.is_empty()
    }

    fn advance(&mut self) -> Next {
        let (scratch, limits) = (&mut self.scratch, &self.limits);
        let next = self.session.advance(scratch, limits, self.now);
        for side in [Side::Client, Side::Upstream] {
            if let Some(endpoint) = self.session.endpoint_mut(side)
                && endpoint.take_rearm()
            {
                let interest = endpoint.interest();
                self.poll
                    .reregister(&*endpoint, token(side), interest)
                    .unwrap();
            }
        }
        next
    }

    /// Waits for one event and returns what the session needs then.
    fn next(&mut self) -> Next {
        self.await_events();
        self.advance()
    }

    /// Advances the session until it needs anything but events and turns.
    fn outcome(&mut self) -> Next {
        loop {
            match self.advance() {
                Next::Wait => self.await_events(),
                Next::Again | Next::Answered => {}
                next @ (Next::Identify(_)
                | Next::Connect(_)
                | Next::ConnectUnix(_)
                | Next::Associate(_)
                | Next::Refuse(_)
                | Next::Close(_)) => {
                    return next;
                }
            }
        }
    }

    /// Advances the session until `done`; meanwhile it must not need anything but events and turns.
    fn run_until(&mut self, done: impl Fn(&Session) -> bool) {
        loop {
            let next = self.advance();
            if done(&self.session) {
                return;
            }
            match next {
                Next::Wait => self.await_events(),
                Next::Again | Next::Answered => {}
                Next::Identify(_)
                | Next::Connect(_)
                | Next::ConnectUnix(_)
                | Next::Associate(_)
                | Next::Refuse(_)
                | Next::Close(_) => {
                    panic!("the session ends before it has come so far: it needs {next:?}")
                }
            }
        }
    }

    /// Ends the session as a worker does, and gives the far ends back that are left.
    fn close(self, finished: bool) -> Vec<Peer> {
        let mut scratch = self.scratch;
        self.session.close(finished, &mut scratch.pipes);
        [self.client, self.upstream].into_iter().flatten().collect()
    }
}

fn token(side: Side) -> Token {
    Token(side.column() as u64)
}

/// A connection over loopback: the proxy's end and the far one.
fn connection(connect: &Connect) -> (Socket, Peer) {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = listen(anywhere, &ListenOptions::default()).unwrap();
    let far = connect.to(local_addr(&listener).unwrap());
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (near, far)
}

/// Returns in a word what a session needs.
fn word(next: &Next) -> &'static str {
    match next {
        Next::Wait => "wait",
        Next::Again | Next::Answered => "again",
        Next::Identify(_) => "identify",
        Next::Connect(_) | Next::ConnectUnix(_) => "connect",
        Next::Associate(_) => "associate",
        Next::Refuse(_) => "refuse",
        Next::Close(Reason::Finished) => "finished",
        Next::Close(Reason::Gone) => "gone",
        Next::Close(Reason::Reset(Side::Client, _)) => "client reset",
        Next::Close(Reason::Reset(Side::Upstream, _)) => "upstream reset",
        Next::Close(Reason::Refused(_)) => "refused",
        Next::Close(Reason::TooLong) => "too long",
        Next::Close(Reason::Unreached(_)) => "unreached",
        Next::Close(Reason::TimedOut(_)) => "timed out",
        Next::Close(Reason::OverLimit) => "over the limit",
        Next::Close(Reason::NotAdmitted) => "not admitted",
        Next::Close(Reason::Unauthorized(_)) => "unauthorized",
        Next::Close(Reason::BadRequest(_)) => "bad request",
        Next::Close(Reason::BadResponse(_)) => "bad response",
        Next::Close(Reason::Stopped) => "stopped",
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Upstream,
        Side::Upstream => Side::Client,
    }
}

impl Session {
    /// The direction that begins at one side.
    fn flow(&self, source: Side) -> &Flow {
        match source {
            Side::Client => &self.up,
            Side::Upstream => &self.down,
        }
    }
}

#[test]
fn a_row_is_no_larger_than_an_idle_session_may_be() {
    // Each idle session is one row, so what few sessions need is boxed.
    let size = size_of::<Session>();
    assert!(size <= 360, "{size} bytes");
}
