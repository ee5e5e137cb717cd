//! Bulk transfers beside a measurement.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::load::bulk::Pump;
use crate::load::dial::Dial;
use crate::stop;
use crate::upstream::tag::Tag;

/// A thread that sends as much as it can; dropping it closes its connections.
///
/// It is no part of the thread that measures: a request would wait for the pieces that this one is just writing.
#[derive(Debug)]
pub(crate) struct Background {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Background {
    /// Opens a connection for each tag and begins to send; the thread stays on the core and in the network of its
    /// starter.
    pub(crate) fn start(dial: &Dial, tags: &[Tag]) -> io::Result<Self> {
        let pump = Pump::connect(dial, tags.len())?;
        pump.introduce(tags)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = thread::Builder::new()
            .name("bulk".into())
            .spawn(move || run(pump, &flag))?;
        Ok(Self {
            is_over,
            thread: Some(thread),
        })
    }

    /// Fails if it has stopped sending, with the reason.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        match self.thread.take_if(|thread| thread.is_finished()) {
            None => Ok(()),
            Some(thread) => {
                let outcome = thread.join();
                outcome.map_err(|_| {
                    io::Error::other("the thread with the bulk transfers has panicked")
                })?
            }
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // An error was reported by `check`, or came after the measurement.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(mut pump: Pump, is_over: &AtomicBool) -> io::Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        stop::check()?;
        pump.turn()?;
    }
    Ok(())
}
