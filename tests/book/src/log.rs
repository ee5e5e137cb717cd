//! The warnings of mdBook while it builds.
//!
//! A missing include or an unclosed tag is a line in mdBook's log and the build goes on. Here such a
//! line is a problem.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The warnings and errors of mdBook so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(Arc<Mutex<Vec<String>>>);

impl Problems {
    /// Subscribes to mdBook's log, for the rest of the process.
    ///
    /// # Errors
    ///
    /// Fails if the process has a subscriber already.
    pub(crate) fn listen() -> Result<Self> {
        let problems = Self::default();
        let subscriber = tracing_subscriber::registry().with(problems.clone());
        subscriber
            .try_init()
            .context("the log has a subscriber already")?;
        Ok(problems)
    }

    /// Returns the problems so far and removes them.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Problems {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Skipped, because the parsers below mdBook warn about things that do not concern the book.
        if *metadata.level() <= Level::WARN && metadata.target().starts_with("mdbook") {
            let mut sentence = Sentence::default();
            event.record(&mut sentence);
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(sentence.0);
        }
    }
}

#[derive(Default)]
struct Sentence(String);

impl Visit for Sentence {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing into a String cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}
