//! Every epoll system call of the course: `epoll_create1(2)`, `epoll_ctl(2)`, `epoll_wait(2)`.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};

use crate::interest::Interest;
use crate::token::Token;

/// The bits of an event as the kernel sets them (`EPOLLIN`, `EPOLLOUT`, ...).
pub use nix::sys::epoll::EpollFlags as Readiness;

/// Waits for readiness of any number of file descriptors (`epoll(7)`).
///
/// A file descriptor that is closed leaves the poll by itself, as long as no duplicate of it
/// (`dup(2)`, `fork(2)`) stays open.
#[derive(Debug)]
pub struct Poll {
    epoll: Epoll,
}

impl Poll {
    /// Creates an empty poll, which is itself a file descriptor (`epoll_create1(2)`).
    ///
    /// # Errors
    /// Fails when the process or the machine has no file descriptor left (`EMFILE`, `ENFILE`).
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll })
    }

    /// Adds `fd`; its events will carry `token` (`EPOLL_CTL_ADD`).
    ///
    /// # Errors
    /// Fails if `fd` is registered already (`EEXIST`), is a regular file (`EPERM`), or if
    /// `fs.epoll.max_user_watches` is reached (`ENOSPC`).
    pub fn register(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        let event = EpollEvent::new(interest.flags(), token.0);
        Ok(self.epoll.add(fd, event)?)
    }

    /// Replaces the token and the interest of `fd` (`EPOLL_CTL_MOD`).
    ///
    /// Readiness that exists already is reported again, also to an edge-triggered interest.
    ///
    /// # Errors
    /// Fails if `fd` is not registered (`ENOENT`).
    pub fn reregister(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        let mut event = EpollEvent::new(interest.flags(), token.0);
        Ok(self.epoll.modify(fd, &mut event)?)
    }

    /// Takes `fd` out; a batch of events fetched before may still name its token (`EPOLL_CTL_DEL`).
    ///
    /// # Errors
    /// Fails if `fd` is not registered (`ENOENT`).
    pub fn deregister(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Waits until a file descriptor is ready or `timeout` is over, and fills `events`.
    ///
    /// `None` waits forever. A timeout is rounded up to whole milliseconds: rounded down, the last
    /// part of a millisecond would become a loop that does not wait at all. A signal ends the wait
    /// early (`EINTR`): that is not an error, there are just no events.
    ///
    /// # Errors
    /// Fails only when the poll itself is broken (`epoll_wait(2)`).
    pub fn poll(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        // First, so that no event of the last batch is left if a signal ends this wait.
        events.clear();
        match self.wait(events, in_millis(timeout)) {
            Ok(()) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits once (`epoll_wait(2)`): the kernel fills the slots of `events` from the front, and the
    /// batch notes how many.
    fn wait(&self, events: &mut Events, timeout: EpollTimeout) -> Result<(), Errno> {
        events.count = self.epoll.wait(&mut events.slots, timeout)?;
        Ok(())
    }
}

/// Rounds up to milliseconds, and shortens a wait of more than 24 days to the longest one that
/// `epoll_wait(2)` takes.
fn in_millis(timeout: Option<Duration>) -> EpollTimeout {
    let Some(timeout) = timeout else {
        return EpollTimeout::NONE;
    };
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    EpollTimeout::try_from(millis).unwrap_or(EpollTimeout::MAX)
}

/// One batch of events: room that is filled by [`Poll::poll`] again and again.
#[derive(Debug)]
pub struct Events {
    slots: Vec<EpollEvent>,
    count: usize,
}

impl Events {
    /// Creates room for at most `capacity` events in one batch.
    ///
    /// Further events stay in the kernel and come with the next batch.
    ///
    /// # Panics
    /// Panics if `capacity` is 0, because such a batch could never hold an event.
    pub fn with_capacity(capacity: usize) -> Self {
        assert!(capacity > 0, "a batch needs room for one event");
        Self {
            slots: vec![EpollEvent::empty(); capacity],
            count: 0,
        }
    }

    /// Returns the events of the batch in the kernel's order.
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        self.slots.iter().take(self.count).map(|slot| Event {
            token: Token(slot.data()),
            readiness: slot.events(),
        })
    }

    /// Returns whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Empties the batch and keeps its room.
    pub fn clear(&mut self) {
        self.count = 0;
    }
}

/// A hint that the file descriptor behind a token may be ready.
///
/// Only the system call that follows tells the truth: between the event and the call, an earlier
/// event of the same batch may have changed everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    token: Token,
    readiness: Readiness,
}

impl Event {
    /// Creates an event by hand, for tests of loops that need a batch the kernel rarely gives.
    pub fn new(token: Token, readiness: Readiness) -> Self {
        Self { token, readiness }
    }

    /// Returns the token that was given at registration.
    pub fn token(self) -> Token {
        self.token
    }

    /// Returns whether there is something to read: bytes, a client to accept, or an end (`EPOLLIN`).
    pub fn is_readable(self) -> bool {
        self.readiness.contains(Readiness::EPOLLIN)
    }

    /// Returns whether there is room to write (`EPOLLOUT`).
    pub fn is_writable(self) -> bool {
        self.readiness.contains(Readiness::EPOLLOUT)
    }

    /// Returns whether the peer has sent its FIN; there may still be bytes to read
    /// (`EPOLLRDHUP`, `EPOLLHUP`).
    pub fn is_read_closed(self) -> bool {
        let closed = Readiness::EPOLLRDHUP | Readiness::EPOLLHUP;
        self.readiness.intersects(closed)
    }

    /// Returns whether writing can only fail from now on; there may still be bytes to read
    /// (`EPOLLHUP`, `EPOLLERR`).
    pub fn is_write_closed(self) -> bool {
        let closed = Readiness::EPOLLHUP | Readiness::EPOLLERR;
        self.readiness.intersects(closed)
    }

    /// Returns whether urgent data has been announced (`EPOLLPRI`).
    pub fn is_urgent(self) -> bool {
        self.readiness.contains(Readiness::EPOLLPRI)
    }

    /// Returns whether an error is pending: the next system call fails with it (`EPOLLERR`).
    pub fn is_error(self) -> bool {
        self.readiness.contains(Readiness::EPOLLERR)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    fn poll_now(poll: &Poll) -> Vec<Event> {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, NOW).unwrap();
        events.iter().collect()
    }

    #[test]
    fn timeouts_are_rounded_up() {
        let table = [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_micros(1_001), 2),
            (Duration::from_secs(5), 5_000),
            (Duration::MAX, i32::MAX),
        ];
        for (timeout, millis) in table {
            let seen = i32::from(in_millis(Some(timeout)));
            assert_eq!(seen, millis, "milliseconds for a timeout of {timeout:?}");
        }
        assert_eq!(
            in_millis(None),
            EpollTimeout::NONE,
            "no timeout waits forever"
        );
    }

    #[test]
    fn readiness_comes_with_its_token_as_long_as_it_lasts() {
        let poll = Poll::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        poll.register(&ours, Token(7), Interest::READABLE).unwrap();
        assert_eq!(poll_now(&poll), [], "no byte has come yet");

        theirs.write_all(b"x").unwrap();
        let expected = [Event::new(Token(7), Readiness::EPOLLIN)];
        assert_eq!(poll_now(&poll), expected, "a byte has come");
        assert_eq!(poll_now(&poll), expected, "level-triggered: again");
    }

    #[test]
    fn an_edge_is_reported_once() {
        let poll = Poll::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let edge = Interest::READABLE.edge();
        poll.register(&ours, Token(1), edge).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(poll_now(&poll).len(), 1, "events when a byte has come");
        assert_eq!(poll_now(&poll), [], "the same byte is no new edge");
    }

    #[test]
    fn reregister_changes_token_and_interest_and_none_is_silent() {
        let poll = Poll::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        poll.register(&ours, Token(1), Interest::BOTH).unwrap();
        theirs.write_all(b"x").unwrap();
        poll.reregister(&ours, Token(2), Interest::WRITABLE)
            .unwrap();
        let expected = [Event::new(Token(2), Readiness::EPOLLOUT)];
        assert_eq!(poll_now(&poll), expected, "reregister replaces both");
        poll.reregister(&ours, Token(2), Interest::NONE).unwrap();
        assert_eq!(poll_now(&poll), [], "NONE is silent");
        poll.deregister(&ours).unwrap();
        assert!(poll.deregister(&ours).is_err(), "it has left already");
    }

    #[test]
    fn a_hang_up_is_reported_even_to_no_interest() {
        let poll = Poll::new().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        poll.register(&ours, Token(1), Interest::NONE).unwrap();
        drop(theirs);
        let events = poll_now(&poll);
        let [event] = events[..] else {
            panic!("a hang-up is one event, also without an interest: {events:?}");
        };
        assert!(
            event.is_read_closed() && event.is_write_closed(),
            "after a hang-up both directions are closed: {event:?}"
        );
        assert!(
            !event.is_readable() && !event.is_writable(),
            "nothing was asked for: {event:?}"
        );
    }

    #[test]
    fn a_closed_descriptor_leaves_by_itself() {
        let poll = Poll::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        poll.register(&ours, Token(1), Interest::BOTH).unwrap();
        theirs.write_all(b"x").unwrap();
        drop(ours);
        assert_eq!(poll_now(&poll), [], "the descriptor is closed");
    }

    #[test]
    fn what_finds_no_room_comes_with_the_next_batch() {
        let poll = Poll::new().unwrap();
        let pairs: Vec<_> = (0..4).map(|_| UnixStream::pair().unwrap()).collect();
        for (index, (ours, _)) in (0..).zip(&pairs) {
            let edge = Interest::WRITABLE.edge();
            poll.register(ours, Token(index), edge).unwrap();
        }
        let mut events = Events::with_capacity(3);
        let mut seen = Vec::new();
        for _ in 0..2 {
            poll.poll(&mut events, NOW).unwrap();
            assert!(!events.is_empty(), "4 events need 2 batches of 3");
            seen.extend(events.iter().map(|event| event.token().0));
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3], "the tokens of 4 sockets in 2 batches");
    }

    #[test]
    fn every_bit_has_its_questions() {
        let answers = |event: Event| {
            let all = [
                ("readable", event.is_readable()),
                ("writable", event.is_writable()),
                ("read closed", event.is_read_closed()),
                ("write closed", event.is_write_closed()),
                ("error", event.is_error()),
                ("urgent", event.is_urgent()),
            ];
            let yes = all.into_iter().filter(|(_, answer)| *answer);
            yes.map(|(question, _)| question).collect::<Vec<_>>()
        };
        let table = [
            (Readiness::EPOLLIN, vec!["readable"]),
            (Readiness::EPOLLOUT, vec!["writable"]),
            (Readiness::EPOLLRDHUP, vec!["read closed"]),
            (Readiness::EPOLLHUP, vec!["read closed", "write closed"]),
            (Readiness::EPOLLERR, vec!["write closed", "error"]),
            (Readiness::EPOLLPRI, vec!["urgent"]),
        ];
        for (readiness, expected) in table {
            let event = Event::new(Token(0), readiness);
            assert_eq!(
                answers(event),
                expected,
                "the questions that {readiness:?} answers with yes"
            );
        }
    }
}
