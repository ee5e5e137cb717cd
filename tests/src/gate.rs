//! A gate: a script waits at it until the test opens it, so that a test can fix an order without sleeping.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::stopping::end_quietly_when_stopping;
use crate::sync::lock;
use crate::transcript::Transcript;

/// How often a waiting script checks whether its test is over.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// A gate that is closed at first; clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    name: String,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// Creates a closed gate; `name` is for messages.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            open: Arc::default(),
        }
    }

    /// Opens the gate; it stays open.
    pub fn open(&self) {
        Transcript::current().step(format!("the gate \"{}\" opens", self.name));
        *lock(&self.open.0) = true;
        self.open.1.notify_all();
    }

    /// Returns whether the gate is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *lock(&self.open.0)
    }

    /// Waits until the gate is open.
    ///
    /// # Panics
    ///
    /// Panics if the test does not open it in time. On the thread of a script whose test is over, it ends the script quietly.
    #[track_caller]
    pub fn wait(&self) {
        let deadline = Deadline::patience();
        let mut open = lock(&self.open.0);
        while !*open {
            end_quietly_when_stopping();
            if deadline.passed() {
                drop(open);
                Failure::new(format!(
                    "The gate \"{}\" was not opened within {:?}.",
                    self.name,
                    deadline.allowed()
                ))
                .raise();
            }
            open = self
                .open
                .1
                .wait_timeout(open, CHECK_EVERY)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
