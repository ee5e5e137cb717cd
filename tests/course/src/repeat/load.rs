//! Load: threads that keep all processors busy, so that the tests are scheduled late.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// One busy thread for each processor, until it is dropped.
#[derive(Debug)]
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Load {
    /// Starts the threads.
    pub(super) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let count = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..count).map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || burn(&stop))
        });
        let threads = threads.collect();
        Self { stop, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // The result is ignored, because the thread cannot panic.
            drop(thread.join());
        }
    }
}

/// Multiplies until `stop` is set.
fn burn(stop: &AtomicBool) -> u64 {
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
    fn a_crowd_has_a_thread_for_each_processor_and_stop() {
        let load = Load::start();
        let count = thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(load.threads.len(), count);
        drop(load);
    }
}
