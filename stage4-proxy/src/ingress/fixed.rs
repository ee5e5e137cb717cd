//! The ingress without a handshake: every client goes to the same target.

use std::sync::Arc;

use stage2_client::Target;

use crate::ingress::{Client, Datagrams, Ingress, Opening};

/// Sends every client to one configured target.
#[derive(Debug)]
pub struct Fixed {
    target: Arc<Target>,
}

impl Fixed {
    /// Creates the ingress that leads to `target`.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target: Arc::new(target),
        }
    }
}

impl Ingress for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn datagrams(&self) -> Option<Datagrams> {
        Some(Datagrams::To(Arc::clone(&self.target)))
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Target(Arc::clone(&self.target))
    }
}
