//! Waits for something that no terminal shows, such as the state of a socket.

use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::transcript::alone;

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Repeats a line of bash until it succeeds, and returns false if it has not done so at the deadline.
///
/// # Errors
///
/// Fails if bash cannot be started.
pub(super) fn wait_until(command: &str, deadline: Instant) -> io::Result<bool> {
    while Instant::now() < deadline {
        let mut bash = Command::new("bash");
        bash.args(["--norc", "--noprofile", "-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if alone::start(&mut bash)?.wait()?.success() {
            return Ok(true);
        }
        thread::sleep(PAUSE);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_never_succeeds_ends_at_the_deadline() {
        let deadline = Instant::now() + Duration::from_millis(150);
        assert!(!wait_until("false", deadline).unwrap());
        assert!(Instant::now() >= deadline);
        assert!(wait_until("true", Instant::now() + Duration::from_secs(60)).unwrap());
    }
}
