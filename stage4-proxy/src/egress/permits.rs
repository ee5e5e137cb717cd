//! A bound on the sockets that sessions have beyond their two.

use std::sync::Arc;

/// The right to a number of further descriptors, over all sessions of a worker.
///
/// Each permit is a clone of one `Arc`, and the clones are counted. So a permit is given back by
/// dropping it, together with its socket, whatever ends the session.
#[derive(Debug)]
pub struct Permits {
    issued: Arc<()>,
    most: usize,
}

/// The right to one further descriptor.
#[derive(Debug)]
pub struct Permit {
    _issued: Arc<()>,
}

impl Permits {
    /// Creates `most` permits.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            issued: Arc::new(()),
            most,
        }
    }

    /// Takes a permit, or returns `None` if all of them are in use.
    #[must_use]
    pub fn take(&self) -> Option<Permit> {
        // One of the clones is our own.
        let is_left = Arc::strong_count(&self.issued) <= self.most;
        is_left.then(|| Permit {
            _issued: Arc::clone(&self.issued),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_that_is_dropped_can_be_taken_again() {
        let permits = Permits::new(2);
        let first = permits.take();
        let second = permits.take();
        assert!(first.is_some() && second.is_some());
        assert!(permits.take().is_none());
        drop(first);
        assert!(permits.take().is_some(), "and this one is dropped at once");
        drop(second);
        let both = [permits.take(), permits.take()];
        assert!(both.iter().all(Option::is_some));
        assert!(Permits::new(0).take().is_none());
    }
}
