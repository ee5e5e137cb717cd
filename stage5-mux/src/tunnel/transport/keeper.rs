//! The keeper of a child: a thread that waits for its end, and sees to it that there is one.
//!
//! ```text
//!            released                 GRACE is over            reaped
//!   Running ─────────▶ asked to end ────────────────▶ killed ─────────▶ the status is known
//!      │                     │                                              ▲
//!      └─────────────────────┴──────────── exited ──────────────────────────┘
//! ```
//!
//! "Asked" means that its standard input has ended: a program such as ssh(1) still passes on the bytes that are on their
//! way, and then ends by itself.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// How long a child may take to end once its standard input has ended.
const GRACE: Duration = Duration::from_secs(1);

/// The link's handle to the keeper; the child has to end when it is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    news: Sender<News>,
    is_released: bool,
    status: Arc<OnceLock<ExitStatus>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Exited,
    Released,
}

impl Keeper {
    /// Starts the keeper of a child that leads a process group; `alarm` is dropped once the child's status is known.
    ///
    /// # Errors
    ///
    /// Fails if the machine has no thread left; then the child is killed.
    pub(super) fn start(
        child: Child,
        alarm: impl Send + 'static,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let group = Group(child);
        let (news, events) = channel();
        let status = Arc::default();
        watch(group.pid()?, news.clone())?;
        let known = Arc::clone(&status);
        let thread = thread::Builder::new().name("keeper".to_owned());
        let thread = thread.spawn(move || {
            keep(group, &events, &known);
            drop(alarm);
        })?;
        let keeper = Self {
            news,
            is_released: false,
            status,
        };
        Ok((keeper, thread))
    }

    /// Gives the child the time [`GRACE`] to end.
    pub(super) fn release(&mut self) {
        if !std::mem::replace(&mut self.is_released, true) {
            // It fails if the keeper has ended, and the child before it.
            let _ = self.news.send(News::Released);
        }
    }

    /// Returns how the child has ended, if it has.
    pub(super) fn status(&self) -> Option<ExitStatus> {
        self.status.get().copied()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.release();
    }
}

/// Tells when the child has exited, and leaves it to be reaped: until then, its number is not used again.
fn watch(child: Pid, news: Sender<News>) -> io::Result<()> {
    let thread = thread::Builder::new().name("waiter".to_owned());
    thread.spawn(move || {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(child), flags) == Err(nix::errno::Errno::EINTR) {}
        let _ = news.send(News::Exited);
    })?;
    Ok(())
}

fn keep(mut group: Group, events: &Receiver<News>, status: &OnceLock<ExitStatus>) {
    let mut deadline = None;
    loop {
        match next(events, deadline) {
            Ok(News::Released) => deadline = Some(Instant::now() + GRACE),
            Ok(News::Exited) => break,
            Err(_) => {
                group.kill();
                break;
            }
        }
    }
    // Only a child that is not ours could fail here.
    let ended = group.0.wait().unwrap_or_else(|_| ExitStatus::from_raw(0));
    let _ = status.set(ended);
}

fn next(events: &Receiver<News>, deadline: Option<Instant>) -> Result<News, RecvTimeoutError> {
    match deadline {
        Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

/// A child and the processes that it has started.
#[derive(Debug)]
struct Group(Child);

impl Group {
    fn pid(&self) -> io::Result<Pid> {
        let pid = i32::try_from(self.0.id());
        pid.map(Pid::from_raw).map_err(io::Error::other)
    }

    /// Kills the whole group, unless its leader was reaped already.
    fn kill(&mut self) {
        if let (Ok(None), Ok(pid)) = (self.0.try_wait(), self.pid()) {
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}
