//! Signals: how SIGINT and SIGTERM reach the event loop.

use std::io;
use std::sync::Arc;

use stage1_server::cli;

use crate::waker::Waker;

/// Wakes `waker` on each SIGINT and SIGTERM, from a thread of its own.
///
/// The thread could not end the loop by itself: it does not know what the loop is doing. So the
/// loop learns of a signal as of everything else, by an event.
///
/// # Errors
/// As [`cli::on_signals`].
pub fn wake_on_signals(waker: Arc<Waker>) -> io::Result<()> {
    cli::on_signals(move |signal, _| {
        tracing::info!("stopping on signal {signal}");
        if let Err(error) = waker.wake() {
            tracing::error!("cannot wake the event loop: {error}");
        }
    })
}
