//! Waker: how another thread interrupts the wait of a poll (`eventfd(2)`).

use std::io;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::interest::Interest;
use crate::poll::Poll;
use crate::token::Token;

/// Wakes a [`Poll`] from any thread; share it in an `Arc`.
///
/// An eventfd is one number in the kernel. Writing adds to it, and while it is not 0 the file
/// descriptor is readable. Wake-ups that come close together therefore become one event: a waker
/// says "look", and the message itself must be in a queue or a flag of its own.
///
/// ```
/// use stage3_epoll::{Events, Poll, Token, Waker};
///
/// let poll = Poll::new()?;
/// let waker = Waker::new(&poll, Token(1))?;
/// waker.wake()?;
/// waker.wake()?;
/// let mut events = Events::with_capacity(4);
/// poll.poll(&mut events, None)?;
/// assert_eq!(events.iter().count(), 1);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Waker {
    number: EventFd,
}

impl Waker {
    /// Creates a waker whose events carry `token`. Its eventfd is non-blocking, so that neither [`Waker::wake`] nor
    /// [`Waker::reset`] ever waits.
    ///
    /// # Errors
    /// Fails when no file descriptor is left (`EMFILE`, `ENFILE`), or if it cannot be registered.
    pub fn new(poll: &Poll, token: Token) -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let number = EventFd::from_flags(flags)?;
        poll.register(&number, token, Interest::READABLE)?;
        Ok(Self { number })
    }

    /// Makes the poll's wait return with an event, now or at its next call.
    ///
    /// # Errors
    /// Fails only when the file descriptor is broken. `EAGAIN` means that the number cannot grow
    /// any further, so a wake-up is pending already: that is success.
    pub fn wake(&self) -> io::Result<()> {
        match self.number.write(1) {
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the number back to 0; without this, a level-triggered poll reports it again at once.
    ///
    /// Reset first and check the queue afterwards: in the other order, a wake-up that comes in
    /// between would be lost.
    ///
    /// # Errors
    /// Fails only when the file descriptor is broken. `EAGAIN` means that it was 0 already.
    pub fn reset(&self) -> io::Result<()> {
        match self.number.read() {
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::poll::{Event, Events, Readiness};

    const TOKEN: Token = Token(9);

    fn wait(poll: &Poll, timeout: Option<Duration>) -> Vec<Event> {
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, timeout).unwrap();
        events.iter().collect()
    }

    #[test]
    fn wakes_from_another_thread() {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(&poll, TOKEN).unwrap());
        let other = Arc::clone(&waker);
        let thread = thread::spawn(move || other.wake());
        let expected = [Event::new(TOKEN, Readiness::EPOLLIN)];
        assert_eq!(wait(&poll, Some(Duration::from_secs(20))), expected);
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn many_wakes_are_one_event_until_reset() {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(&poll, TOKEN).unwrap();
        for _ in 0..1000 {
            waker.wake().unwrap();
        }
        assert_eq!(wait(&poll, Some(Duration::ZERO)).len(), 1);
        assert_eq!(wait(&poll, Some(Duration::ZERO)).len(), 1);
        waker.reset().unwrap();
        assert_eq!(wait(&poll, Some(Duration::ZERO)), []);
        waker.reset().unwrap();
    }

    #[test]
    fn a_full_number_is_a_wake_up_too() {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(&poll, TOKEN).unwrap();
        waker.number.write(u64::MAX - 1).unwrap();
        waker
            .wake()
            .expect("the number is full, so a wake-up is pending already");
        assert_eq!(wait(&poll, Some(Duration::ZERO)).len(), 1);
    }
}
