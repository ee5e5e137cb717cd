//! Shared by the tests of stage 3: the program under test, a pair of sockets, the events of a poll.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use harness::{PATIENCE, Server, ensure, fail, scaled};
use stage3_epoll::{Event, Events, Interest, Poll, Token};

pub(crate) const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];
/// A window in which a waiting program uses no CPU.
pub(crate) const HALF_A_SECOND: Duration = Duration::from_millis(500);

pub(crate) fn program() -> PathBuf {
    harness::bin!("stage3-epoll")
}

pub(crate) fn server() -> Server {
    Server::start(program(), &ANY_PORT)
}

pub(crate) fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    ours.set_nonblocking(true).expect("a non-blocking socket");
    (ours, theirs)
}

pub(crate) fn registered(fd: impl AsFd, token: Token, interest: Interest) -> Poll {
    let poll = Poll::new().expect("an epoll instance");
    poll.register(fd, token, interest).expect("a registration");
    poll
}

/// Waits for events, at most `timeout`.
pub(crate) fn events_within(poll: &Poll, timeout: Duration) -> Vec<Event> {
    let mut events = Events::with_capacity(16);
    if let Err(error) = poll.poll(&mut events, Some(timeout)) {
        fail(format!(
            "poll failed: {error}. Only a broken poll is an error; a wait without events, or one that a signal ends, is none."
        ));
    }
    events.iter().collect()
}

pub(crate) fn events_now(poll: &Poll) -> Vec<Event> {
    events_within(poll, Duration::ZERO)
}

/// Fails if there is an event now; `because` says why there should be none.
#[track_caller]
pub(crate) fn no_event(poll: &Poll, because: &str) {
    let events = events_now(poll);
    ensure(
        events.is_empty(),
        format!("There should be no event, because {because}, but poll returned {events:?}."),
    );
}

/// Waits for exactly one event; `because` says what has happened.
#[track_caller]
pub(crate) fn one_event(poll: &Poll, because: &str) -> Event {
    let events = events_within(poll, scaled(PATIENCE));
    let [event] = events[..] else {
        fail(format!(
            "There should be one event, because {because}, but poll returned {events:?}. No event at all means that nothing was \
             registered for it, or that it was not put into the batch."
        ));
    };
    event
}
