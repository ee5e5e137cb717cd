//! `course confine`: the processes between the grader and a test, which confine it, watch it, and kill what it leaves behind.
//!
//! ```text
//!   grade ──▶ confine ──▶ confine --inside ──▶ the test ──▶ its programs
//!             makes the   first process of      another user, limits
//!             namespaces  the namespace: when
//!                         it ends, all end
//! ```
//!
//! They are processes of their own, because without unsafe code a process can set limits and namespaces only for itself.
//! Each is killed when its parent ends (`PR_SET_PDEATHSIG`), so that no process survives, however the grading ends.

use std::env;
use std::io;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::run::confinement::{NOT_STARTED, Options, POLL_INTERVAL, TIMED_OUT, code_of, user};
use crate::run::{inside, namespace};

/// How much longer the process inside may take than its deadline says.
const GRACE: Duration = Duration::from_secs(15);

/// Runs the test and returns its exit status, or one of ours.
pub(crate) fn run(options: &Options) -> ExitCode {
    match confined(options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cannot run the test under limits: {error}");
            ExitCode::from(NOT_STARTED)
        }
    }
}

fn confined(options: &Options) -> io::Result<u8> {
    if options.inside.is_some() || options.isolation.namespaces().is_empty() {
        return inside::run(options);
    }
    set_pdeathsig(Signal::SIGKILL)?;
    let user = format!("--user={}", user(options.isolation));
    let inside = format!("--inside={}", namespace::of_mounts()?.display());
    namespace::make(options.isolation)?;
    let mut arguments: Vec<_> = env::args_os().skip(1).collect();
    arguments.splice(1..1, [inside.into(), user.into()]);
    let mut child = Command::new("/proc/self/exe").args(arguments).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(options.seconds) + GRACE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(code_of(status));
        }
        thread::sleep(POLL_INTERVAL);
    }
    child.kill()?;
    child.wait()?;
    Ok(TIMED_OUT)
}
