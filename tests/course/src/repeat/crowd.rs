//! A crowd: threads that want the processors all the time, so that the tests get them late.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// One busy thread for each processor, until it is dropped.
#[derive(Debug)]
pub(super) struct Crowd {
    goes_home: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Crowd {
    /// Starts the threads.
    pub(super) fn gather() -> Self {
        let goes_home = Arc::new(AtomicBool::new(false));
        let count = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..count).map(|_| {
            let goes_home = Arc::clone(&goes_home);
            thread::spawn(move || toil(&goes_home))
        });
        let threads = threads.collect();
        Self { goes_home, threads }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.goes_home.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot panic, and has nothing to say.
            drop(thread.join());
        }
    }
}

/// Multiplies until it is told to stop.
fn toil(stop: &AtomicBool) -> u64 {
    let mut number: u64 = 1;
    while !stop.load(Ordering::Relaxed) {
        for factor in 1..1000 {
            number = black_box(number.wrapping_mul(factor | 1));
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_a_thread_for_each_processor_and_goes_home() {
        let crowd = Crowd::gather();
        let count = thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(crowd.threads.len(), count);
        drop(crowd);
    }
}
