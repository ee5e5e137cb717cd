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
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::inspect::{Inspector, Question, Scope, Snapshot};

/// How long one snapshot may take. A worker that needs longer is stuck, or the machine is.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(2);

/// What other threads ask of every worker.
#[derive(Clone, Debug)]
pub enum Command {
    /// Answer a question about the sessions.
    Inspect(Question),
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
    workers: Vec<Arc<RemoteWorker>>,
}

/// A worker on another thread.
#[derive(Debug)]
struct RemoteWorker {
    mailbox: Box<dyn CommandSender>,
    /// Its last answer without the sessions, which is what counts once it has ended.
    last: Mutex<Snapshot>,
}

impl Control {
    /// Adds one more worker.
    pub fn add(&mut self, worker: impl CommandSender + 'static) {
        self.workers.push(Arc::new(RemoteWorker {
            mailbox: Box::new(worker),
            last: Mutex::default(),
        }));
    }

    /// Stops accepting; each worker ends with its last session or at the drain limit.
    pub fn drain(&self) {
        self.send(&Command::Drain);
    }

    /// Ends all workers at once; open sessions are reset.
    pub fn stop(&self) {
        self.send(&Command::Stop);
    }

    /// Asks every worker for its totals, and for its sessions if `scope` says so; returns `None` if one of
    /// them does not answer in time (2 seconds).
    ///
    /// A worker that has ended counts with its last known totals. No answer is better than a sum without one
    /// of the workers: a counter that falls looks like a restart to Prometheus, and when it rises again,
    /// the whole total looks like the work of one interval.
    /// Its sections are shown only if no other worker has them: they may count for all workers together, and no longer change.
    #[must_use]
    pub fn snapshot(&self, scope: Scope) -> Option<Snapshot> {
        // All are asked before the first answer is awaited, so that they work at the same time.
        let answers: Vec<_> = self.workers.iter().map(|it| it.ask(scope)).collect();
        let until = Instant::now() + SNAPSHOT_TIMEOUT;
        let (mut all, mut ended) = (Snapshot::default(), Vec::new());
        for (worker, answer) in self.workers.iter().zip(answers) {
            match worker.wait(&answer, until)? {
                Answer::Now(snapshot) => all.merge(snapshot),
                Answer::LastKnown(snapshot) => ended.push(snapshot),
            }
        }
        ended.into_iter().for_each(|last| all.merge(last));
        Some(all)
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
        let inspector = Inspector::start(address, move |scope| control.snapshot(scope))?;
        tracing::info!("inspector on http://{}/", inspector.local_addr());
        Ok(Some(inspector))
    }

    fn send(&self, command: &Command) {
        for worker in &self.workers {
            worker.mailbox.send_command(command.clone());
        }
    }
}

/// What is known of a worker.
#[derive(Debug)]
enum Answer {
    /// It has answered.
    Now(Snapshot),
    /// It has ended.
    LastKnown(Snapshot),
}

impl RemoteWorker {
    fn ask(&self, scope: Scope) -> Receiver<Arc<Snapshot>> {
        // The only sender goes with the question: the channel closes if the worker ends without an answer.
        let (reply, answer) = channel();
        let question = Question { scope, reply };
        self.mailbox.send_command(Command::Inspect(question));
        answer
    }

    /// Waits for an answer; returns `None` if there is none at `until`.
    fn wait(&self, answer: &Receiver<Arc<Snapshot>>, until: Instant) -> Option<Answer> {
        let answer = answer.recv_timeout(until.saturating_duration_since(Instant::now()));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(snapshot) => {
                last.totals = snapshot.totals.clone();
                last.totals.sessions_open = 0;
                last.sections.clone_from(&snapshot.sections);
                Some(Answer::Now(Arc::unwrap_or_clone(snapshot)))
            }
            Err(RecvTimeoutError::Disconnected) => Some(Answer::LastKnown(last.clone())),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;
    use crate::inspect::{Metrics, Section, SessionView, Totals};

    /// A worker that answers with so many sessions.
    #[derive(Debug)]
    struct Answering(u64);

    impl CommandSender for Answering {
        fn send_command(&self, command: Command) {
            if let Command::Inspect(question) = command {
                let totals = Totals {
                    sessions_open: self.0,
                    sessions_total: 10 * self.0,
                    ..Totals::default()
                };
                let section = Section {
                    name: "answering",
                    json: self.0.into(),
                    metrics: Metrics::default(),
                    page: "",
                };
                let snapshot = Snapshot {
                    totals,
                    sections: vec![section],
                    ..Snapshot::default()
                };
                question.reply.send(Arc::new(snapshot)).unwrap();
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

    /// A worker that answers one question and ends.
    #[derive(Debug)]
    struct EndingAfterOne(Mutex<Option<Answering>>);

    impl CommandSender for EndingAfterOne {
        fn send_command(&self, command: Command) {
            if let Some(answering) = self.0.lock().unwrap().take() {
                answering.send_command(command);
            }
        }
    }

    /// A worker that keeps its messages and never reads them.
    #[derive(Debug)]
    struct Stuck(Sender<Command>);

    impl CommandSender for Stuck {
        fn send_command(&self, command: Command) {
            self.0.send(command).unwrap();
        }
    }

    fn totals(control: &Control) -> Totals {
        control.snapshot(Scope::Totals).expect("an answer").totals
    }

    #[test]
    fn a_snapshot_adds_up_the_workers_and_does_not_wait_for_those_that_have_ended() {
        let mut control = Control::default();
        control.add(Answering(2));
        control.add(Ended);
        control.add(Answering(3));
        let begun = Instant::now();
        assert_eq!(totals(&control).sessions_open, 5);
        assert!(begun.elapsed() < SNAPSHOT_TIMEOUT);
    }

    #[test]
    fn a_worker_that_has_ended_counts_with_its_last_totals_and_has_no_sessions() {
        let mut control = Control::default();
        control.add(EndingAfterOne(Mutex::new(Some(Answering(2)))));
        control.add(Answering(3));
        let (before, after) = (totals(&control), totals(&control));
        assert_eq!((before.sessions_open, before.sessions_total), (5, 50));
        assert_eq!((after.sessions_open, after.sessions_total), (3, 50));
        let sessions: Vec<SessionView> = control.snapshot(Scope::Sessions).unwrap().sessions;
        assert_eq!(sessions, []);
    }

    #[test]
    fn a_section_is_that_of_a_worker_that_still_answers() {
        let mut control = Control::default();
        control.add(EndingAfterOne(Mutex::new(Some(Answering(2)))));
        control.add(Answering(3));
        let sections = [(); 2].map(|()| control.snapshot(Scope::Totals).unwrap().sections);
        let numbers = sections.map(|all| all.into_iter().map(|one| one.json).collect::<Vec<_>>());
        assert_eq!(
            numbers,
            [[2], [3]],
            "the last known one of the first worker is out of date"
        );
    }

    #[test]
    fn a_stuck_worker_is_no_answer_instead_of_a_smaller_sum() {
        let mut control = Control::default();
        let (sender, _kept) = channel();
        control.add(Answering(2));
        control.add(Stuck(sender));
        assert_eq!(control.snapshot(Scope::Totals), None);
    }

    #[test]
    fn without_workers_the_snapshot_is_empty() {
        let snapshot = Control::default().snapshot(Scope::Sessions);
        assert_eq!(snapshot, Some(Snapshot::default()));
    }
}
