//! One lookup of a name, which blocks.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use stage2_client::{Prefer, Target, resolve};

/// The way from a target to its addresses; a test puts its own in the place of getaddrinfo(3).
#[derive(Clone)]
pub struct Lookup(Arc<LookupFn>);

type LookupFn = dyn Fn(&Target) -> io::Result<Vec<SocketAddr>> + Send + Sync;

impl Lookup {
    /// Creates a lookup that asks the system, and prefers one family of addresses.
    #[must_use]
    pub fn system(prefer: Prefer) -> Self {
        Self::new(move |target| resolve(target, prefer))
    }

    /// Creates a lookup that calls a function.
    ///
    /// The function may block. It is called from several threads at once.
    #[must_use]
    pub fn new(
        look_up: impl Fn(&Target) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(look_up))
    }

    /// Looks a target up, and blocks until there is an answer.
    ///
    /// # Errors
    ///
    /// Fails if the name is not known or the system's resolver cannot be asked.
    pub fn resolve(&self, target: &Target) -> io::Result<Vec<SocketAddr>> {
        (self.0)(target)
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lookup").finish_non_exhaustive()
    }
}
