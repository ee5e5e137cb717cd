//! The bound on sessions, shared by all workers: a counting semaphore at which no thread waits.
//!
//! ```text
//!             ┌─ a slot ──▶ accept(2) ──▶ a client: its session keeps the slot, and its end releases it
//!   acquire ──┤                   └─────▶ no client: release
//!             └─ none ────▶ the worker is noted as waiting, and its listener pauses
//!
//!   release ──▶ wakes one worker that waits, each in turn
//! ```
//!
//! A worker that is woken must try to accept. If it finds no client, its release wakes the next one, so
//! that no client waits in the accept queue of one worker while a slot is free.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::sync::{Arc, OnceLock};

use crate::mailbox::{Mailbox, Message};

/// One worker's access to the slots of all.
#[derive(Debug)]
pub(crate) struct Slots {
    shared: Arc<Shared>,
    worker: usize,
}

#[derive(Debug)]
struct Shared {
    /// The slots that exist.
    all: u32,
    /// The slots that are taken; never more than `all`.
    taken: AtomicU32,
    /// At least as many as there are workers marked as waiting.
    waiting: AtomicU32,
    /// Where the search for a waiting worker begins, so that each has its turn.
    turn: AtomicUsize,
    workers: Box<[Waiter]>,
}

/// What the others know of a worker.
#[derive(Debug, Default)]
struct Waiter {
    waits: AtomicBool,
    mailbox: OnceLock<Mailbox>,
}

impl Slots {
    /// Creates `all` slots, and the access of each of `workers` workers to them.
    pub(crate) fn shared_by(workers: usize, all: u32) -> Vec<Self> {
        let shared = Arc::new(Shared {
            all,
            taken: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            turn: AtomicUsize::new(0),
            workers: (0..workers).map(|_| Waiter::default()).collect(),
        });
        let access = |worker| Self {
            shared: Arc::clone(&shared),
            worker,
        };
        (0..workers).map(access).collect()
    }

    /// Tells the other workers how to wake this one.
    pub(crate) fn wake_with(&self, mailbox: &Mailbox) {
        // It fails only at the second call, and a worker has one mailbox.
        let _ = self.own().mailbox.set(mailbox.clone());
    }

    /// Takes a slot and returns whether there was one; if not, this worker gets a
    /// [`Message::SlotFree`] later, or the answer of its own [`Slots::release`].
    pub(crate) fn acquire(&self) -> bool {
        if self.shared.take() {
            return true;
        }
        // Noted first and tried again after that, because a release in between either sees the
        // note, or has freed its slot early enough for this try. That needs one order of all these
        // operations for all threads: SeqCst.
        self.shared.waiting.fetch_add(1, SeqCst);
        self.own().waits.store(true, SeqCst);
        if !self.shared.take() {
            return false;
        }
        // A release may have taken the note away already: then a needless message is on its way.
        self.shared.stop_waiting(self.worker);
        true
    }

    /// Gives a slot back, and returns whether it is this worker's turn to take one.
    ///
    /// If it is another one's turn, that one is woken.
    pub(crate) fn release(&self) -> bool {
        self.shared.taken.fetch_sub(1, SeqCst);
        if self.shared.waiting.load(SeqCst) == 0 {
            return false;
        }
        let Some(next) = self.shared.next_waiting() else {
            return false;
        };
        if next != self.worker
            && let Some(mailbox) = self.shared.workers[next].mailbox.get()
        {
            mailbox.send(Message::SlotFree);
        }
        next == self.worker
    }

    /// Returns whether no slot is free now.
    pub(crate) fn are_all_taken(&self) -> bool {
        self.shared.taken.load(SeqCst) >= self.shared.all
    }

    /// Withdraws the note that this worker waits, because it tries again.
    pub(crate) fn stop_waiting(&self) {
        self.shared.stop_waiting(self.worker);
    }

    fn own(&self) -> &Waiter {
        &self.shared.workers[self.worker]
    }
}

impl Shared {
    fn take(&self) -> bool {
        let one_more = |taken| (taken < self.all).then_some(taken + 1);
        self.taken.fetch_update(SeqCst, SeqCst, one_more).is_ok()
    }

    /// Removes the note that a worker waits, and returns whether there was one.
    fn stop_waiting(&self, worker: usize) -> bool {
        let waited = self.workers[worker].waits.swap(false, SeqCst);
        if waited {
            self.waiting.fetch_sub(1, SeqCst);
        }
        waited
    }

    /// Returns the next worker that waits, and removes its note.
    fn next_waiting(&self) -> Option<usize> {
        let count = self.workers.len();
        let first = self.turn.load(SeqCst);
        let mut order = (first..first + count).map(|number| number % count);
        let next = order.find(|&worker| self.stop_waiting(worker))?;
        self.turn.store(next + 1, SeqCst);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use stage3_epoll::Poll;

    use super::*;
    use crate::mailbox::Inbox;

    /// Workers with their inboxes.
    fn workers(count: usize, all: u32) -> Vec<(Slots, Inbox, Poll)> {
        let slots = Slots::shared_by(count, all).into_iter();
        let with_inbox = slots.map(|slots| {
            let poll = Poll::new().unwrap();
            let inbox = Inbox::new(&poll).unwrap();
            slots.wake_with(inbox.mailbox());
            (slots, inbox, poll)
        });
        with_inbox.collect()
    }

    fn is_woken(inbox: &Inbox) -> bool {
        matches!(inbox.take(), Some(Message::SlotFree))
    }

    #[test]
    fn any_worker_may_take_every_slot() {
        let all = workers(3, 4);
        let [(a, _, _), (b, _, _), (c, _, _)] = &all[..] else {
            panic!("three workers");
        };
        assert!((0..4).all(|_| b.acquire()));
        assert!(!a.acquire() && !b.acquire() && !c.acquire());
    }

    #[test]
    fn those_that_wait_are_woken_one_for_each_slot_and_each_in_turn() {
        let all = workers(3, 1);
        let [(a, a_inbox, _), (b, b_inbox, _), (c, c_inbox, _)] = &all[..] else {
            panic!("three workers");
        };
        assert!(a.acquire());
        assert!(!b.acquire() && !c.acquire());
        assert!(!a.release(), "it does not wait itself");
        assert!(is_woken(b_inbox) && !is_woken(c_inbox));
        // B finds no client.
        assert!(b.acquire());
        assert!(!b.release());
        assert!(is_woken(c_inbox) && !is_woken(b_inbox));
        assert!(c.acquire());
        assert!(!a.acquire() && !c.acquire());
        assert!(!c.release(), "the one behind C is A");
        assert!(is_woken(a_inbox) && !is_woken(c_inbox));
        assert!(a.acquire());
        assert!(!a.acquire());
        assert!(!a.release() && is_woken(c_inbox));
        assert!(b.acquire());
        assert!(!b.release() && is_woken(a_inbox));
        assert_eq!(a.shared.waiting.load(SeqCst), 0);
    }

    #[test]
    fn a_lone_worker_needs_no_message() {
        let all = workers(1, 1);
        let (slots, inbox, _) = &all[0];
        assert!(slots.acquire() && !slots.acquire());
        assert!(slots.release());
        assert!(!is_woken(inbox));
    }

    /// Each worker accepts its clients one after the other, as fast as the slots allow; a lost wake-up
    /// would leave one of them in its poll forever.
    #[test]
    fn no_wake_up_is_lost() {
        const CLIENTS: u32 = 20_000;
        let most = Arc::new(AtomicU32::new(0));
        let now = Arc::new(AtomicU32::new(0));
        let serve = |(slots, inbox, poll): (Slots, Inbox, Poll)| {
            let (most, now) = (Arc::clone(&most), Arc::clone(&now));
            thread::spawn(move || {
                let mut events = stage3_epoll::Events::with_capacity(1);
                let mut served = 0;
                while served < CLIENTS {
                    if slots.acquire() {
                        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, SeqCst);
                        served += 1;
                        slots.release();
                    } else {
                        poll.poll(&mut events, None).unwrap();
                        inbox.reset();
                        while inbox.take().is_some() {}
                    }
                }
                // Its last client has gone: the next release is one that finds no client.
            })
        };
        let threads: Vec<_> = workers(4, 2).into_iter().map(serve).collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(most.load(SeqCst) <= 2);
    }
}
