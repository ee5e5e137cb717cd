//! Ctrl-C and the other signals that end us: a flag that every loop checks.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Turns the usual signals into a request to stop; a second one ends the process at once.
///
/// The flag, and not the default action, because the proxies run in process groups of their own
/// and would outlive us: an error return drops them, and dropping kills.
pub(crate) fn on_signals() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&STOP))?;
        signal_hook::flag::register(signal, Arc::clone(&STOP))?;
    }
    Ok(())
}

/// Returns whether a signal asked us to stop.
pub(crate) fn requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Ends the current measurement with an error if a signal asked us to stop.
pub(crate) fn check() -> io::Result<()> {
    if requested() {
        return Err(io::Error::other("stopped"));
    }
    Ok(())
}
