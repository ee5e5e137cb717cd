//! The ingress without a handshake: every client goes to the same target, or to the same Unix socket.

use std::path::Path;
use std::sync::Arc;

use stage2_client::Target;

use crate::ingress::{Client, Datagrams, Ingress, Opening};

/// Sends every client to one configured target.
#[derive(Debug)]
pub struct Fixed(Place);

#[derive(Debug)]
enum Place {
    Target(Arc<Target>),
    Unix(Arc<Path>),
}

impl Fixed {
    /// Creates the ingress that leads to `target`.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self(Place::Target(Arc::new(target)))
    }

    /// Creates the ingress that leads to the Unix socket at `path`.
    #[must_use]
    pub fn unix(path: &Path) -> Self {
        Self(Place::Unix(path.into()))
    }
}

impl Ingress for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn datagrams(&self) -> Option<Datagrams> {
        match &self.0 {
            Place::Target(target) => Some(Datagrams::To(Arc::clone(target))),
            Place::Unix(_) => None,
        }
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        match &self.0 {
            Place::Target(target) => Opening::Target(Arc::clone(target)),
            Place::Unix(path) => Opening::Unix(Arc::clone(path)),
        }
    }
}
