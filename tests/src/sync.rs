//! Locks that outlive a panic: a failed test must still be able to print its report.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, also when another thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
