//! Turns at the compiler: as many benches compile at the same time as there are processors, and the others run tests.
//!
//! Tests mostly wait, and measure time: more compilers would only delay each other and them.

use std::sync::{Condvar, Mutex, PoisonError};

/// The turns of all benches.
#[derive(Debug)]
pub(super) struct Turns {
    free: Mutex<usize>,
    returned: Condvar,
}

/// A turn, which ends when it is dropped.
struct Turn<'a>(&'a Turns);

impl Turns {
    /// Creates as many turns as may be taken at the same time.
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count),
            returned: Condvar::new(),
        }
    }

    /// Does something that compiles, as soon as there is a turn for it.
    pub(super) fn take<T>(&self, compile: impl FnOnce() -> T) -> T {
        let _turn = self.wait();
        compile()
    }

    fn wait(&self) -> Turn<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.returned.wait_while(free, |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn no_more_than_there_are_turns_compile_at_once() {
        let (turns, now, all) = (Turns::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        let compile = || {
            assert!(now.fetch_add(1, Ordering::SeqCst) < 2);
            thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            all.fetch_add(1, Ordering::SeqCst);
        };
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| (0..100).for_each(|_| turns.take(compile)));
            }
        });
        assert_eq!(all.into_inner(), 500);
    }
}
