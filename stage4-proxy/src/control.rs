//! Running workers as other threads see them: snapshots while they serve, and their end.
//!
//! ```text
//!   signals ────┐                        ┌──▶ mailbox of worker 0
//!   inspector ──┼──▶ Control ── Command ─┼──▶ mailbox of worker 1
//!   tests ──────┘       ▲                └──▶ ...
//!                       └── Snapshot of each worker, merged into one
//! ```
//!
//! Nothing here is about one kind of worker: each crate converts a [`Command`] into a message of its own.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use crate::inspect::{Inspector, Snapshot};

/// How long one snapshot may take; a worker that is too busy to answer is left out of it.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(1);

/// What other threads ask of every worker.
#[derive(Clone, Debug)]
pub enum Command {
    /// Send a snapshot into the channel.
    Inspect(Sender<Snapshot>),
    /// Stop accepting, and end with the last session or at the drain limit.
    Drain,
    /// End now.
    Stop,
}

/// The sending end of a worker's mailbox.
pub trait CommandSender: Debug + Send + Sync {
    /// Sends a command and returns at once; one to a worker that has ended is dropped.
    fn send_command(&self, command: Command);
}

/// A handle to running workers; any thread may keep a clone of it.
#[derive(Clone, Debug, Default)]
pub struct Control {
    workers: Vec<Arc<dyn CommandSender>>,
}

impl Control {
    /// Adds one more worker.
    pub fn add(&mut self, worker: impl CommandSender + 'static) {
        self.workers.push(Arc::new(worker));
    }

    /// Stops accepting; each worker ends with its last session or at the drain limit.
    pub fn drain(&self) {
        self.send(&Command::Drain);
    }

    /// Ends all workers at once; open sessions are reset.
    pub fn stop(&self) {
        self.send(&Command::Stop);
    }

    /// Asks every worker for its sessions; one that does not answer in time is left out.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (sender, answers) = channel();
        // The last sender on this side is dropped with the command, because the channel must close once
        // every worker has answered or ended: a worker that has ended is not waited for.
        self.send(&Command::Inspect(sender));
        let until = Instant::now() + SNAPSHOT_TIMEOUT;
        let mut all = Snapshot::default();
        for _ in &self.workers {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(snapshot) = answers.recv_timeout(left) else {
                break;
            };
            all.merge(snapshot);
        }
        all
    }

    /// Serves snapshots of these workers on `address`, if there is one.
    ///
    /// # Errors
    ///
    /// Fails if the address is already in use or cannot be bound for another reason, or if a thread
    /// cannot be started.
    pub fn start_inspector(&self, address: Option<SocketAddr>) -> io::Result<Option<Inspector>> {
        let Some(address) = address else {
            return Ok(None);
        };
        let control = self.clone();
        let inspector = Inspector::start(address, move || control.snapshot())?;
        tracing::info!("inspector on http://{}/", inspector.local_addr());
        Ok(Some(inspector))
    }

    fn send(&self, command: &Command) {
        for worker in &self.workers {
            worker.send_command(command.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Totals;

    /// A worker that answers with so many sessions.
    #[derive(Debug)]
    struct Answering(u64);

    impl CommandSender for Answering {
        fn send_command(&self, command: Command) {
            if let Command::Inspect(reply) = command {
                let totals = Totals {
                    sessions_open: self.0,
                    ..Totals::default()
                };
                let snapshot = Snapshot {
                    totals,
                    ..Snapshot::default()
                };
                reply.send(snapshot).unwrap();
            }
        }
    }

    /// A worker that has ended: its messages are dropped.
    #[derive(Debug)]
    struct Ended;

    impl CommandSender for Ended {
        fn send_command(&self, command: Command) {
            drop(command);
        }
    }

    #[test]
    fn a_snapshot_adds_up_the_workers_and_leaves_out_those_that_have_ended() {
        let mut control = Control::default();
        control.add(Answering(2));
        control.add(Ended);
        control.add(Answering(3));
        let begun = Instant::now();
        assert_eq!(control.snapshot().totals.sessions_open, 5);
        assert!(
            begun.elapsed() < SNAPSHOT_TIMEOUT,
            "a dead worker is not waited for"
        );
    }

    #[test]
    fn without_workers_the_snapshot_is_empty() {
        assert_eq!(Control::default().snapshot(), Snapshot::default());
    }
}
