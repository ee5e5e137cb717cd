//! Signals: how SIGINT and SIGTERM reach the event loop.

use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Waker;

/// Wakes `waker` on each SIGINT and SIGTERM, from a thread of its own.
///
/// A signal may interrupt the program between any two instructions, and only a few functions are
/// safe to call there (`signal-safety(7)`). So the handler does nearly nothing, a thread waits for
/// its note, and the loop learns of it as of everything else: by an event.
///
/// # Errors
/// Fails if the signal handlers cannot be installed (`sigaction(2)`).
pub fn wake_on_signals(waker: Arc<Waker>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            tracing::info!("stopping on signal {signal}");
            if let Err(error) = waker.wake() {
                tracing::error!("cannot wake the event loop: {error}");
            }
        }
    });
    Ok(())
}
