//! Signals: how SIGINT, SIGTERM and SIGHUP reach the event loop.

use std::io;
use std::sync::Arc;

use stage1_server::cli;

use crate::waker::Waker;

/// Wakes `waker` on SIGINT, SIGTERM and SIGHUP, from a thread of its own.
///
/// The thread could not end the loop itself, because the loop may be in the middle of a turn. So a
/// signal reaches the loop as everything else does: by an event.
///
/// # Errors
/// Fails as [`cli::on_signals`] does.
pub fn wake_on_signals(waker: Arc<Waker>) -> io::Result<()> {
    cli::on_signals(move |signal, _| {
        tracing::info!("stopping on signal {signal}");
        if let Err(error) = waker.wake() {
            tracing::error!("cannot wake the event loop: {error}");
        }
    })
}
